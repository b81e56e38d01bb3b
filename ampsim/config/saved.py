"""A config that was saved, perhaps by someone else: it is data, and nothing of it is composed, resolved or imported."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ampsim import AmpsimError
from ampsim.config.plugins import disregard_settings_beside
from ampsim.config.schema import Training, checked, refuse_endless
from ampsim.config.targets import RENAMED, nearest, refuse_foreign
from ampsim.plain_yaml import read_yaml

# Sections that name what they build, and where that may be from.
PARTS = {
    "data": ("ampsim.recordings.",),
    "model": ("ampsim.models.",),
    "loss": ("ampsim.losses.",),
    "optimizer": ("keras.optimizers.",),
    "schedule": ("ampsim.training.schedules.",),
}
REST = ("training", "seed", "name", "tracking")


def read_config(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The config in a run's config.yaml, and what must be said about it. It is data: nothing is composed, resolved or
    imported.

    Raises:
        AmpsimError: the file is not there or no YAML of plain values; a section or key is missing, unknown or of a wrong
            type; a `_target_` is none that a config may name.
    """
    disregard_settings_beside(path)
    config = read_yaml(path, "config")
    if not isinstance(config, dict):
        raise AmpsimError(f"{path} is not the config of a run: it holds {type(config).__name__}, not sections")
    try:
        for name in (*PARTS, "training"):
            if not isinstance(config.get(name), dict):
                raise AmpsimError(f"it has no section `{name}`, as the config of a run has")
        for name in config:
            if name not in (*PARTS, *REST):
                raise AmpsimError(f"a config has no `{name}`{nearest(str(name), [*PARTS, *REST])}")
        for name in PARTS:
            if "_target_" not in config[name]:
                raise AmpsimError(f"{name} has no _target_, so that it is not known what to build")
        refuse_foreign(config)
        for name, places in PARTS.items():
            target = config[name]["_target_"] = RENAMED.get(config[name]["_target_"], config[name]["_target_"])
            ours = target.startswith(("ampsim.", "keras."))  # what a plugin's class is, `build` checks: that imports it
            if ours and not target.startswith(places):
                raise AmpsimError(f"{name} asks for `_target_: {config[name]['_target_']}`, which is no {name}")
        refuse_endless(config)
        training, notes = typed_training(config["training"], str(path))
        return checked({**config, "training": training, "seed": config.get("seed")}), notes
    except AmpsimError as error:
        raise AmpsimError(f"{path}: {error}") from error


def typed_training(section: dict[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    """The section `training` with its types; a key that a version before this one did not write takes its default."""
    schema = OmegaConf.structured(Training)
    for key, value in section.items():
        if isinstance(value, list | dict) or "${" in str(value):  # what was saved had been resolved
            raise AmpsimError(f"training.{key}={value!r}: it is one plain value")
    try:
        training: Any = OmegaConf.to_container(OmegaConf.merge(schema, section), enum_to_str=True)
    except OmegaConfBaseException as error:
        first = str(error).strip().splitlines()[0]
        unknown = re.match(r"Key '(.*)' not in", first)
        known = nearest(unknown[1], [each.name for each in fields(Training)]) if unknown else ""
        raise AmpsimError(
            f"training has no `{unknown[1]}`{known}" if unknown else f"training.{error.full_key}: {first}"
        ) from error
    missing = [key for key in training if key not in section]
    return training, [f"{where} says nothing of training.{key}: it is {training[key]}" for key in missing]
