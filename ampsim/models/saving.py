"""Loads `.keras` files, which may come from anyone: nothing but models that this user has is imported or built."""

import importlib
import io
import json
import re
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from ampsim import AmpsimError
from ampsim.config.targets import locate, refuse_wrong_types
from ampsim.files import TooLargeError, refuse_irregular, refuse_larger, uncollected
from ampsim.models.base import AmpModel
from ampsim.models.layers import bounded_weights

PACKED = (
    50  # times as large may a file be once it is unpacked; noise is hardly packed at all, and zeros a thousand times
)
CONFIG_BYTES = 1_000_000  # of a model's arguments; ours have a thousand


def load(path: Path) -> AmpModel:
    """A model from a `.keras` file.

    Raises:
        AmpsimError: the file is damaged, or is not a model of ampsim, or of a plugin, with plain values as its arguments; it
            takes more memory than `files.memory_limit`; or its weights hold NaN or infinity.
    """
    refuse_irregular(path, "model")
    try:
        refuse_foreign(path)
        with bounded_weights(str(path)):
            model: AmpModel = keras.saving.load_model(path, compile=False, safe_mode=True)
        unsound = sum(np.count_nonzero(~np.isfinite(variable.numpy())) for variable in model.trainable_variables)
        if unsound:
            raise ValueError(f"{unsound:,} of its weights are NaN or infinite")
    except TooLargeError:
        raise
    except Exception as error:  # whatever Keras makes of a file that someone has changed
        reason = " ".join(str(error).split())
        raise AmpsimError(f"{path} is not a model that ampsim can load: {reason}") from error
    return model


def refuse_foreign(path: Path) -> None:
    """Refuse a file that asks for any class but a model of ampsim or of a plugin, before Keras imports what it names: safe
    mode keeps Lambda layers out, but lets a file build all that Keras has."""
    with zipfile.ZipFile(path) as file:
        if (size := file.getinfo("config.json").file_size) > CONFIG_BYTES:
            raise ValueError(f"its config has {size:,} bytes")
        for member in file.infolist():
            there = min(member.compress_size, path.stat().st_size)
            if member.file_size > max(PACKED * there, CONFIG_BYTES):
                raise ValueError(
                    f"its {member.filename} is packed to {there:,} of {member.file_size:,} bytes, as no weights are"
                )
        # What is unpacked stands beside the weights that are made of it.
        refuse_larger(f"{path}, unpacked,", 2 * sum(member.file_size for member in file.infolist()))
        with uncollected():
            config = json.loads(file.read("config.json"))
        refuse_larger(f"the arrays in {path}", array_bytes(file.read("model.weights.h5")))
    module, name, arguments = config["module"], config["class_name"], config["config"]
    own = re.fullmatch(r"ampsim\.models\.[a-z_]\w*", module)
    package = module.partition(".")[0]
    if (
        config["registered_name"] != f"{package}>{name}"
        or "class_name" in json.dumps(arguments)
        or (package == "ampsim" and not (own and is_model(module, name)))
    ):
        raise ValueError(f"it asks for {module}.{name}, or has a part of Keras among its arguments")
    # What is no part of ampsim is of a plugin of this user, or refused before it is imported.
    target = getattr(importlib.import_module(module), name) if own else locate(f"{module}.{name}", "model")
    refuse_wrong_types(target, f"{module}.{name}", arguments)


def array_bytes(content: bytes) -> int:
    """Bytes that the arrays of an HDF5 file state; they may be packed to almost nothing."""
    total = 0

    def add(_: str, item: object) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            total += item.nbytes

    with h5py.File(io.BytesIO(content), "r") as file:
        file.visititems(add)
    return total


def is_model(module: str, name: str) -> bool:
    """Whether a module of ours defines a model of this name; it is imported for that."""
    found = getattr(importlib.import_module(module), name, None)
    return isinstance(found, type) and issubclass(found, AmpModel) and found.__module__ == module
