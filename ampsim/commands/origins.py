"""`ampsim train --info`: each value of a run's config, and whether a file, the command line or a default said it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from ampsim import printable
from ampsim.config import settings
from ampsim.config.plugins import config_folder
from ampsim.config.run_config import worded
from ampsim.config.targets import assignments, flattened

COMMAND, SCHEMA = "the command line", "a default (ampsim/config/schema.py)"
BUDGET = "training.epochs, which alone on the command line replaces it"


@dataclass(frozen=True)
class Origin:
    key: str
    value: Any
    source: str

    def __str__(self) -> str:
        return f"{self.key}={worded(self.value)}"


def origins(overrides: Sequence[str]) -> list[Origin]:
    """Where each value of the config that these words compose comes from, in the config's order.

    Raises:
        AmpsimError: as `settings.composed`.
    """
    config = flattened(settings.composed(overrides))
    sources: dict[str, str] = {}
    for source, values in layers(overrides):
        for key in values:
            for other in [known for known in sources if key.startswith(f"{known}.") or known.startswith(f"{key}.")]:
                del sources[other]  # a section in place of a value, or the other way round
            sources[key] = source
    return [Origin(key, value, source_of(key, sources)) for key, value in config.items()]


def source_of(key: str, sources: dict[str, str]) -> str:
    """The source of a key, or of the section around it that was said as a whole."""
    while key and key not in sources:
        key = key.rpartition(".")[0]
    return sources.get(key, SCHEMA)


def layers(overrides: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is laid over what, the lowest first: the files in Hydra's order, then the words of the command."""
    with settings.conf():
        loader: Any = GlobalHydra.instance().config_loader()
        found = loader.compute_defaults_list(config_name="config", overrides=list(overrides), run_mode=RunMode.RUN)
        for default in found.defaults:
            loaded = loader.repository.load_config(default.config_path)
            if loaded is not None and not default.config_path.startswith("hydra/"):
                section: Any = OmegaConf.to_container(loaded.config, resolve=False, enum_to_str=True)
                package = "" if default.package in (None, "", "_global_") else f"{default.package}."
                section = {key: value for key, value in section.items() if key not in ("defaults", "hydra")}
                yield named(loaded.path, default.config_path), flattened(section, package)
    said = assignments(overrides)
    chosen = settings.groups()
    if "training.epochs" in said and "training.seconds" not in said:
        yield BUDGET, {"training.seconds": None}
    yield COMMAND, {key: value for key, value in said.items() if key.split("@")[0] not in chosen}


def named(folder: str, config: str) -> str:
    """A file as one looks for it: conf/model/dense.yaml of ampsim, the whole path of a plugin's."""
    if not folder.startswith("file://"):
        return SCHEMA
    path = Path(folder.removeprefix("file://"), f"{config}.yaml")
    ours = config_folder()
    return f"conf/{path.relative_to(ours).as_posix()}" if path.is_relative_to(ours) else str(path)


def table(overrides: Sequence[str], width: int = 100) -> str:
    """A line for each value, its source behind it; what a terminal's width does not hold is cut from the value."""
    found = origins(overrides)
    widest = max((len(each.source) for each in found if each.source.startswith("conf/")), default=0)
    room = min(max(len(str(each)) for each in found), max(width - widest - 2, 40))
    lines = []
    for each in found:
        text = str(each) if len(str(each)) <= room else f"{str(each)[: room - 3]}..."
        lines.append(printable(f"{text:<{room}}  {each.source}") + "\n")
    return "".join(lines)
