"""Composes and checks a config before anything heavy is loaded: the border to Hydra and OmegaConf."""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from ampsim import AmpsimError
from ampsim.config.plugins import config_folder, config_folders, with_conf
from ampsim.config.run_config import worded
from ampsim.config.schema import Sweep, Training, checked
from ampsim.config.targets import BASES, files_of, flattened, nearest
from ampsim.files import expanded, rejoined, uncollected
from ampsim.plain_yaml import read_yaml

# Of Hydra's, as argparse has them.
FLAGS = ("overrides", "multirun", "run", "cfg", "resolve", "package", "info", "help")

# Launchers that come with a library, and the extra of ours that installs it.
LAUNCHERS = {"joblib": "joblib", "submitit_local": "slurm", "submitit_slurm": "slurm"}


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
        with uncollected():
            yield
    except (HydraException, OmegaConfBaseException, ValueError, OverflowError) as error:
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


# ---- Words as they are typed ----------------------------------------------------------------------------------------

# Keys whose values are names of files, folders and runs, which hold what means something else in Hydra's grammar.
NAMES = re.compile(r"\+{0,2}(data\.[\w.]+|tracking\.\w+|name|hydra\.sweeper\.(storage|study))")


def as_meant(word: str) -> str:
    """A word of a command, with a name in quotes that Hydra's grammar would refuse or read as something else:
    `data.path=take #2.wav`, and `data.path=a,b.wav` where there is a file of that name.

    Raises:
        AmpsimError: it names a file that is there, and other files too.
    """
    key, equals, value = word.partition("=")
    if not equals or not NAMES.fullmatch(key):
        return word
    names = read_as(word)
    if not there(value) and (text := as_list(key, value, names)):
        return f"{key}={text}"
    if names == [] and not key.lstrip("+").startswith("data.") and value != "null":
        return f"{key}={worded(value)}"  # these are text: a folder 2024, a run 7
    if names is not None and (not names or not there(value) or (names == [value] and "${" not in value)):
        return word
    if names and names != [value] and all(map(there, names)):
        others = " and ".join(f"`{name}`" for name in names)
        raise AmpsimError(
            f"`{word}` may mean the file `{value}` or {others}, and all are there: for the first, type "
            f"{typed(key, value)}; for the other, move the first away"
        )
    return f"{key}={worded(value)}"


def as_list(key: str, value: str, names: list[str] | None) -> str:
    """A list or a sweep of names, each in quotes that needs them; empty where `names`, as Hydra reads it, is what it means."""
    listed = value[:1] == "[" and value[-1:] == "]"
    pieces = (value[1:-1] if listed else value).split(",")
    found = rejoined(pieces, there)
    split_by_hydra = any(there(name) and {*name} & {",", " "} for name in {*found} - {*(names or [])})
    if names is not None and (all(map(there, names)) or not split_by_hydra):
        return ""
    text = ",".join(as_named(key, name) for name in found)
    return f"[{text}]" if listed else text


def as_named(key: str, name: str) -> str:
    names = read_as(f"{key}={name}")
    return name if names == [name] or (names is not None and not there(name)) else worded(name)


def read_as(word: str) -> list[str] | None:
    """The texts that Hydra reads in a word's value, none for a number and the like; None where it reads nothing."""
    try:
        with uncollected():
            override = OverridesParser.create().parse_override(word)
        value: Any = override.value()
    except (HydraException, ValueError, RecursionError):  # a whole number of thousands of digits; brackets as many
        return None
    if not override.key_or_group:
        return None
    values = value.list if isinstance(value, ChoiceSweep) else value if isinstance(value, list) else [value]
    return [
        each.text if isinstance(each, QuotedString) else each for each in values if isinstance(each, str | QuotedString)
    ]


def there(name: str) -> bool:
    return bool(name) and os.path.lexists(os.path.expanduser(name))  # noqa: PTH111 - which refuses no name


def typed(key: str, text: str) -> str:
    """The word that gives a key this very text, as a shell takes it."""
    return shlex.quote(f'{key}="{text}"' if not set(text) & set('"\\$') else f"{key}={worded(text)}")


def refuse_unreadable(override: str) -> None:
    if read_as(override) is None:
        key, equals, value = override.partition("=")
        shown = f"{override[:200]} ..." if len(override) > 200 else override
        hint = f"; as a text, quote the value: {typed(key, value)}" if equals and key and len(override) < 200 else ""
        raise AmpsimError(f"`{shown}` is not understood: write key=value{hint}")


def plain(config: Any) -> dict[str, Any]:
    """A config without its `hydra` section, everything resolved. Audio paths become absolute, so that the saved config
    works from any folder."""
    resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)
    resolved.pop("hydra", None)
    if resolved.pop("experiment", None):  # its file's keys, in a section of their own, where nothing would heed them
        raise AmpsimError("the file of this experiment has to begin with the line `# @package _global_`")
    resolved.pop("sweep", None)
    refuse_incomplete(resolved)
    data = resolved["data"]
    for section in (data, data["recording"]) if isinstance(data.get("recording"), dict) else (data,):
        for key in files_of(section):
            if isinstance(value := section.get(key), list):
                section[key] = [absolute(named(f"data.{key}", item)) for item in value]
            elif value is not None:
                section[key] = absolute(named(f"data.{key}", value))
    if not isinstance(resolved["tracking"]["folder"], str):
        raise AmpsimError("tracking.folder names no folder")
    resolved["tracking"]["folder"] = absolute(resolved["tracking"]["folder"])
    return resolved


def refuse_incomplete(config: dict[str, Any]) -> None:
    """Refuse a config without what every run needs, as where `~seed` took it away or a plugin's YAML lacks it."""
    for part in BASES:
        section = config.get(part)
        if not isinstance(section, dict) or not isinstance(section.get("_target_"), str):
            raise AmpsimError(
                f"the section `{part}` has no `_target_`, the class that it builds: choose one with {part}=NAME, or name it "
                "in the YAML of yours"
            )
    for key in ("seed", "name", "training", "tracking.folder", "tracking.uri", "tracking.experiment"):
        section, _, name = key.rpartition(".")
        if name not in (config.get(section, {}) if section else config):
            raise AmpsimError(f"the config has no `{key}`, and every run needs one: leave `~{key}` out")


def named(key: str, value: Any) -> str:
    if not isinstance(value, str):
        example = str(value) if isinstance(value, int | float) else "take.wav"
        raise AmpsimError(
            f"{key}={str(value)[:80]}: it names a file; a name that looks like something else is quoted: "
            f"{typed(key, example)}"
        )
    return value


def absolute(path: str) -> str:
    return str(expanded(path).absolute())


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
        return f"there is no {group} `{choice}`{beside(group, choice) or nearest(choice, choices(group))}"
    if found := re.match(r"(?:Ambiguous value for argument|Sweep parameters) '([^=]+)=(.*)'", first):
        return (
            f"`{found[1]}={found[2]}` has several values, which `ampsim train -m` tries one after another; as one name with "
            f"commas or brackets in it, type {typed(found[1], found[2])}"
        )
    if found := re.match(r"Interpolation key '(.*)' not found", first):
        return f"${{{found[1]}}} refers to a key of the config, which has no `{found[1]}`; as text, write \\${{{found[1]}}}"
    if found := re.match(r"Could not override '(hydra\.[^']+)'", first):
        return f"the config has no `{found[1]}`; `ampsim train --cfg hydra` shows what Hydra's sections hold"
    if found := re.match(r"Could not override '([^']+)'", first):
        return f"the config has no `{found[1]}`{elsewhere(found[1]) or nearest(found[1], known_keys(overrides))}"
    if found := re.match(r"Error merging override (.*)", first):
        return f"{found[1]}: {reason}"
    return first + (f" ({reason})" if reason and reason not in first else "")


def beside(group: str, choice: str) -> str:
    """A clause that names the file of a choice in a package here, which nobody has named as a plugin."""
    here = Path.cwd()
    files = (folder / "conf" / group / f"{choice}.yaml" for folder in with_conf(here))
    found = next((path.relative_to(here) for path in files if path.is_file()), None)
    return f" among ampsim's and your plugins'; {found} is one: add plugins=." if found else ""


def elsewhere(key: str) -> str:
    """A clause that names the choices of a group which do have this key: `data.path` belongs to data=stereo."""
    group, _, rest = key.partition(".")
    having = []
    for path in (path for folder in config_folders() for path in sorted((folder / group).glob("*.yaml"))):
        with suppress(AmpsimError):  # a plugin's file that is at fault has its own sentence
            section = read_yaml(path, "config")
            having += [path.stem] if isinstance(section, dict) and rest in flattened(section) else []
    return f"; it belongs to {' or '.join(f'{group}={name}' for name in having)}" if having else ""


def choices(group: str) -> list[str]:
    return sorted({path.stem for folder in config_folders() if group for path in (folder / group).glob("*.yaml")})


def known_keys(overrides: Sequence[str]) -> list[str]:
    """Every key that the config has, with those overrides that are themselves valid."""
    for usable in ([item for item in overrides if "." not in item.partition("=")[0]], []):
        try:
            with conf():
                config: Any = OmegaConf.to_container(compose("config", list(usable)), resolve=False)
            return [*flattened(config), *groups()]
        except HydraException:
            continue
    return []
