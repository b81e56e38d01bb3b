"""Composes and checks a config before anything heavy is loaded: the border to Hydra and OmegaConf."""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from ampsim import AmpsimError
from ampsim.targets import flattened, nearest, refuse_foreign

FLAGS = (
    "overrides",
    "multirun",
    "run",
    "cfg",
    "resolve",
    "package",
    "info",
    "help",
)  # of Hydra's, as argparse has them


class Precision(str, Enum):
    float32 = "float32"
    bfloat16 = "bfloat16"


@dataclass
class Training:
    """The closed section `training`: its names and types; the values stand in conf/training/."""

    segment_length: int = 2048
    batch_size: int | None = None
    epochs: float | None = None
    seconds: float | None = None
    validate_every: float = 1.0
    patience: int | None = None
    steps_per_call: int = 8
    xla: bool | None = None
    precision: Precision = Precision.float32
    devices: Any = 1
    checkpoint_every_s: float = 30.0
    resume: bool = False


@dataclass
class Sweep:
    """The closed section `sweep`: how a sweep is run, and no part of what its runs are."""

    resume: bool | None = None
    job_timeout_s: float | None = None
    budget_s: float | None = None
    threads: int | None = None


AT_LEAST = {"segment_length": 1, "batch_size": 1, "steps_per_call": 1, "patience": 1, "checkpoint_every_s": 0}
ABOVE_ZERO = ("epochs", "seconds", "validate_every")


# Launchers that come with a library, and the extra of ours that installs it.
LAUNCHERS = {"joblib": "joblib", "submitit_local": "slurm", "submitit_slurm": "slurm"}


def config_folder() -> Path:
    """`conf/`, inside an installed package or at the top of a checkout."""
    here = Path(__file__).parent
    return here / "conf" if (here / "conf").is_dir() else here.parent / "conf"


def register_schema() -> None:
    ConfigStore.instance().store(group="training", name="schema", node=Training)
    ConfigStore.instance().store(group="sweep", name="schema", node=Sweep)


def composed(overrides: Sequence[str]) -> dict[str, Any]:
    """The resolved config of one run, as plain dicts and lists.

    Raises:
        AmpsimError: an override that does not parse, names nothing or has a wrong type; a value that is missing.
    """
    for override in overrides:
        refuse_unreadable(override)
    with told(overrides), conf():
        return checked(plain(compose("config", with_one_budget(overrides))))


@contextmanager
def conf() -> Iterator[Any]:
    """Hydra, with conf/ open; a search composes its jobs while it is."""
    register_schema()
    if GlobalHydra.instance().is_initialized():
        yield GlobalHydra.instance().hydra
        return
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        yield GlobalHydra.instance().hydra


@contextmanager
def told(overrides: Sequence[str]) -> Iterator[None]:
    """What Hydra finds wrong with the overrides, as a sentence."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise AmpsimError(explained(error, overrides)) from error


def with_one_budget(overrides: Sequence[str]) -> list[str]:
    """A budget in epochs on the command line replaces that in seconds, which would otherwise end the run before."""
    keys = {override.lstrip("+").partition("=")[0] for override in overrides}
    alone = "training.epochs" in keys and "training.seconds" not in keys
    return [*overrides, "training.seconds=null"] if alone else list(overrides)


def split_flags(words: Sequence[str]) -> tuple[list[str], bool]:
    """The overrides among a command's words, without Hydra's own flags, and whether these ask for a sweep."""
    known, rest = get_args_parser().parse_known_args(list(words))
    # The others would run a pickle (--experimental-rerun) or compose a stranger's config, whose parts Hydra would build.
    refused = [f"--{name.replace('_', '-')}" for name, value in vars(known).items() if value and name not in FLAGS]
    if unknown := refused + [word for word in rest if word.startswith("-")]:
        raise AmpsimError(f"there is no option {unknown[0]}; `ampsim train --help` tells what there is")
    overrides = [*known.overrides, *rest]
    if any(word.lstrip("+~").startswith("hydra.searchpath") for word in overrides):  # a stranger's YAML, as above
        raise AmpsimError("hydra.searchpath cannot be set: a config of yours goes into conf/, or comes as key=value")
    return overrides, bool(known.multirun)


def refuse_unreadable(override: str) -> None:
    try:
        readable = bool(OverridesParser.create().parse_override(override).key_or_group)
    except HydraException:
        readable = False
    if not readable:
        raise AmpsimError(f"`{override}` is not understood: write key=value, and quote a value with spaces or brackets")


def plain(config: Any) -> dict[str, Any]:
    """A config without its `hydra` section, everything resolved. Audio paths become absolute, so that the saved config
    works from any folder."""
    resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)
    resolved.pop("hydra", None)
    resolved.pop("experiment", None)
    resolved.pop("sweep", None)
    data = resolved["data"]
    for section in (data, data["recording"]) if isinstance(data.get("recording"), dict) else (data,):
        for key in ("path", "input", "target", "teacher"):
            value = section.get(key)
            if isinstance(value, str):
                section[key] = absolute(value)
            elif isinstance(value, list):
                section[key] = [absolute(item) if isinstance(item, str) else item for item in value]
    if not isinstance(resolved["tracking"]["folder"], str):
        raise AmpsimError("tracking.folder names no folder")
    resolved["tracking"]["folder"] = absolute(resolved["tracking"]["folder"])
    return resolved


def absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def checked(config: dict[str, Any]) -> dict[str, Any]:
    """The config, once the closed section's numbers make sense."""
    training, seed = config["training"], config["seed"]
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise AmpsimError(f"seed={seed}: it is a whole number from 0 to {2**32 - 1}")
    for name, minimum in AT_LEAST.items():
        if training[name] is not None and training[name] < minimum:
            raise AmpsimError(f"training.{name}={training[name]}: it is {minimum} or more")
    for name in ABOVE_ZERO:
        if training[name] is not None and not 0 < training[name] < math.inf:
            raise AmpsimError(f"training.{name}={training[name]}: it is above 0 and finite")
    devices = training["devices"]
    if devices != "all" and (isinstance(devices, bool) or not isinstance(devices, int) or devices < 1):
        raise AmpsimError(f"training.devices={devices}: it is `all` or a number, 1 or more")
    if training["epochs"] is None and training["seconds"] is None:
        raise AmpsimError("a run needs a budget: set training.epochs or training.seconds")
    return config


# ---- A config that was saved ----------------------------------------------------------------------------------------

# Sections that name what they build, and where that may be from.
PARTS = {
    "data": ("ampsim.pairs.", "ampsim.captures."),
    "model": ("ampsim.models.",),
    "loss": ("ampsim.losses.",),
    "optimizer": ("keras.optimizers.",),
    "schedule": ("ampsim.schedules.",),
}
REST = ("training", "seed", "name", "tracking")


def saved(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The config in a run's config.yaml, and what must be said about it. It is data: nothing is composed, resolved or
    imported.

    Raises:
        AmpsimError: the file is not there or no YAML of plain values; a section or key is missing, unknown or of a wrong
            type; a `_target_` is none that a config may name.
    """
    config = read_yaml(path)
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
            if not config[name]["_target_"].startswith(places):
                raise AmpsimError(f"{name} asks for `_target_: {config[name]['_target_']}`, which is no {name}")
        if not isinstance(config.get("name"), str | None):
            raise AmpsimError(f"name={config['name']!r}: it is text or null")
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
    """A mapping of plain values from a YAML file, with its faults in the user's words."""
    if path.is_char_device() or path.is_fifo():  # which may never end
        raise AmpsimError(f"{path} is no file, but a device or a pipe")
    try:
        text = path.read_text(encoding="utf-8")
        # A few lines of them can stand for more than a machine holds, or for themselves.
        if alias := next((event for event in yaml.parse(text) if isinstance(event, yaml.AliasEvent)), None):
            raise AmpsimError(f"{path} holds a reference (*{alias.anchor}): a config says everything in its place")
        found = yaml.safe_load(text)
    except OSError as error:
        raise AmpsimError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AmpsimError(f"{path} is not text in UTF-8: is it a config?") from error
    except yaml.constructor.ConstructorError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise AmpsimError(f"{path}{line}: a config holds plain values only ({error.problem})") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise AmpsimError(f"{path}{where}: this is no YAML ({problem})") from error
    if not isinstance(found, dict):
        raise AmpsimError(f"{path} is not the config of a run: it holds {type(found).__name__}, not sections")
    return found


def explained(error: Exception, overrides: Sequence[str]) -> str:
    """Hydra's complaint as a sentence, with the nearest valid name."""
    first = str(error).strip().splitlines()[0]
    reason = str(error.__cause__).splitlines()[0] if error.__cause__ else ""
    if isinstance(error, InterpolationResolutionError) and (
        found := re.search(r"variable '(\w+)' not found", str(error))
    ):
        return f"this config needs the environment variable {found[1]}: export {found[1]}=<folder with the recordings>"
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} has no value: add {error.full_key}=... to the command"
    if isinstance(error, MissingConfigException):
        group, _, choice = (error.missing_cfg_file or "").rpartition("/")
        if group == "hydra/launcher" and choice in LAUNCHERS:
            return f"hydra/launcher={choice} needs a library: pip install 'ampsim[{LAUNCHERS[choice]}]'"
        return f"there is no {group} `{choice}`{nearest(choice, choices(group))}"
    if found := re.match(r"Could not override '(hydra\.[^']+)'", first):
        return f"the config has no `{found[1]}`; `ampsim train --cfg hydra` shows what Hydra's sections hold"
    if found := re.match(r"Could not override '([^']+)'", first):
        return f"the config has no `{found[1]}`{elsewhere(found[1]) or nearest(found[1], known_keys(overrides))}"
    if found := re.match(r"Error merging override (.*)", first):
        return f"{found[1]}: {reason}"
    return first + (f" ({reason})" if reason and reason not in first else "")


def elsewhere(key: str) -> str:
    """A clause that names the choices of a group which do have this key: `data.path` belongs to data=stereo."""
    group, _, rest = key.partition(".")
    files: dict[str, Any] = {
        name: OmegaConf.to_container(OmegaConf.load(config_folder() / group / f"{name}.yaml"))
        for name in choices(group)
    }
    having = [name for name, section in files.items() if isinstance(section, dict) and rest in flattened(section)]
    return f"; it belongs to {' or '.join(f'{group}={name}' for name in having)}" if having else ""


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml")) if group else []


def known_keys(overrides: Sequence[str]) -> list[str]:
    """Every key that the config has, with those overrides that are themselves valid."""
    for usable in ([item for item in overrides if "." not in item.partition("=")[0]], []):
        try:
            with conf():
                config = OmegaConf.to_container(compose("config", list(usable)), resolve=False)
            return [*flattened(config), *(path.name for path in config_folder().iterdir() if path.is_dir())]  # type: ignore[arg-type]
        except HydraException:
            continue
    return []
