"""Turns a config section into the object that it names, from an allowed set of places only."""

import importlib
import inspect
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import version
from types import UnionType
from typing import Any, get_args

from ampsim import AmpsimError
from ampsim.config import plugins

# A config may come from elsewhere (a saved run), so it is data: it can build what these places and this user's plugins
# hold and nothing more. Classes alone: a function may write files or run code.
ALLOWED = re.compile(
    r"(ampsim\.(recordings|models|losses|training\.schedules)(\.[a-z]\w*)*|keras\.optimizers(\.schedules)?)\.[A-Z]\w*"
)
OF_A_PLUGIN = re.compile(r"([a-zA-Z]\w*)(\.[a-zA-Z]\w*)*\.[A-Z]\w*")
# What a class has to be for a section to build it, and for what stands inside the section. They are looked up among the
# modules that are loaded: where a class is one of these, its base is.
BASES = {
    "data": ("ampsim.recordings.sources.Source",),
    "model": ("ampsim.models.base.AmpModel",),
    "loss": ("ampsim.losses.loss.Loss", "ampsim.losses.loss.Sum"),
    "optimizer": ("keras.optimizers.Optimizer",),
    "schedule": ("ampsim.training.schedules.Schedule",),
}
WHOLE = ("ampsim.losses.loss.Sum",)  # the others are only derived from
INSIDE = {**BASES, "optimizer": (*BASES["optimizer"], "keras.optimizers.schedules.LearningRateSchedule")}
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
# What stands in for a part of Keras below a release: Python 3.10 has no Keras from 3.13 on.
STAND_INS = {"keras.optimizers.Muon": ("3.13", "ampsim.models.optimizing.Muon")}


def build(section: Any, part: str = "", /, **extra: Any) -> Any:
    """Build the object that `_target_` names from the section's other keys, which are its keyword arguments.

    Dicts and lists are searched for nested sections; anything else is returned as it is.

    Args:
        part: data, model, loss, optimizer or schedule, one of which the object has to be; any of them if empty.
        extra: arguments that only the run knows, such as the sample rate.

    Raises:
        AmpsimError: the target is not an allowed one, does not exist, is no such part, or refuses its arguments.
    """
    return built(section, part, BASES, extra)


def built(section: Any, part: str, bases: dict[str, tuple[str, ...]], extra: dict[str, Any]) -> Any:
    if isinstance(section, list):
        return [built(item, part, bases, {}) for item in section]
    if not isinstance(section, dict):
        return section
    named = "_target_" in section
    target = located(section["_target_"], part, bases) if named else None
    inner = INSIDE if named else bases
    arguments = {key: built(value, part, inner, {}) for key, value in section.items() if key != "_target_"}
    if target is None:
        return arguments
    arguments |= extra
    refuse_unknown(target, section["_target_"], arguments)
    refuse_wrong_types(target, section["_target_"], arguments)
    try:
        return target(**arguments)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:  # of values that make no sense
        raise AmpsimError(f"{section['_target_']}: {error}") from error


def locate(path: str, part: str = "") -> type:
    """The class of a dotted path, if a config may name it and, where `part` is given, if it is such a part.

    Raises:
        AmpsimError: as `build`; or the plugin that holds it cannot be imported.
    """
    return located(path, part, INSIDE)


def standing_in(path: str) -> str:
    """The part that takes the place of this one with the Keras that is installed."""
    from packaging.version import Version  # of what is seldom named: completion answers before it is imported

    since, other = STAND_INS.get(path, ("", path))
    return other if since and Version(version("keras")) < Version(since) else path


def located(path: Any, part: str, bases: dict[str, tuple[str, ...]]) -> type:
    refuse_foreign({"_target_": path})
    path = standing_in(RENAMED.get(path, path))
    module, _, name = path.rpartition(".")
    top = module.partition(".")[0]
    plugin = None if top in ("ampsim", "keras") else plugins.found().of(top)
    of_plugin = f" (of the plugin {plugin})" if plugin else ""
    try:
        loaded = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        absent = isinstance(error, ModuleNotFoundError) and module.startswith(str(error.name))
        if isinstance(error, ImportError) and not absent and not plugin:
            raise  # a library that ampsim itself needs, which `main` tells of
        if absent or not plugin:
            raise AmpsimError(
                f"the config asks for `_target_: {path}`{of_plugin}, which does not exist ({error})"
            ) from error
        raise AmpsimError(f"`_target_: {path}`: {plugins.import_fault(plugin, error)}") from error
    target = getattr(loaded, name, None)
    if target is None:
        raise AmpsimError(
            f"the config asks for `_target_: {path}`{of_plugin}, which does not exist ({module} has no {name})"
        )
    # What a module merely imported (os, subprocess, Path) is not its to hand out.
    origins = ("ampsim", "keras", top)
    if not isinstance(target, type) or getattr(target, "__module__", "").split(".")[0] not in origins:
        raise AmpsimError(
            f"the config asks for `_target_: {path}`{of_plugin}, which is no part that a config can build"
        )
    refuse_other_kind(target, path, part, bases, of_plugin)
    return target


def refuse_other_kind(target: type, path: str, part: str, bases: dict[str, tuple[str, ...]], of_plugin: str) -> None:
    """Refuse a class that is not what its section builds, before an instance of it is made."""
    names = bases[part] if part else tuple(name for each in INSIDE.values() for name in each)
    if any(target is base_class(name) for name in names if name not in WHOLE):
        raise AmpsimError(
            f"the config asks for `_target_: {path}`, which is what such parts are derived from and no part itself"
        )
    if not issubclass(target, tuple(base for base in map(base_class, names) if base is not None)):
        wanted = " or ".join(names) if part else "a part of a run"
        raise AmpsimError(
            f"{part or 'the config'} asks for `_target_: {path}`{of_plugin}, which is no {part or 'part of a run'}: it "
            + (f"has to be a subclass of {wanted}" if part else f"has to be one of {', '.join(BASES)}")
        )


def base_class(path: str) -> type | None:
    module, _, name = path.rpartition(".")
    return getattr(sys.modules.get(module), name, None)


def files_of(section: dict[str, Any]) -> tuple[str, ...]:
    """The keys of a data section under which its source names files; none in what is no source, such as `splits`."""
    if "_target_" not in section:
        return ()
    return tuple(getattr(locate(section["_target_"], "data"), "files", ()))


def refuse_foreign(section: Any) -> None:
    """Refuse a `_target_` anywhere in a section that a config may not name, before anything of it is imported."""
    if isinstance(section, dict):
        path = section.get("_target_")
        path = RENAMED.get(path, path) if isinstance(path, str) else path
        if "_target_" in section and not (isinstance(path, str) and ALLOWED.fullmatch(path)):
            refuse_unless_of_a_plugin(path)
    if isinstance(section, dict | list):
        for inner in section.values() if isinstance(section, dict) else section:
            refuse_foreign(inner)


def refuse_unless_of_a_plugin(path: Any) -> None:
    rule = "a config may only name parts of ampsim, Keras' optimizers and their schedules, and parts of your plugins"
    shape = OF_A_PLUGIN.fullmatch(path) if isinstance(path, str) else None
    if shape is None or shape[1] in plugins.RESERVED:
        raise AmpsimError(f"the config asks for `_target_: {path}`; {rule}")
    package, there = shape[1], plugins.found()
    if fault := there.fault(package):
        raise AmpsimError(f"the config asks for `_target_: {path}`, but {fault}")
    if there.of(package) is None:
        raise AmpsimError(
            f"the config asks for `_target_: {path}`; {rule}: if you trust the package `{package}`, install it as a "
            "plugin of ampsim, or name the folder that holds it (plugins=folder)"
        )


def parameters_of(target: type) -> tuple[dict[str, inspect.Parameter], bool]:
    """What a class takes by name, those behind a `**kwargs` that its base classes take included; and whether it checks
    all other arguments itself."""
    parameters: dict[str, inspect.Parameter] = {}
    for each in target.__mro__:
        if "__init__" not in vars(each):
            continue
        if of_keras(each) and not of_keras(target) and not is_optimizer(target):
            return parameters | dict.fromkeys(KERAS_ARGUMENTS, ANYTHING), False
        own = list(inspect.signature(each.__init__).parameters.values())[1:]  # type: ignore[misc]
        named = {one.name: one for one in own if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
        parameters = named | parameters
        behind = [one.name for one in own if one.kind is one.VAR_KEYWORD]
        if not behind:
            break
        if behind[0] not in ("kwargs", "keras_arguments"):
            return parameters, True
    return parameters, False


KERAS_ARGUMENTS = ("name", "dtype", "trainable")  # what Keras itself takes behind a **
ANYTHING = inspect.Parameter("anything", inspect.Parameter.KEYWORD_ONLY)


def of_keras(target: type) -> bool:
    return target.__module__.partition(".")[0] == "keras"


def is_optimizer(target: type) -> bool:
    base = base_class(BASES["optimizer"][0])
    return base is not None and issubclass(target, base)


def refuse_unknown(target: type, path: str, arguments: dict[str, Any]) -> None:
    parameters, checks_itself = parameters_of(target)
    for name in arguments if not checks_itself else ():
        if name not in parameters:
            names = [known for known in parameters if parameters[known] is not ANYTHING]
            raise AmpsimError(f"{path} takes no `{name}`{nearest(name, names)}")


WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}


def refuse_wrong_types(target: type, path: str, arguments: dict[str, Any]) -> None:
    """Refuse text for a number and the like, where a parameter is annotated as something so plain; Keras annotates none,
    and would take anything for the optimizer inside another."""
    inner = arguments.get("inner_optimizer")
    if is_optimizer(target) and inner is not None and not is_optimizer(type(inner)):
        raise AmpsimError(f"{path}: inner_optimizer has no _target_ that names an optimizer")
    for name, parameter in parameters_of(target)[0].items():
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
    """The words `key=value` of a command by key; a value as it was meant, without Hydra's quotes and backslashes."""
    words = (word.lstrip("+").partition("=") for word in overrides if not word.startswith("~"))
    return {key: unquoted(value) for key, _, value in words}


def unquoted(value: str) -> str:
    quoted = re.fullmatch(r"(['\"])((?:(?!\1)[^\\]|\\.)*)\1", value, re.DOTALL)
    if not quoted:
        return re.sub(r"\\([\\()\[\]{}:=,\s])", r"\1", value)
    # Backslashes count where they stand before the quote that ends the text; `\\${` is no reference.
    found = re.sub(rf"(\\*)\\{quoted[1]}", lambda it: it[1][::2] + quoted[1], quoted[2]).replace(r"\${", "${")
    trailing = len(found) - len(found.rstrip("\\"))
    return found[: len(found) - trailing // 2]
