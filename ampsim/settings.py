"""Composes and checks a config before anything heavy is loaded: the border to Hydra and OmegaConf."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from ampsim import AmpsimError
from ampsim.targets import flattened, nearest


@dataclass
class Training:
    """The closed section `training`: its names and types; the values stand in conf/training/."""

    segment_length: int = 2048
    batch_size: int = 4
    epochs: float | None = None
    seconds: float | None = None
    validate_every: float = 1.0
    patience: int | None = None
    steps_per_call: int = 8
    xla: bool | None = None
    checkpoint_every_s: float = 30.0
    resume: bool = False


AT_LEAST = {"segment_length": 1, "batch_size": 1, "steps_per_call": 1, "patience": 1, "checkpoint_every_s": 0}
ABOVE_ZERO = ("epochs", "seconds", "validate_every")


def config_folder() -> Path:
    """`conf/`, inside an installed package or at the top of a checkout."""
    here = Path(__file__).parent
    return here / "conf" if (here / "conf").is_dir() else here.parent / "conf"


def register_schema() -> None:
    ConfigStore.instance().store(group="training", name="schema", node=Training)


def composed(overrides: Sequence[str]) -> dict[str, Any]:
    """The resolved config of one run, as plain dicts and lists.

    Raises:
        AmpsimError: an override that does not parse, names nothing or has a wrong type; a value that is missing.
    """
    register_schema()
    for override in overrides:
        refuse_unreadable(override)
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            config = compose("config", list(overrides))
        return checked(plain(config))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise AmpsimError(explained(error, overrides)) from error


def split_flags(words: Sequence[str]) -> tuple[list[str], bool]:
    """The overrides among a command's words, without Hydra's own flags, and whether these ask for a sweep."""
    known, rest = get_args_parser().parse_known_args(list(words))
    if unknown := [word for word in rest if word.startswith("-")]:
        raise AmpsimError(f"there is no option {unknown[0]}; `ampsim train --help` tells what there is")
    return [*known.overrides, *rest], bool(known.multirun)


def jobs(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of each job of a sweep; one that does not parse is refused."""
    for override in overrides:
        refuse_unreadable(override)
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [list(job) for batch in BasicSweeper.split_arguments(parsed, None) for job in batch]


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
    resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    resolved.pop("hydra", None)
    resolved.pop("experiment", None)
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
    if training["epochs"] is None and training["seconds"] is None:
        raise AmpsimError("a run needs a budget: set training.epochs or training.seconds")
    return config


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
        return f"there is no {group} `{choice}`{nearest(choice, choices(group))}"
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
            with initialize_config_dir(str(config_folder()), version_base="1.3"):
                config = OmegaConf.to_container(compose("config", list(usable)), resolve=False)
            return [*flattened(config), *(path.name for path in config_folder().iterdir() if path.is_dir())]  # type: ignore[arg-type]
        except HydraException:
            continue
    return []
