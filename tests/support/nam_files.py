"""`.nam` files written by hand, number after number, and a player that computes one output at a time."""

import json
from pathlib import Path
from typing import Any

import numpy as np

RANDOM = np.random.default_rng(0)


def document(architecture: str, config: dict[str, Any], count: int, **more: Any) -> dict[str, Any]:
    weights = (0.4 * RANDOM.standard_normal(count)).round(4).tolist()
    return {"version": "0.5.4", "architecture": architecture, "config": config, "weights": weights, **more}


def lstm(**more: Any) -> dict[str, Any]:
    """One layer of two units: 4 * 2 * 3 matrix, 8 bias, 4 first state, 2 + 1 head."""
    return document("LSTM", {"input_size": 1, "hidden_size": 2, "num_layers": 1}, 24 + 8 + 4 + 3, **more)


def wavenet(**changed: Any) -> dict[str, Any]:
    """One array of two channels and two layers, kernel 2, dilations 1 and 3."""
    array = {
        **{"input_size": 1, "condition_size": 1, "head_size": 1, "channels": 2, "kernel_size": 2, "dilations": [1, 3]},
        **{"activation": "Tanh", "gated": False, "head_bias": True},
        **changed,
    }
    layer = 2 * 2 * 2 + 2 + 2 + 2 * 2 + 2
    return document("WaveNet", {"layers": [array], "head": None, "head_scale": 0.5}, 2 + 2 * layer + 2 + 1 + 1)


def write(path: Path, contents: Any) -> Path:
    path.write_text(contents if isinstance(contents, str) else json.dumps(contents), encoding="utf-8")
    return path


def wavenet_by_hand(found: dict[str, Any], signal: np.ndarray) -> np.ndarray:
    """`wavenet` sample by sample, from the description of the format: plain loops over lists."""
    numbers = iter(found["weights"])

    def take(*shape: int) -> np.ndarray:
        return np.array([next(numbers) for _ in range(int(np.prod(shape)))]).reshape(shape)

    rechannel = take(2, 1)
    layers = [(take(2, 2, 2), take(2), take(2, 1), take(2, 2), take(2)) for _ in range(2)]
    head, bias, scale = take(1, 2), take(1), take(1)
    padded = np.concatenate([np.zeros(4), signal])  # receptive field 5
    features = [rechannel @ [sample] for sample in padded]
    activated: list[list[np.ndarray]] = []
    for (kernel, offset, mixin, residual, shift), dilation in zip(layers, (1, 3), strict=True):
        first = len(padded) - len(features) + dilation
        outputs, following = [], []
        for k in range(dilation, len(features)):
            mixed = kernel[:, :, 0] @ features[k - dilation] + kernel[:, :, 1] @ features[k] + offset
            outputs.append(np.tanh(mixed + mixin @ [padded[first + k - dilation]]))
            following.append(features[k] + residual @ outputs[-1] + shift)
        features = following
        activated.append(outputs)
    sums = [a + b for a, b in zip(activated[0][-len(signal) :], activated[1][-len(signal) :], strict=True)]
    return np.array([(scale * (head @ total + bias))[0] for total in sums])


def lstm_by_hand(found: dict[str, Any], signal: np.ndarray) -> np.ndarray:
    """`lstm` after half a second of zeros, sample by sample."""
    weights = np.array(found["weights"])
    matrix, bias, hidden, cell = weights[:24].reshape(8, 3), weights[24:32], weights[32:34], weights[34:36]
    outputs = []
    for sample in [*np.zeros(found["sample_rate"] // 2), *signal]:
        gates = matrix @ [sample, *hidden] + bias
        opened = 1 / (1 + np.exp(-gates))
        cell = opened[2:4] * cell + opened[0:2] * np.tanh(gates[4:6])
        hidden = opened[6:8] * np.tanh(cell)
        outputs.append(weights[36:38] @ hidden + weights[38])
    return np.array(outputs[-len(signal) :])
