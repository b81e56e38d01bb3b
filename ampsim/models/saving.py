"""Loads `.keras` files, which may come from anyone: nothing but models that this user has is imported or built."""

import importlib
import json
import re
import zipfile
from pathlib import Path

import keras

from ampsim import AmpsimError
from ampsim.config.targets import locate
from ampsim.models.base import AmpModel

CONFIG_BYTES = 1_000_000  # of a model's arguments; ours have a thousand


def load(path: Path) -> AmpModel:
    """A model from a `.keras` file.

    Raises:
        AmpsimError: the file is damaged, or is not a model of ampsim, or of a plugin, with plain values as its arguments.
    """
    try:
        refuse_foreign(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever Keras makes of a file that someone has changed
        raise AmpsimError(f"{path} is not a model that ampsim can load: {error}") from error


def refuse_foreign(path: Path) -> None:
    """Refuse a file that asks for any class but a model of ampsim or of a plugin, before Keras imports what it names: safe
    mode keeps Lambda layers out, but lets a file build all that Keras has."""
    with zipfile.ZipFile(path) as file:
        if (size := file.getinfo("config.json").file_size) > CONFIG_BYTES:
            raise ValueError(f"its config has {size:,} bytes")
        config = json.loads(file.read("config.json"))
    module, name, arguments = config["module"], config["class_name"], config["config"]
    own = re.fullmatch(r"ampsim\.models\.[a-z_]\w*", module)
    package = module.partition(".")[0]
    if (
        config["registered_name"] != f"{package}>{name}"
        or "class_name" in json.dumps(arguments)
        or (package == "ampsim" and not (own and is_model(module, name)))
    ):
        raise ValueError(f"it asks for {module}.{name}, or has a part of Keras among its arguments")
    if package != "ampsim":
        locate(f"{module}.{name}", "model")  # a plugin of this user, or refused before it is imported


def is_model(module: str, name: str) -> bool:
    """Whether a module of ours defines a model of this name; it is imported for that."""
    found = getattr(importlib.import_module(module), name, None)
    return isinstance(found, type) and issubclass(found, AmpModel) and found.__module__ == module
