"""RTNeural's JSON: chains of dense, conv1d, lstm and gru layers."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ampsim.export.formats import Details, Format, Play, family, gains
from ampsim.models import AmpModel, Dense, Fir, Gru, Lstm
from ampsim.players import rtneural
from ampsim.players.player import Array

KNOWN = tuple(name or "linear" for name in rtneural.ACTIVATION_NAMES)


class RTNeural(Format):
    name = "rtneural"
    ending = ".json"
    start = "from zero states: RTNeural's reset"
    from_zero_states = True
    prover = "a NumPy reader of its rules, in double precision"

    def refusal(self, model: AmpModel) -> str:
        if type(model) not in (Lstm, Gru, Dense, Fir):
            return f"it holds a chain of dense, conv1d, lstm and gru layers, which a {family(model)} is not"
        if isinstance(model, Lstm) and model.skip:
            return "a chain of layers has no skip connection (aidax has one; model.skip=false needs none)"
        if isinstance(model, Dense) and model.hidden[0].activation.__name__ not in KNOWN:
            return f"it knows the activations {', '.join(KNOWN)}, and not {model.hidden[0].activation.__name__}"
        return ""

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        path.write_text(
            json.dumps({"in_shape": [None, None, 1], "layers": layers(model, *gains(model))}), encoding="utf-8"
        )

    def load(self, path: Path) -> Play:
        return rtneural.read(path)


def layers(model: AmpModel, before: float, after: float) -> list[dict[str, Any]]:
    """The model as a chain, with gains before and after it. Weights are in Keras' layout, which is the format's."""
    if isinstance(model, Fir):
        bias = after * model.bias.numpy() if model.use_bias else 0.0
        return [convolution(before * after * model.filter.kernel.numpy()[:, None, None], np.array([bias]), "linear")]
    if isinstance(model, Dense):
        first, *rest = model.hidden
        kernel = before * np.asarray(model.first_kernel())[:, None]
        chain = [convolution(kernel, first.bias.numpy(), first.activation.__name__)]
        chain += [
            entry("dense", layer.units, layer.activation.__name__, layer.get_weights()) for layer in [*rest, model.head]
        ]
        louder = entry("dense", 1, "linear", [np.array([[after]]), np.zeros(1)])  # after the head's tanh
        return chain if after == 1 else [*chain, louder]
    assert isinstance(model, Lstm)
    chain = []
    for cell in model.cells:
        kernel, recurrent, bias = cell.get_weights()
        kind = "gru" if isinstance(model, Gru) else "lstm"
        chain.append(entry(kind, model.units, "tanh", [before * kernel, recurrent, bias]))
        before = 1.0  # for the next layer, whose input is not the model's
    return [*chain, entry("dense", 1, "linear", [after * part for part in model.head.get_weights()])]


def convolution(kernel: Array, bias: Array, activation: str) -> dict[str, Any]:
    """A first layer over the window: (taps, 1, outputs), the oldest sample's tap first. Its bias may not be left out."""
    return entry("conv1d", kernel.shape[2], activation, [kernel, bias]) | {
        "kernel_size": [len(kernel)],
        "dilation": [1],
        "groups": 1,
    }


def entry(kind: str, outputs: int, activation: str, weights: list[Array]) -> dict[str, Any]:
    lists = [np.asarray(part, np.float32).tolist() for part in weights]
    name = "" if activation == "linear" else activation
    return {"type": kind, "activation": name, "shape": [None, None, outputs], "weights": lists}
