"""Parts from outside ampsim: packages that this user installed as plugins, and folders that this user named.

A plugin is a package, with its YAML in `conf/` inside it. Finding one runs none of its code: a part of it is imported
once a config that is about to run names it, and all of it by `load`.
"""

import importlib
import os
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from ampsim import AmpsimError, __version__
from ampsim.files import expanded, read_text, uncollected

GROUP = "ampsim.plugins"  # of entry points
VARIABLE = "AMPSIM_PLUGINS"  # folders, separated as in PATH; a sweep's processes inherit what the command line named
SETTINGS = "ampsim.toml"
LONGEST_REASON = 300  # characters of what a module says when it fails
LARGEST_SETTINGS = 100_000  # bytes of it
RESERVED = {"ampsim", "keras", "tensorflow", "hydra_plugins", *sys.stdlib_module_names}

_elsewhere: set[Path] = set()  # folders with a config of someone else, whose ampsim.toml says nothing of this user
_reported: set[str] = set()  # faults that `load` has told


@dataclass(frozen=True)
class Plugin:
    """A package whose parts a config may name.

    Args:
        package: its importable name, without a dot.
        folder: where the package lies.
        origin: the distribution and its version, or the folder that was named; for messages.
        requires: the releases of ampsim that it was made for, such as `>=0.2,<0.3`; nothing where it does not say.
    """

    name: str
    package: str
    folder: Path
    origin: str
    version: str = ""
    requires: str = ""

    @property
    def conf(self) -> Path:
        return self.folder / "conf"

    def __str__(self) -> str:
        return f"`{self.name}` ({self.origin})"

    def choices(self) -> set[str]:
        """What its YAML adds: `model/tube` and the like."""
        return offered(self.conf)


@dataclass(frozen=True)
class Found:
    """The plugins that can be used, and one sentence for each that cannot, by the packages concerned."""

    plugins: tuple[Plugin, ...]
    faults: tuple[tuple[str, str], ...] = ()

    def of(self, package: str) -> Plugin | None:
        return next((plugin for plugin in self.plugins if plugin.package == package), None)

    def fault(self, package: str) -> str:
        return next((sentence for name, sentence in self.faults if name == package), "")

    @property
    def sentences(self) -> list[str]:
        return list(dict.fromkeys(sentence for _, sentence in self.faults))  # one fault may concern two packages


def config_folder() -> Path:
    """`conf/`, inside an installed package or at the top of a checkout."""
    here = Path(__file__).parent.parent
    return here / "conf" if (here / "conf").is_dir() else here.parent / "conf"


def config_folders() -> list[Path]:
    """ampsim's own `conf/`, and those of the plugins."""
    return [config_folder(), *(plugin.conf for plugin in found().plugins if plugin.conf.is_dir())]


def offered(conf: Path) -> set[str]:
    return {path.relative_to(conf).with_suffix("").as_posix() for path in conf.rglob("*.yaml")}


# ---- What this user named -------------------------------------------------------------------------------------------


def name_folders(words: Sequence[str]) -> list[str]:
    """Take `plugins=folder` out of a command's words; the folders count for this process and those that it starts.

    Raises:
        AmpsimError: a folder does not exist.
    """
    values = [word.partition("=")[2] for word in words if word.startswith("plugins=")]
    folders = [each for value in values for each in ([value] if expanded(value).is_dir() else value.split(","))]
    if folders:
        kept = [entry for entry in os.environ.get(VARIABLE, "").split(os.pathsep) if entry]
        named = [str(existing(Path(), folder, "plugins=")) for folder in folders]
        os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys([*kept, *named]))
    return [word for word in words if not word.startswith("plugins=")]


def disregard_settings_beside(config: Path) -> None:
    """An ampsim.toml beside someone's config came with it and is not this user's, though it may lie in the current folder.

    No other folder's counts either: only that of the folder in which the user types the command.
    """
    _elsewhere.add(expanded(config).resolve().parent)


def named_folders() -> tuple[Path, ...]:
    """The folders of AMPSIM_PLUGINS, and those of `ampsim.toml` in the current folder.

    Raises:
        AmpsimError: ampsim.toml cannot be read, or a folder does not exist.
    """
    variable = [entry for entry in os.environ.get(VARIABLE, "").split(os.pathsep) if entry]
    folders = [existing(Path(), entry, f"{VARIABLE}: ") for entry in variable]
    here = Path.cwd()
    settings = here / SETTINGS
    if settings.is_file() and here.resolve() not in _elsewhere:
        folders += [existing(here, entry, f"{settings}: ") for entry in in_settings(settings)]
    return tuple(dict.fromkeys(folders))


def in_settings(path: Path) -> list[str]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        with uncollected():
            section = tomllib.loads(read_text(path, "settings file", LARGEST_SETTINGS)).get("plugins", {})
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is of the former
        raise AmpsimError(f"{path} cannot be read as TOML: {error}") from error
    folders = section.get("folders", []) if isinstance(section, dict) else None
    if not isinstance(folders, list) or not all(isinstance(entry, str) and entry for entry in folders):
        raise AmpsimError(f'{path}: [plugins] holds a list of folders, for instance folders = ["."]')
    return folders


def existing(base: Path, entry: str, where: str) -> Path:
    folder = (base / expanded(entry)).resolve()
    if not entry or not folder.is_dir():
        raise AmpsimError(f"{where}{entry}: there is no such folder; name one that holds a package with a conf/ inside")
    return folder


# ---- What there is --------------------------------------------------------------------------------------------------


def found() -> Found:
    """The plugins of this user, found without running any code of theirs.

    Raises:
        AmpsimError: as `named_folders`.
    """
    return discovered(named_folders(), tuple(sys.path))


@lru_cache(maxsize=8)
def discovered(folders: tuple[Path, ...], places: tuple[str, ...]) -> Found:
    """`places` is `sys.path`, on which the answer depends."""
    plugins: list[Plugin] = []
    faults: list[tuple[str, str]] = []
    for each in (*installed(), *in_folders(folders)):
        if isinstance(each, Plugin):
            plugins.append(each)
        else:
            faults.append(each)
    # Found twice, as an editable installation whose folder is named too, it still is one plugin.
    plugins = list({plugin.folder: plugin for plugin in reversed(plugins)}.values())[::-1]
    for clashing, sentence in (*same_names(plugins), *same_choices(plugins)):
        faults += [(plugin.package, sentence) for plugin in clashing]
    bad = {package for package, _ in faults}
    return Found(tuple(plugin for plugin in plugins if plugin.package not in bad), tuple(faults))


def installed() -> Iterator[Plugin | tuple[str, str]]:
    """The plugins among the installed distributions, or a package and what is wrong with it."""
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        package, distribution = entry.value.strip(), entry.dist
        origin = f"{distribution.name} {distribution.version}" if distribution else "an installed package"
        told = f"the plugin `{entry.name}` ({origin})"
        if not package.isidentifier() or package in RESERVED:
            yield package, f"{told} names `{package}` as its package; it has to be one of its own, without dots"
            continue
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            yield package, f"{told}: its package `{package}` is not there; install the plugin again"
            continue
        folder = Path(next(iter(spec.submodule_search_locations))).resolve()
        from packaging.requirements import Requirement  # not where there is no plugin: completion in a shell waits

        requires = required(distribution.requires or []) if distribution else ""
        if requires and not Requirement(f"ampsim{requires}").specifier.contains(__version__, prereleases=True):
            yield (
                package,
                f"{told} needs ampsim {requires}, and this is {__version__}; install a release of it for this one",
            )
            continue
        yield Plugin(entry.name, package, folder, origin, distribution.version if distribution else "", requires)


def required(requirements: Sequence[str]) -> str:
    """The releases of ampsim that a distribution's `Requires-Dist` asks for."""
    from packaging.requirements import InvalidRequirement, Requirement

    for line in requirements:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.name.lower() == "ampsim" and (requirement.marker is None or requirement.marker.evaluate()):
            return str(requirement.specifier)
    return ""


def in_folders(folders: Sequence[Path]) -> Iterator[Plugin | tuple[str, str]]:
    """The packages with a conf/ in the folders that were named, each of which may be such a package itself."""
    for folder in folders:
        bare = with_conf(folder)
        packages = [each for each in bare if (each / "__init__.py").is_file()]
        if not packages:
            told = "".join(f"; is {each / '__init__.py'} missing?" for each in bare[:1])
            yield "", f"the folder {folder} was named for plugins, but holds no package with a conf/ inside{told}"
        for package in packages[:1] if packages[:1] == [folder] else packages:
            yield in_folder(package)


def with_conf(folder: Path) -> list[Path]:
    """Of the folder and those in it, which have a conf/ inside."""
    return [each for each in (folder, *sorted(folder.iterdir())) if (each / "conf").is_dir()]


def in_folder(folder: Path) -> Plugin | tuple[str, str]:
    name, place = folder.name, str(folder.parent)
    if not name.isidentifier() or name in RESERVED:
        return name, f"the plugin in {folder} cannot be imported by the name `{name}`; give its folder another one"
    if (other := find_spec(name)) and Path(other.origin or "").resolve().parent != folder.resolve():
        return name, f"the plugin in {folder} has the name of another package, {other.origin}; rename one of them"
    if place not in sys.path:
        sys.path.append(place)  # at the end, so that nothing beside the package hides a library
    if PathFinder.find_spec(name, [place]) is None:
        return name, f"the plugin in {folder} cannot be imported; is its __init__.py readable?"
    return Plugin(name, name, folder.resolve(), str(folder))


def same_names(plugins: Sequence[Plugin]) -> Iterator[tuple[list[Plugin], str]]:
    by_name: dict[str, list[Plugin]] = defaultdict(list)
    for plugin in plugins:
        by_name[plugin.name].append(plugin)
    for name, several in by_name.items():
        if len(several) > 1:
            origins = " and ".join(plugin.origin for plugin in several)
            yield several, f"two plugins have the name `{name}`: {origins}; neither is used, so remove or rename one"


def same_choices(plugins: Sequence[Plugin]) -> Iterator[tuple[list[Plugin], str]]:
    """Plugins whose YAML would hide another's or ampsim's own: which of them Hydra takes would be chance."""
    ours, by_choice = offered(config_folder()), defaultdict(list)
    for plugin in plugins:
        choices = plugin.choices()
        if taken := sorted(choices & ours):
            yield [plugin], f"the plugin {plugin} has conf/{taken[0]}.yaml, as ampsim itself has; rename that file"
        for choice in choices - ours:
            by_choice[choice].append(plugin)
    for choice, several in sorted(by_choice.items()):
        if len(several) > 1:
            both = " and ".join(map(str, several))
            yield several, f"the plugins {both} both have conf/{choice}.yaml; neither is used, so remove one of them"


# ---- Their code -----------------------------------------------------------------------------------------------------


def load() -> list[str]:
    """Import the modules of every plugin, so that its metrics and export formats are known; call it where a run, an
    evaluation or an export really begins.

    Returns:
        A sentence for each plugin with a fault. The others work, and each is told once a process.
    """
    here = found()
    return fresh([*here.sentences, *(fault for plugin in here.plugins for fault in imported(plugin))])


def set_aside() -> list[str]:
    """A sentence for each plugin that was found and cannot be used, each told once a process; runs no code of theirs."""
    try:
        return fresh(found().sentences)
    except AmpsimError as error:  # ampsim.toml is at fault, which a command that needs it says again
        return fresh(error.args)


def fresh(faults: Sequence[str]) -> list[str]:
    told = [fault for fault in faults if fault not in _reported]
    _reported.update(told)
    return told


@lru_cache(maxsize=64)
def imported(plugin: Plugin) -> tuple[str, ...]:
    """Import the modules that lie directly in a plugin's package; what is wrong with them.

    A package or module whose name begins with an underscore is left alone, as are its tests.
    """
    inner = [
        path for path in sorted(plugin.folder.iterdir()) if path.suffix == ".py" or (path / "__init__.py").is_file()
    ]
    modules = [path.stem for path in inner if not path.stem.startswith("_") and path.stem not in ("tests", "conftest")]
    faults: dict[str, None] = {}  # several modules may fail at the same import
    for module in ("", *modules):
        try:
            importlib.import_module(f"{plugin.package}.{module}".rstrip("."))
        except (
            Exception,
            SystemExit,
        ) as error:  # whatever a stranger's module raises, or a script that ends the process
            faults[import_fault(plugin, error)] = None
            if not module:
                break
    return tuple(faults)


def import_fault(plugin: Plugin, error: BaseException) -> str:
    reason = textwrap.shorten(str(error), LONGEST_REASON, placeholder=" ...") or "no reason given"
    return f"the plugin {plugin} cannot be imported: {type(error).__name__}: {reason}"
