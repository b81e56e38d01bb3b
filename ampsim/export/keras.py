"""A `.keras` file, and the same model behind MLflow's generic interface. Neither holds a pickle."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ampsim.export.formats import Details, Format, Play, played
from ampsim.models import AmpModel
from ampsim.models.rendering import Renderer
from ampsim.models.saving import load
from ampsim.signals.audio import Signal


class Keras(Format):
    name = "keras"
    ending = ".keras"
    start = "as after silence"
    keeps_controls = True
    prover = "keras.models.load_model in safe mode (after `import ampsim.models`)"

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        model.save(path)

    def load(self, path: Path, setting: Sequence[float] = ()) -> Play:
        model = load(path)
        model.turn(setting)

        def late(signal: Signal) -> Signal:
            silence = np.zeros(model.lookahead, np.float32)
            return np.concatenate([silence, played(model, signal)])[: len(signal)]

        return late


class Served:
    """What `mlflow.pyfunc.load_model` gives: signals in, signals out, each as long as it was and in time with it."""

    def __init__(self, model: AmpModel) -> None:
        self.render = Renderer(model)

    def predict(self, model_input: np.ndarray, params: dict[str, Any] | None = None) -> np.ndarray:
        """(signals, num_samples) -> (signals, num_samples), full scale at 1."""
        return np.stack([self.render(np.asarray(signal, np.float32)) for signal in model_input])


def _load_pyfunc(path: str) -> Served:
    """What MLflow calls to load a registered model; `path` is the `.keras` file."""
    return Served(load(Path(path)))
