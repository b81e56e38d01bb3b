"""An export format: the curve of a Tube as three numbers in JSON."""

import json
from pathlib import Path

import numpy as np

from ampsim.export import CannotHoldError, Details, Format
from ampsim.export.formats import Play
from ampsim.models import AmpModel
from ampsim.signals.audio import Signal
from tube_lab.models import Tube


class Curve(Format):
    name = "curve"
    ending = ".curve"
    start = "at once, as it has no memory"
    prover = "three lines of NumPy"

    def check(self, model: AmpModel) -> None:
        if not isinstance(model, Tube):
            raise CannotHoldError("it is the curve of a Tube")

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        assert isinstance(model, Tube)
        weights = {name: float(getattr(model, name)) for name in ("drive", "bias", "level")}
        weights |= {"input_gain": model.input_gain, "output_gain": model.output_gain}
        path.write_text(json.dumps({"name": details.name, **weights}), encoding="utf-8")

    def load(self, path: Path) -> Play:
        curve = json.loads(path.read_text(encoding="utf-8"))

        def play(signal: Signal) -> Signal:
            bent = np.tanh(curve["drive"] * curve["input_gain"] * signal + curve["bias"]) - np.tanh(curve["bias"])
            return (curve["output_gain"] * curve["level"] * bent).astype(np.float32)

        return play
