"""Turns a config section into the object that it names, from an allowed set of places only."""

import importlib
import inspect
import re
from collections.abc import Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Any, get_args

from ampsim import AmpsimError

# A config may come from elsewhere (a saved run), so it is data: it can build what these places hold and nothing more.
# Classes alone: a function may write files or run code.
ALLOWED = re.compile(
    r"(ampsim\.(recordings|models|losses|training\.schedules)(\.[a-z]\w*)*|keras\.optimizers(\.schedules)?)\.[A-Z]\w*"
)
# What parts were called in versions before 0.2; saved configs name them so.
RENAMED = {
    "ampsim.pairs.Stereo": "ampsim.recordings.Stereo",
    "ampsim.pairs.Pair": "ampsim.recordings.Pair",
    "ampsim.pairs.VirtualAmp": "ampsim.recordings.VirtualAmp",
    "ampsim.captures.NamCapture": "ampsim.recordings.captured.NamCapture",
    "ampsim.captures.Distilled": "ampsim.recordings.captured.Distilled",
    "ampsim.schedules.Constant": "ampsim.training.schedules.Constant",
    "ampsim.schedules.Cosine": "ampsim.training.schedules.Cosine",
    "ampsim.schedules.Exponential": "ampsim.training.schedules.Exponential",
}
KERAS_ARGUMENTS = ("name", "dtype", "trainable")  # what Keras itself takes behind a **


def build(section: Any, **extra: Any) -> Any:
    """Build the object that `_target_` names from the section's other keys, which are its keyword arguments.

    Dicts and lists are searched for nested sections; anything else is returned as it is. `extra` adds arguments that
    only the run knows, such as the sample rate.

    Raises:
        AmpsimError: the target is not an allowed one, does not exist, or refuses its arguments.
    """
    if isinstance(section, list):
        return [build(item) for item in section]
    if not isinstance(section, dict):
        return section
    arguments = {key: build(value) for key, value in section.items() if key != "_target_"}
    if "_target_" not in section:
        return arguments
    target = locate(section["_target_"])
    arguments |= extra
    refuse_unknown(target, section["_target_"], arguments)
    refuse_wrong_types(target, section["_target_"], arguments)
    try:
        return target(**arguments)
    except (TypeError, ValueError) as error:
        raise AmpsimError(f"{section['_target_']}: {error}") from error


def locate(path: str) -> Any:
    """The class or function of a dotted path, if a config may name it."""
    refuse_foreign({"_target_": path})
    path = RENAMED.get(path, path)
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise AmpsimError(f"the config asks for `_target_: {path}`, which does not exist ({error})") from error
    # What a module of ours merely imported (os, subprocess, Path) is not ours to hand out.
    if not isinstance(found, type) or getattr(found, "__module__", "").split(".")[0] not in ("ampsim", "keras"):
        raise AmpsimError(f"the config asks for `_target_: {path}`, which is no part that a config can build")
    return found


def refuse_foreign(section: Any) -> None:
    """Refuse a `_target_` anywhere in a section that a config may not name, before anything of it is imported."""
    if isinstance(section, dict):
        path = section.get("_target_")
        path = RENAMED.get(path, path) if isinstance(path, str) else path
        if "_target_" in section and not (isinstance(path, str) and ALLOWED.fullmatch(path)):
            raise AmpsimError(
                f"the config asks for `_target_: {path}`; a config may only name parts of ampsim, Keras' optimizers and "
                "their schedules"
            )
    if isinstance(section, dict | list):
        for inner in section.values() if isinstance(section, dict) else section:
            refuse_foreign(inner)


def refuse_unknown(target: Any, path: str, arguments: dict[str, Any]) -> None:
    parameters = inspect.signature(target).parameters
    open_ended = [name for name, parameter in parameters.items() if parameter.kind is parameter.VAR_KEYWORD]
    if open_ended and open_ended[0] not in ("kwargs", "keras_arguments"):
        return  # the target checks these itself
    for name in arguments:
        if name not in parameters and not (open_ended and name in KERAS_ARGUMENTS):
            names = [known for known in parameters if known not in open_ended]
            raise AmpsimError(f"{path} takes no `{name}`{nearest(name, names)}")


WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}


def refuse_wrong_types(target: Any, path: str, arguments: dict[str, Any]) -> None:
    """Refuse text for a number and the like, where a parameter is annotated as something so plain."""
    for name, parameter in inspect.signature(target).parameters.items():
        union = isinstance(parameter.annotation, UnionType)
        kinds = get_args(parameter.annotation) if union else (parameter.annotation,)
        if name not in arguments or not set(kinds) <= set(WORDS):
            continue  # lists, dicts and parts are the target's own to judge
        value = arguments[name]
        if type(value) not in kinds and not (type(value) is int and float in kinds):
            wanted = " or ".join(WORDS[kind] for kind in kinds)
            raise AmpsimError(f"{path}: {name}={value!r}, but it is {wanted}")


def nearest(name: str, names: list[str]) -> str:
    """A clause that offers the closest valid name, or all of them when none is close."""
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; choose from {', '.join(sorted(names))}" if names else ""


def flattened(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, keys joined by dots; lists stay values."""
    flat: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, dict) and value:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def without(config: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """The config, flattened, less these keys and all below them."""
    return {
        key: value
        for key, value in flattened(config).items()
        if not any(key == k or key.startswith(f"{k}.") for k in keys)
    }


def assignments(overrides: Sequence[str]) -> dict[str, str]:
    """The words `key=value` of a command by key; a value as it was meant, without Hydra's backslashes."""
    words = (word.lstrip("+").partition("=") for word in overrides if not word.startswith("~"))
    return {key: re.sub(r"\\([\\()\[\]{}:=,\s])", r"\1", value) for key, _, value in words}
