"""The pages of the reference that are made from the code itself: config keys, metrics, commands, the Python API."""

import contextlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from functools import cache
from inspect import Parameter
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from ampsim.cli import main as cli
from ampsim.config import settings, targets
from ampsim.desk import schema as schemas
from ampsim.metrics.scores import SCORES, Score
from ampsim.recordings.virtual_amp import VirtualAmpSettings

CONF = settings.config_folder()
CLOSED = schemas.CLOSED
OF_THE_RUN = {"sample_rate", "input_gain", "output_gain", *targets.KERAS_ARGUMENTS}  # no key of a model's section
ABOUT = {  # of groups, and of what is no group
    "data": "What the recording is, and how it is checked, aligned and split.",
    "model": "The net.",
    "loss": "What training minimises: terms by name, each with its weight.",
    "optimizer": "How a step follows from a gradient. The classes are Keras' own.",
    "schedule": "How the learning rate goes on from the optimizer's `learning_rate`.",
    "training": "Segments, budget, validation, devices.",
    "sweep": "How a sweep is run; it changes nothing of what its runs are.",
    "tracking": "Where runs are kept.",
    "hydra/launcher": "What carries out the jobs of a sweep; `joblib` and `submitit_slurm` come with their libraries.",
    "hydra/sweeper": "What chooses the jobs of `ampsim train -m`.",
}
UNITS = {"seconds": "s", "_ms": "ms", "_s": "s", "_dbu": "dBu", "_db": "dB", "_hz": "Hz", "sample_rate": "Hz"}
SAMPLES = {"delay", "window", "future", "taps", "tail", "taps_before", "taps_after", "burn_in", "segment_length"}
WORDS = {int: "whole number", float: "number", bool: "true or false", str: "text", type(None): "null", Any: "any"}
WORDS |= {list: "list", tuple: "list", dict: "section"}
COMMENT = re.compile(r"\s#\s+(.+)$")


@dataclass(frozen=True)
class Key:
    """One key of a section: `name` is dotted below it; `meaning` is empty where nothing tells it."""

    name: str
    type: str
    unit: str
    default: str
    meaning: str

    @property
    def row(self) -> str:
        kind = f"{self.type}, {self.unit}" if self.unit else self.type
        return f"| `{self.name}` | {escaped(self.meaning)} | {kind} | {self.default} |"


# ---- Config keys ----------------------------------------------------------------------------------------------------


def groups() -> list[str]:
    """The folders of conf/ in which a choice is made of keys; `experiment` chooses and overrides those of the others."""
    return [*(group for group in settings.groups() if group != "experiment"), "hydra/launcher", "hydra/sweeper"]


def choices(group: str) -> list[Path]:
    return sorted((CONF / group).glob("*.yaml"))


def head(path: Path) -> tuple[str, str]:
    """What the comment at the top of a file says, and its commands."""
    lines = [line.lstrip("#") for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    lines = [line for line in lines if not line.startswith(" @package")]
    commands = [line.strip() for line in lines if line.startswith("   ") and line.strip().startswith("ampsim ")]
    prose = " ".join(line.strip() for line in lines if line.strip() not in commands)
    return re.sub(r":(?= [A-Z]|$)", ".", prose), "\n".join(commands)  # a colon led to a command, which is shown below


def section_keys(path: Path, group: str) -> list[Key]:
    """Every key that a choice sets, and those that it leaves to the defaults of the class it names."""
    node = yaml.compose(path.read_text(encoding="utf-8"))
    return list(keys_of(node, path.read_text(encoding="utf-8").splitlines(), CLOSED.get(group), group))


def keys_of(
    node: yaml.MappingNode, lines: list[str], owner: type | None, group: str, prefix: str = ""
) -> Iterator[Key]:
    inner = {key.value: (key, value) for key, value in node.value if key.value not in ("defaults", "_target_")}
    named = {key.value: value.value for key, value in node.value}.get("_target_")
    owner = owner_of(named) if isinstance(named, str) else owner
    typed = arguments(owner) if owner else {}
    for name, (key, value) in inner.items():
        if isinstance(value, yaml.MappingNode) and (holds_part(value) or name == "terms"):
            yield from keys_of(value, lines, None, group, f"{prefix}{name}.")
            continue
        meaning = comment_of(key, lines) or documented(owner, name) or comments(group, owner).get(name, "")
        kind = type_of(typed.get(name), value, "text" if owner is None else "number")
        yield Key(prefix + name, kind, unit(name), default_of(value), plain(meaning))
    for name, parameter in typed.items():
        if name not in inner and name not in OF_THE_RUN and parameter.default is not Parameter.empty:
            meaning = documented(owner, name) or comments(group, owner).get(name, "")
            yield Key(prefix + name, type_of(parameter, None), unit(name), written(parameter.default), plain(meaning))


def holds_part(node: yaml.MappingNode) -> bool:
    return any(key.value == "_target_" for key, _ in node.value)


def owner_of(path: str) -> type:
    if path.startswith(("ampsim.studies", "hydra_plugins")):  # Hydra's own groups
        module, _, name = path.rpartition(".")
        return getattr(__import__(module, fromlist=[name]), name)
    return targets.locate(path)


@cache
def arguments(owner: type) -> Mapping[str, Parameter]:
    """What a class takes by name. Of Keras' optimizers only what YAML sets is shown: the rest is Keras' to document."""
    hints = getattr(owner, "__dataclass_fields__", {})
    if owner in CLOSED.values() or owner.__module__.startswith("ampsim.studies"):
        types = get_type_hints(owner)
        return {name: Parameter(name, Parameter.KEYWORD_ONLY, annotation=types[name]) for name in hints}
    if targets.of_keras(owner):
        return {}
    taken = dict(targets.parameters_of(owner)[0])
    if owner.__name__ == "VirtualAmp":
        types = get_type_hints(VirtualAmpSettings)
        taken |= {
            each.name: Parameter(each.name, Parameter.KEYWORD_ONLY, annotation=types[each.name], default=each.default)
            for each in fields(VirtualAmpSettings)
        }
    return {name: each for name, each in taken.items() if each is not targets.ANYTHING}


def comment_of(key: yaml.ScalarNode, lines: list[str]) -> str:
    """The comment behind a key that begins its line."""
    line = lines[key.start_mark.line]
    found = COMMENT.search(line) if line.lstrip().startswith(f"{key.value}:") else None
    return found[1] if found else above(key.start_mark.line, lines)


def above(number: int, lines: list[str]) -> str:
    """Comment lines directly above a key, but not those at the top of the file."""
    found: list[str] = []
    while number > 0 and lines[number - 1].lstrip().startswith("# "):
        number -= 1
        found.insert(0, lines[number].strip().lstrip("# "))
    return " ".join(found) if number > 0 else ""


def documented(owner: type | None, name: str) -> str:
    """What the `Args:` of a class, or of one that it is derived from, say of an argument; Keras' own are not shown."""
    if owner is None or targets.of_keras(owner):
        return ""
    shown = schemas.documented(VirtualAmpSettings) if owner.__name__ == "VirtualAmp" else {}
    return (shown | schemas.documented(owner)).get(name, "")


@cache
def comments(group: str, owner: type | None) -> Mapping[str, str]:
    """What the files of a group say of the keys of a class, so that each needs to be told once. Optimizers of Keras have
    many keys in common, and tell each other's."""
    found: dict[str, str] = {}
    for path in choices(group):
        text = path.read_text(encoding="utf-8")
        stack = [yaml.compose(text)]
        while stack:
            node = stack.pop()
            named = {key.value: value.value for key, value in node.value}.get("_target_")
            of = owner_of(named) if isinstance(named, str) else None
            stack += [value for _, value in node.value if isinstance(value, yaml.MappingNode)]
            if of is owner or (of and owner and targets.of_keras(of) and targets.of_keras(owner)):
                told = {key.value: comment_of(key, text.splitlines()) for key, _ in node.value}
                found = {key: comment for key, comment in told.items() if comment} | found
    return found


# ---- How it is written ----------------------------------------------------------------------------------------------


def unit(name: str) -> str:
    if name in SAMPLES:
        return "samples"
    return next((text for ending, text in UNITS.items() if name.endswith(ending)), "")


def type_of(parameter: Parameter | None, value: yaml.Node | None, unknown: str = "number") -> str:
    """What may be given; `unknown` is what a null without an annotation stands for."""
    annotation = Parameter.empty if parameter is None else parameter.annotation
    if annotation is Parameter.empty or (annotation is Any and value is None):
        shown = None if value is None else yaml.safe_load(yaml.serialize(value))
        return f"{unknown} or null" if shown is None else WORDS.get(type(shown), "text")
    return type_name(annotation)


def type_name(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in WORDS:
        return WORDS[annotation]
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(type_name, inner)))
    if origin is Literal:
        return " or ".join(f"`{each}`" for each in inner)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{each.value}`" for each in annotation)
    if origin is not None:
        return "section" if "dict" in str(origin).lower() or "mapping" in str(origin).lower() else "list"
    return "section"


def default_of(node: yaml.Node) -> str:
    return written(yaml.safe_load(yaml.serialize(node)))


def written(value: Any) -> str:
    if value == "???":
        return "needed"
    if callable(value):  # a dataclass' factory
        return ""
    if isinstance(value, Enum):
        value = value.value
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("\n...\n").strip()
    return f"`{text}`" if len(text) <= 60 else f"a list of {len(value)}"


def plain(meaning: str) -> str:
    """One sentence of a table has no full stop."""
    return meaning if ". " in meaning else meaning.rstrip(".")


def escaped(text: str) -> str:
    return text.replace("|", "\\|")


# ---- Pages ----------------------------------------------------------------------------------------------------------

TABLE = "| key | meaning | type, unit | default |\n|---|---|---|---|"


def pages() -> dict[str, str]:
    """Every page that is made, as Markdown by its path in the site."""
    made = {f"reference/config/{group.replace('/', '-')}.md": group_page(group) for group in groups()}
    return {
        "reference/config/index.md": config_page(),
        **made,
        "reference/config/experiment.md": experiment_page(),
        "reference/commands.md": commands_page(),
        "reference/metrics.md": metrics_page(),
    }


def config_page() -> str:
    lists = "\n".join(
        f"- [`{group}`]({group.replace('/', '-')}.md): {ABOUT[group]} Choices: "
        + ", ".join(f"`{path.stem}`" for path in choices(group))
        for group in groups()
    )
    keys = "\n".join(key.row for key in section_keys(CONF / "config.yaml", "") if key.name in ("seed", "name"))
    return (
        "# Every config key\n\nA run is described by one choice in each group, and by values. `GROUP=CHOICE` chooses, "
        "`GROUP.KEY=VALUE` sets; see [choosing the parts of a run](../choices.md). A default in a table is that of the "
        "choice; an [experiment](experiment.md) may set another one.\n\n"
        f"{lists}\n- [`experiment`](experiment.md): whole runs and studies.\n\n## Keys of no group\n\n{TABLE}\n{keys}\n"
    )


def group_page(group: str) -> str:
    parts = [f"# Config: `{group}`\n\n{ABOUT[group]}"]
    for path in choices(group):
        prose, commands = head(path)
        parts.append(f"## `{group}={path.stem}`\n\n{prose}")
        if commands:
            parts.append(f"```text\n{commands}\n```")
        if keys := section_keys(path, group):
            parts.append("\n".join([TABLE, *(key.row for key in keys)]))
        else:
            parts.append("It has no keys.")
    return "\n\n".join(parts) + "\n"


def experiment_page() -> str:
    parts = [
        "# Config: `experiment`\n\nFiles that choose and override the other groups: whole runs, and studies with their sweep."
    ]
    for path in choices("experiment"):
        text = path.read_text(encoding="utf-8")
        body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        prose, commands = head(path)
        shown = f"```text\n{commands}\n```\n\n" if commands else ""
        parts.append(f"## `experiment={path.stem}`\n\n{prose}\n\n{shown}```yaml\n{body.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def commands_page() -> str:
    parts = [f"# Every command\n\n```text\n{cli.overview()}```"]
    parts += [f"## `ampsim {name}`\n\n```text\n{told(name)}```" for name in cli.COMMANDS]
    return "\n\n".join(parts) + "\n"


def told(command: str) -> str:
    """What `ampsim COMMAND --help` prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        cli.found(command)(["--help"])
    return printed.getvalue()


def metrics_page() -> str:
    kinds = {"quality": "How close it comes", "cost": "What it costs", "floor": "What the recording allows"}
    parts = [
        "# Every metric\n\nIn MLflow a score of the test split is called `test_NAME`. `ampsim evaluate verbose=true` shows "
        "all of a run, and `ampsim compare metric=NAME` ranks by one. What ESR, hiss and predicted MUSHRA are worth is "
        "among the [concepts](../concepts/esr.md)."
    ]
    for kind, title in kinds.items():
        rows = "\n".join(metric_row(score) for score in SCORES.values() if score.kind == kind)
        parts.append(f"## {title}\n\n| name | title | better | meaning |\n|---|---|---|---|\n{rows}")
    return "\n\n".join(parts) + "\n"


def metric_row(score: Score) -> str:
    better = "near 0" if score.signed else "higher" if score.larger_is_better else "lower"
    better = "" if score.kind == "floor" else better
    notes = [score.meaning]
    notes += ["also on validation, for searches"] * score.validated
    notes += ["needs the model, not only its render"] * score.of_model
    return f"| `{score.name}` | {score.title} | {better} | {escaped('; '.join(notes))} |"
