"""A `.keras` file, and the same model behind MLflow's generic interface. Neither holds a pickle."""

import json
import re
import zipfile
from pathlib import Path

import keras
import numpy as np

from ampsim import AmpsimError
from ampsim.config.targets import locate
from ampsim.export.formats import Details, Format, Play, played
from ampsim.models import AmpModel
from ampsim.models.rendering import Renderer
from ampsim.signals.audio import Signal

CONFIG_BYTES = 1_000_000  # of a model's arguments; ours have a thousand


class Keras(Format):
    name = "keras"
    ending = ".keras"
    start = "as after silence"
    prover = "keras.models.load_model in safe mode (after `import ampsim.models`)"

    def refusal(self, model: AmpModel) -> str:
        return ""

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        model.save(path)

    def load(self, path: Path) -> Play:
        model = load(path)

        def late(signal: Signal) -> Signal:
            silence = np.zeros(model.lookahead, np.float32)
            return np.concatenate([silence, played(model, signal)])[: len(signal)]

        return late


def load(path: Path) -> AmpModel:
    """A model from a `.keras` file, which may come from anyone.

    Raises:
        AmpsimError: the file is damaged, or is not one of ampsim's models with plain values as its arguments.
    """
    try:
        refuse_foreign(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever Keras makes of a file that someone has changed
        raise AmpsimError(f"{path} is not a model that ampsim can load: {error}") from error


def refuse_foreign(path: Path) -> None:
    """Refuse a file that asks for any class but one of ampsim's models, before Keras imports what it names: safe mode
    keeps Lambda layers out, but lets a file build all that Keras has."""
    with zipfile.ZipFile(path) as file:
        if (size := file.getinfo("config.json").file_size) > CONFIG_BYTES:
            raise ValueError(f"its config has {size:,} bytes")
        config = json.loads(file.read("config.json"))
    module, name, arguments = config["module"], config["class_name"], config["config"]
    ours = re.fullmatch(r"ampsim\.models\.[a-z_]\w*", module)
    package = "ampsim" if ours else module.partition(".")[0]
    if not ours:
        locate(f"{module}.{name}", "model")  # a plugin of this user, or refused before it is imported
    if config["registered_name"] not in (f"ampsim>{name}", f"{package}>{name}") or "class_name" in json.dumps(
        arguments
    ):
        raise ValueError(f"it asks for {module}.{name}, or has a part of Keras among its arguments")


class Served:
    """What `mlflow.pyfunc.load_model` gives: signals in, signals out, each as long as it was and in time with it."""

    def __init__(self, model: AmpModel) -> None:
        self.render = Renderer(model)

    def predict(self, model_input: np.ndarray, params: dict | None = None) -> np.ndarray:
        """(signals, num_samples) -> (signals, num_samples), full scale at 1."""
        return np.stack([self.render(np.asarray(signal, np.float32)) for signal in model_input])


def _load_pyfunc(path: str) -> Served:
    """What MLflow calls to load a registered model; `path` is the `.keras` file."""
    return Served(load(Path(path)))
