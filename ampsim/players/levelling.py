"""How loud a set of captures is, and copies of them that are equally loud."""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ampsim import AmpsimError
from ampsim.files import expanded, refuse_existing, write_text
from ampsim.players import nam
from ampsim.players.documents import read_json
from ampsim.players.loudness import loudness_db

SILENT_DB = -100.0
LEVELS_DB = (-60.0, 0.0)  # that a set may be brought to


@dataclass(frozen=True)
class Loudness:
    """How loud a capture plays the format's reference input, and what its file states of that, in dB."""

    path: Path
    measured_db: float
    stated_db: float | None
    parts_db: tuple[float, ...] = ()  # of a container's nets, smallest first
    copy: Path | None = None  # that was made as loud as the others ...
    gain_db: float = 0.0  # ... by this gain


def measured(paths: Sequence[str | Path]) -> list[Loudness]:
    """One for each file, in their order.

    Raises:
        AmpsimError: a file is no capture that can be played.
    """
    found = []
    for path in map(expanded, paths):
        capture = nam.read(path)
        parts = [loudness_db(nam.read(path, submodel=k).player) for k in range(capture.num_submodels)]
        loudest = parts[-1] if parts else loudness_db(capture.player)
        found.append(Loudness(path, loudest, capture.loudness_db, tuple(parts)))
    return found


def evened(
    loudness: Sequence[Loudness], folder: str | Path, *, level_db: float | None = None, overwrite: bool = False
) -> list[Loudness]:
    """Write copies of `.nam` files that are equally loud; returns the same with the copies.

    Args:
        level_db: how loud; None is the median of the set.

    Raises:
        AmpsimError: a copy exists or would take an input's place, a file cannot be made louder, or two have one name.
            Nothing is written then.
    """
    for each in loudness:
        if min((each.measured_db, *each.parts_db)) < SILENT_DB:
            raise AmpsimError(f"{each.path} plays silence, which no gain makes loud")
    if level_db is None:
        level_db = float(np.clip(np.median([each.measured_db for each in loudness]), *LEVELS_DB))
    if not LEVELS_DB[0] <= level_db <= LEVELS_DB[1]:
        raise AmpsimError(f"level={level_db:g}: captures are brought to {LEVELS_DB[0]:g} to {LEVELS_DB[1]:g} dB")
    folder = expanded(folder)
    planned = [folder / each.path.name for each in loudness]
    if len({path.name.casefold() for path in planned}) < len(planned):
        raise AmpsimError("two of the captures have one name, and their copies go into one folder: rename one")
    for path in planned:
        refuse_existing(path, overwrite=overwrite, inputs=[each.path for each in loudness])
    documents = [louder_to(each, level_db) for each in loudness]
    for path, document in zip(planned, documents, strict=True):
        write_text(path, json.dumps(document), overwrite=overwrite)
    return [
        replace(each, copy=path, gain_db=level_db - each.measured_db)
        for path, each in zip(planned, loudness, strict=True)
    ]


def louder_to(each: Loudness, level_db: float) -> dict[str, Any]:
    """The file's contents at a loudness; each net of a container by a gain of its own."""
    document = read_json(each.path, "NAM capture")
    if "architecture" not in document:
        raise AmpsimError(f"{each.path} is no .nam file: only these state a loudness, by which players level them")
    if not each.parts_db:
        return louder(each.path, document, level_db - each.measured_db, level_db)
    found = restated(document, level_db - each.measured_db, level_db)
    entries = [
        entry | {"model": louder(each.path, entry["model"], level_db - part, level_db)}
        for entry, part in zip(document["config"]["submodels"], each.parts_db, strict=True)
    ]
    return found | {"config": document["config"] | {"submodels": entries}}


def louder(path: Path, document: dict[str, Any], gain_db: float, level_db: float) -> dict[str, Any]:
    """A net whose output is multiplied, in the numbers of its last layer."""
    found, factor, config = restated(document, gain_db, level_db), 10 ** (gain_db / 20), document["config"]
    if document["architecture"] == "WaveNet" and not config.get("head"):
        found["config"] = config | {"head_scale": factor * float(config["head_scale"])}
    weights = np.array(document["weights"], np.float32)
    weights[nam.parsed(path, document, np.float32)[0].last] *= np.float32(factor)
    return found | {"weights": weights.tolist()}


def restated(document: dict[str, Any], gain_db: float, level_db: float) -> dict[str, Any]:
    """What the metadata state of levels, after a gain."""
    found = copy.copy(document)
    stated = document.get("metadata")
    metadata = dict(stated) if isinstance(stated, dict) else {}
    metadata["loudness"] = round(level_db, 6)
    output = metadata.get("output_level_dbu")
    if isinstance(output, int | float) and not isinstance(output, bool):
        metadata["output_level_dbu"] = output - gain_db  # the same volts are so many dB nearer to full scale
    return found | {"metadata": metadata}


def spread_db(levels_db: Sequence[float]) -> float:
    """Between the loudest and the softest."""
    return float(np.ptp(levels_db)) if len(levels_db) else 0.0
