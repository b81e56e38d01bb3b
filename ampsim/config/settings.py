"""Composes and checks a config before anything heavy is loaded: the border to Hydra and OmegaConf."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from ampsim.config.plugins import config_folder, found
from ampsim.config.schema import Sweep, Training, checked
from ampsim.config.targets import files_of, flattened, nearest

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


# Launchers that come with a library, and the extra of ours that installs it.
LAUNCHERS = {"joblib": "joblib", "submitit_local": "slurm", "submitit_slurm": "slurm"}


def config_folders() -> list[Path]:
    """ampsim's own `conf/`, and those of the plugins."""
    return [config_folder(), *(plugin.conf for plugin in found().plugins if plugin.conf.is_dir())]


def groups() -> list[str]:
    """The folders of the config, each of which holds choices; without Hydra's own."""
    inner = (path for folder in config_folders() for path in folder.iterdir())
    return sorted({path.name for path in inner if path.is_dir() and any(path.glob("*.yaml"))})


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
    except yaml.MarkedYAMLError as error:  # in a file of a plugin's
        mark = error.problem_mark
        where = f"{mark.name}, line {mark.line + 1}" if mark else "a file of a plugin"
        raise AmpsimError(f"{where}: {error.problem}") from error
    except RecursionError as error:
        raise AmpsimError("a YAML file of a plugin is nested too deep") from error


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
        for key in files_of(section):
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
        path.stem: OmegaConf.to_container(OmegaConf.load(path))
        for folder in config_folders()
        for path in sorted((folder / group).glob("*.yaml"))
    }
    having = [name for name, section in files.items() if isinstance(section, dict) and rest in flattened(section)]
    return f"; it belongs to {' or '.join(f'{group}={name}' for name in having)}" if having else ""


def choices(group: str) -> list[str]:
    folders = config_folders() if group else []
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})


def known_keys(overrides: Sequence[str]) -> list[str]:
    """Every key that the config has, with those overrides that are themselves valid."""
    for usable in ([item for item in overrides if "." not in item.partition("=")[0]], []):
        try:
            with conf():
                config: Any = OmegaConf.to_container(compose("config", list(usable)), resolve=False)
            folders = [path.name for folder in config_folders() for path in folder.iterdir() if path.is_dir()]
            return [*flattened(config), *dict.fromkeys(folders)]
        except HydraException:
            continue
    return []
