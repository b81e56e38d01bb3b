"""Composes and checks a config before anything heavy is loaded: the border to Hydra and OmegaConf."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from ampsim import AmpsimError
from ampsim.targets import flattened, nearest


@dataclass
class Training:
    """The closed section `training`: its names and types; the values stand in conf/training/."""

    segment_length: int = 8192
    batch_size: int = 1
    epochs: float | None = None
    seconds: float | None = None
    validate_every: float = 1.0
    patience: int | None = None
    steps_per_call: int = 8
    xla: bool = False
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
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            config = compose("config", list(overrides))
        return checked(plain(config))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise AmpsimError(explained(error, overrides)) from error


def plain(config: Any) -> dict[str, Any]:
    """A config without its `hydra` section, everything resolved. Audio paths become absolute, so that the saved config
    works from any folder."""
    resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    resolved.pop("hydra", None)
    resolved.pop("experiment", None)
    for key in ("path", "input", "target"):
        value = resolved["data"].get(key)
        if isinstance(value, str):
            resolved["data"][key] = absolute(value)
        elif isinstance(value, list):
            resolved["data"][key] = [absolute(item) if isinstance(item, str) else item for item in value]
    resolved["tracking"]["folder"] = absolute(resolved["tracking"]["folder"])
    return resolved


def absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def checked(config: dict[str, Any]) -> dict[str, Any]:
    """The config, once the closed section's numbers make sense."""
    training = config["training"]
    for name, minimum in AT_LEAST.items():
        if training[name] is not None and training[name] < minimum:
            raise AmpsimError(f"training.{name}={training[name]}: it is {minimum} or more")
    for name in ABOVE_ZERO:
        if training[name] is not None and not training[name] > 0:
            raise AmpsimError(f"training.{name}={training[name]}: it is above 0")
    if training["epochs"] is None and training["seconds"] is None:
        raise AmpsimError("a run needs a budget: set training.epochs or training.seconds")
    return config


def explained(error: Exception, overrides: Sequence[str]) -> str:
    """Hydra's complaint as a sentence, with the nearest valid name."""
    text = str(error)
    if isinstance(error.__cause__, OmegaConfBaseException):
        text = str(error.__cause__)
    if isinstance(error, InterpolationResolutionError) and (found := re.search(r"variable '(\w+)' not found", text)):
        return f"this config needs the environment variable {found[1]}: export {found[1]}=<folder with the recordings>"
    if isinstance(error, MissingConfigException) or "Could not find" in text:
        missing = re.findall(r"'(?:([\w/]+)/)?([^'/]+)'", text)
        if missing:
            group, choice = missing[-1]
            return f"there is no {group} `{choice}`{nearest(choice, choices(group))}"
    if found := re.search(r"Missing mandatory value: (\S+)|(\S+) is missing|Structured config of type", text):
        key = getattr(error, "full_key", None) or found[1] or found[2]
        return f"{key} has no value: add {key}=... to the command"
    if found := re.search(r"(?:Could not override|Key) '([\w./@]+)'", text):
        key = found[1] if "Could not override" in text else blamed(found[1], overrides)
        return f"the config has no `{key}`{nearest(key, known_keys(overrides))}"
    key = getattr(error, "full_key", None)
    first = text.strip().splitlines()[0]
    return f"{key}: {first}" if key and key not in first else first


def blamed(name: str, overrides: Sequence[str]) -> str:
    """The override's whole key, where Hydra names only its last part."""
    keys = [override.lstrip("+~").partition("=")[0] for override in overrides]
    return next((key for key in keys if key.split(".")[-1] == name or key == name), name)


def choices(group: str) -> list[str]:
    return [path.stem for path in (config_folder() / group).glob("*.yaml")]


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
