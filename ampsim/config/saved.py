"""A config that was saved, perhaps by someone else: it is data, and nothing of it is composed, resolved or imported."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ampsim import AmpsimError
from ampsim.config.plugins import disregard_settings_beside
from ampsim.config.schema import Training, checked, refuse_endless
from ampsim.config.targets import RENAMED, nearest, refuse_foreign
from ampsim.files import read_text

# Sections that name what they build, and where that may be from.
PARTS = {
    "data": ("ampsim.recordings.",),
    "model": ("ampsim.models.",),
    "loss": ("ampsim.losses.",),
    "optimizer": ("keras.optimizers.",),
    "schedule": ("ampsim.training.schedules.",),
}
REST = ("training", "seed", "name", "tracking")
LARGEST = 500_000  # bytes of a config, which are read within a second; ours have some thousand
DEEPEST = 50  # sections within sections; ours have six
NUMBERS, LONGEST_NUMBER = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"), 100


def read_config(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The config in a run's config.yaml, and what must be said about it. It is data: nothing is composed, resolved or
    imported.

    Raises:
        AmpsimError: the file is not there or no YAML of plain values; a section or key is missing, unknown or of a wrong
            type; a `_target_` is none that a config may name.
    """
    disregard_settings_beside(path)
    try:
        config = read_yaml(path)
    except ValueError as error:  # a whole number of thousands of digits
        raise AmpsimError(f"{path}: a value in it cannot be read ({error})") from error
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


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping of plain values from a YAML file, with its faults in the user's words.

    Raises:
        AmpsimError: see `read_text`; or it is no YAML, says a key twice, holds references or more than plain values, or is
            nested too deep.
    """
    text = read_text(path, "config", LARGEST)
    try:
        found = PlainLoader(text).get_single_data()
    except yaml.YAMLError as error:
        raise AmpsimError(f"{path}, {fault(error, 'a config')}") from error
    if not isinstance(found, dict):
        raise AmpsimError(f"{path} is not the config of a run: it holds {type(found).__name__}, not sections")
    return found


def fault(error: yaml.YAMLError, kind: str) -> str:
    """Where and why YAML is refused: `line 3: this is no YAML (...)`."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark else ""
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if isinstance(error, Unclear):
        return where + str(problem)
    if isinstance(error, yaml.constructor.ConstructorError):
        return f"{where}{kind} holds plain values only ({problem})"
    return f"{where}this is no YAML ({problem})"


class Unclear(yaml.MarkedYAMLError):
    """Well-formed YAML that a config may not use."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class PlainLoader(yaml.SafeLoader):
    """Reads YAML that says everything once and in its place, and stops at the first thing that does not."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):  # a few lines of them can stand for more than a machine holds
            raise Unclear(
                f"it holds a reference (*{event.anchor}): a config says everything in its place", event.start_mark
            )
        if self.depth == DEEPEST:
            raise yaml.MarkedYAMLError(problem="nested too deep", problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise Unclear(f"`{key.value:.60}` is there a second time; keep one", key.start_mark)
                seen.add((key.tag, key.value))
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        if node.tag in NUMBERS and len(node.value) > LONGEST_NUMBER:
            raise Unclear(f"a number has {len(node.value):,} digits", node.start_mark)
        try:
            return super().construct_object(node, deep)
        except ValueError as error:  # a day that no month has
            raise Unclear(f"`{node.value:.60}` cannot be read ({error})", node.start_mark) from error


class WordLoader(PlainLoader):
    """The same with every word left a word, also `on`, `7` and `null`."""


WordLoader.yaml_implicit_resolvers = {}


def words_of(text: str) -> Any:
    """What YAML holds, every value of it as text: strings in mappings and lists.

    Raises:
        AmpsimError: it is no such YAML; which line is at fault, and why.
    """
    try:
        return WordLoader(text).get_single_data()
    except yaml.YAMLError as error:
        raise AmpsimError(fault(error, "it")) from error
