"""RTNeural's JSON: chains of dense, conv1d, lstm and gru layers, of every model that says it is one (`as_chain`)."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ampsim.export.formats import Details, Format, Play
from ampsim.models import AmpModel
from ampsim.models.forms import CannotHoldError, ChainLayer
from ampsim.players import rtneural

KNOWN = tuple(name or "linear" for name in rtneural.ACTIVATION_NAMES)


class RTNeural(Format):
    name = "rtneural"
    ending = ".json"
    start = "from zero states: RTNeural's reset"
    from_zero_states = True
    prover = "a NumPy reader of its rules, in double precision"

    def check(self, model: AmpModel) -> None:
        entries(model.as_chain())

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        document = {"in_shape": [None, None, 1], "layers": entries(model.as_chain())}
        path.write_text(json.dumps(document), encoding="utf-8")

    def annotate(self, path: Path, facts: dict[str, Any]) -> bool:
        """As one text: players of this JSON take what stands in its metadata for texts."""
        found = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault("metadata", {})["ampsim"] = json.dumps(facts)
        path.write_text(json.dumps(found), encoding="utf-8")
        return True

    def load(self, path: Path) -> Play:
        return rtneural.read(path)


def entries(chain: list[ChainLayer]) -> list[dict[str, Any]]:
    """The layers as the file has them. Weights are in Keras' layout, which is the format's."""
    found = []
    for layer in chain:
        if layer.activation not in KNOWN:
            raise CannotHoldError(f"it knows the activations {', '.join(KNOWN)}, and not {layer.activation}")
        weights = [np.asarray(part, np.float32).tolist() for part in layer.weights]
        entry = {
            "type": layer.kind,
            "activation": "" if layer.activation == "linear" else layer.activation,
            "shape": [None, None, layer.outputs],
            "weights": weights,
        }
        window = {"kernel_size": [len(layer.weights[0])], "dilation": [1], "groups": 1}
        found.append(entry | window if layer.kind == "conv1d" else entry)
    return found
