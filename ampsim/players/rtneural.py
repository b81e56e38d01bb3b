"""Reads and plays RTNeural's JSON, and the form of it that AIDA-X plays, from the rules of the two players."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ampsim.players.documents import MOST_LAYERS, numbers, read_json, understood, whole
from ampsim.players.player import ACTIVATIONS, Array, Chain, Dense, Layer, Recurrent
from ampsim.signals import audio
from ampsim.signals.audio import Signal

DENSE_NAMES = ("dense", "time-distributed-dense")
ACTIVATION_NAMES = ("tanh", "relu", "sigmoid", "softmax", "elu", "")  # any other name makes RTNeural crash
LARGEST_GAIN_DB = 200.0  # which leaves room for any that is meant
AIDAX_UNITS = (8, 12, 16, 20, 24, 32, 40, 64, 80)


class Convolution(Layer):
    """Causal: it starts as if zeros had come before."""

    def __init__(self, kernel: Array, bias: Array, dilation: int, activation: Callable[[Array], Array]) -> None:
        self.kernel, self.bias, self.dilation, self.activation = kernel, bias, dilation, activation
        self.memory = ((len(self.kernel) - 1) * self.dilation, self.kernel.shape[1])
        self.state_bytes = 8 * self.memory[0] * self.memory[1]

    def reset_state(self) -> Array:
        return np.zeros(self.memory)

    def stream(self, features: Array, state: Array) -> tuple[Array, Array]:
        heard = np.concatenate([state, features])
        n = len(features)
        total = np.zeros((n, self.kernel.shape[2])) + self.bias
        for number, tap in enumerate(self.kernel):
            total += heard[number * self.dilation : number * self.dilation + n] @ tap
        return self.activation(total.T).T, heard[n:]


class Skip(Chain):
    """AIDA-X: gains at both ends, and the input added to the output where `in_skip` is 1."""

    kinds: tuple[str, ...] | list[str] = ()

    def __init__(self, layers: list[Layer], *, skip: bool, in_gain_db: float = 0.0, out_gain_db: float = 0.0) -> None:
        super().__init__(layers)
        self.skip, self.gains = skip, (10 ** (in_gain_db / 20), 10 ** (out_gain_db / 20))

    def stream(self, block: Signal, state: list[Any]) -> tuple[Signal, list[Any]]:
        heard = self.gains[0] * block
        played, after = super().stream(heard, state)
        return (self.gains[1] * (played + heard if self.skip else played)).astype(np.float32), after

    def told(self) -> str:
        """The net in words."""
        return f"chain of {' and '.join(self.kinds)}" if len(self.kinds) < 4 else f"chain of {len(self.kinds)} layers"


def read(path: Path) -> Chain:
    """A chain of layers as RTNeural would play it.

    Raises:
        AmpsimError: the file cannot be read, is not RTNeural's, or holds what would make RTNeural skip a layer or crash.
    """
    document = read_json(path, "RTNeural model")
    with understood(path, "its chain of layers"):
        return Chain(chain(document))


def read_aidax(path: Path) -> Skip:
    """The same for AIDA-X, which plays one recurrent layer of certain sizes and one dense layer.

    Raises:
        AmpsimError: as `read`; or AIDA-X would refuse the net; or `output_batch` is not what the net makes of
            `input_batch`.
    """
    document = read_json(path, "AIDA-X model")
    with understood(path, "its chain of layers"):
        player, first = of_document(path, document), document["layers"][0]
        if len(player.layers) != 2 or first["type"] not in ("lstm", "gru") or first["shape"][-1] not in AIDAX_UNITS:
            raise ValueError(
                f"AIDA-X plays one lstm or gru of {', '.join(map(str, AIDAX_UNITS))} units and a dense layer"
            )
        heard, expected = (numbers(document[name], name) for name in ("input_batch", "output_batch"))
        plain = Skip(player.layers, skip=player.skip)
        if heard.shape != expected.shape or not np.allclose(plain(heard), expected, atol=1e-5):
            raise ValueError("its output_batch is not what it makes of its input_batch")
        return player


def is_chain(document: dict[str, Any]) -> bool:
    """Whether an object looks like RTNeural's JSON rather than a `.nam` file."""
    return isinstance(document.get("layers"), list) and "in_shape" in document and "architecture" not in document


def of_document(path: Path, document: dict[str, Any]) -> Skip:
    """RTNeural's chain, with what AIDA-X adds to it where the file states that.

    Raises:
        AmpsimError: as `read`.
    """
    with understood(path, "its chain of layers"):
        skip = whole(document.get("in_skip", 0), "in_skip", least=0, most=1)
        gains = {f"{name}_db": float(document.get(name, 0.0)) for name in ("in_gain", "out_gain")}
        if not all(abs(gain) <= LARGEST_GAIN_DB for gain in gains.values()):
            raise ValueError(f"in_gain and out_gain are from -{LARGEST_GAIN_DB:.0f} to {LARGEST_GAIN_DB:.0f} dB")
        player = Skip(chain(document), skip=bool(skip), **gains)
        metadata = document.get("metadata")
        stated = metadata.get("samplerate") if isinstance(metadata, dict) else None
        if stated:
            player.sample_rate = whole(float(stated), "samplerate", least=audio.RATES[0], most=audio.RATES[1])
    player.kinds = [entry["type"] for entry in document["layers"]]
    return player


def chain(document: dict[str, Any]) -> list[Layer]:
    inputs = whole(document["in_shape"][-1], "in_shape", most=1)
    whole(len(document["layers"]), "the number of its layers", most=MOST_LAYERS)
    layers = []
    for number, entry in enumerate(document["layers"]):
        outputs = whole(entry["shape"][-1], f"the shape of layer {number}")
        layers.append(layer(entry, inputs, outputs, number))
        inputs = outputs
    if inputs != 1 or not layers:
        raise ValueError(f"it ends with {inputs} outputs")
    return layers


def layer(entry: dict[str, Any], inputs: int, outputs: int, number: int) -> Layer:
    kind, where = entry["type"], f"layer {number}"
    weights: list[Array] = [numbers(part, f"the weights of {where}").astype(np.float64) for part in entry["weights"]]
    if kind in ("lstm", "gru"):
        gates = 4 if kind == "lstm" else 3
        bias = (gates * outputs,) if kind == "lstm" else (2, gates * outputs)
        check(weights, where, (inputs, gates * outputs), (outputs, gates * outputs), bias)
        return Recurrent(kind, *weights)
    name = entry.get("activation", "")
    if name not in ACTIVATION_NAMES:
        raise ValueError(f"the activation of {where} is {name!r:.40}, which RTNeural does not know")
    activation = ACTIVATIONS[name or "linear"]
    if kind in DENSE_NAMES:
        check(weights, where, (inputs, outputs), (outputs,))
        return Dense(weights[0], weights[1], activation)
    if kind == "conv1d":
        size, dilation, groups = (first(entry.get(key, 1)) for key in ("kernel_size", "dilation", "groups"))
        whole(groups, "groups", most=1)
        check(weights, where, (whole(size, "kernel_size"), inputs, outputs), (outputs,))
        return Convolution(weights[0], weights[1], whole(dilation, "dilation"), activation)
    raise ValueError(f"{where} is a {kind!r:.40}, which this reader does not play")


def first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def check(weights: list[Array], where: str, *shapes: tuple[int, ...]) -> None:
    found = [part.shape for part in weights]
    if found != list(shapes):
        raise ValueError(f"the weights of {where} have the shapes {found}, and not {list(shapes)}")
