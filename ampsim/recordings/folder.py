"""A folder of recordings of many amps, or of one amp at many settings: which file belongs to which."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ampsim import AmpsimError
from ampsim.config.run_config import assignment
from ampsim.files import expanded
from ampsim.recordings.pairs import AudioPair
from ampsim.recordings.sources import Source
from ampsim.signals.audio import FORMATS, opened

DIRECT = {"input", "in", "direct", "di", "dry", "clean", "source"}  # words in the name of a direct signal ...
AMP = {"target", "output", "out", "amp", "wet", "reamp", "reamped", "processed"}  # ... and of the amp's
AUDIO = set(FORMATS)
MOST = 1000  # recordings of one folder


@dataclass(frozen=True)
class Take:
    """One recording of a folder: a stereo file, or direct and amp."""

    name: str
    direct: Path
    amp: Path | None = None  # None: in the other channel of `direct`

    @property
    def data(self) -> dict[str, str]:
        """Which data source reads it, and its files: the values of `data` and of the section's keys."""
        if self.amp is None:
            return {"data": "stereo", "data.path": str(self.direct)}
        return {"data": "pair", "data.input": str(self.direct), "data.target": str(self.amp)}


@dataclass(frozen=True, kw_only=True)
class Folder(Source):
    """Many recordings, each of which is learnt by a run of its own.

    Args:
        path: a folder with audio files, also in the folders inside it. A word in a file's name says what it holds: direct
            signals have `input`, `direct`, `di`, `dry`; what is left of the name says which amp's file belongs to it
            (`ac30_di.wav`, `ac30_amp.wav`). The only direct signal of a folder belongs to all others in it. Without any,
            each is a stereo file: direct left, amp right.
        input: the direct signal that all amps were played.
    """

    path: str
    input: str | None = None

    def load(self) -> list[AudioPair]:
        raise AmpsimError("data=folder stands for many recordings, which `ampsim train` learns one by one")

    def words_of_each(self, words: Sequence[str]) -> list[list[str]]:
        """For each recording, the words of a command that learn it, made from those that name the folder; see `takes`."""
        own = ("data", "data.path", "data.input", "name")
        others = [word for word in words if word.lstrip("+").partition("=")[0] not in own]
        named = [{**take.data, "name": take.name} for take in self.takes()]
        return [[*others, *(word for item in each.items() for word in assignment(*item))] for each in named]

    def takes(self) -> list[Take]:
        """The recordings, by name.

        Raises:
            AmpsimError: the folder is not there or holds none, or a file has no partner.
        """
        root = expanded(self.path)
        if not root.is_dir():
            raise AmpsimError(
                f"data.path={self.path} is no folder (looked from {Path.cwd()}); data=stereo takes a file"
            )
        shared = expanded(self.input) if self.input else None
        if shared and not shared.is_file():
            shared = root / str(self.input)
            if not shared.is_file():
                raise AmpsimError(f"data.input={self.input}: there is no such file, in {root} neither")
        folders = [root, *sorted(each for each in root.rglob("*") if each.is_dir() and not each.name.startswith("."))]
        found = list(chain.from_iterable(paired(audio_files(folder), shared) for folder in folders))
        if not found:
            raise AmpsimError(f"{root} holds no recordings: WAV, FLAC or AIFF files are needed")
        if len(found) > MOST:
            raise AmpsimError(f"{root} holds {len(found):,} recordings; one folder may hold {MOST:,}")
        return named(found, root)


def audio_files(folder: Path) -> list[Path]:
    return sorted(
        each
        for each in folder.iterdir()
        if each.suffix.lower() in AUDIO and each.is_file() and not each.name.startswith(".")
    )


def paired(files: Sequence[Path], shared: Path | None) -> list[Take]:
    """The recordings that the files of one folder make."""
    if shared:
        return [Take(amp.stem, shared, amp) for amp in files if not amp.samefile(shared)]
    directs = [file for file in files if DIRECT.intersection(words(file))]
    amps = [file for file in files if file not in directs]
    if not directs:
        for file in amps:
            refuse_mono(file)
        return [Take(file.stem, file) for file in amps]
    if len(directs) == 1:
        if not amps:
            raise AmpsimError(f"{directs[0]} is a direct signal, and no amp's file lies beside it")
        return [Take(key(amp) if AMP.intersection(words(amp)) else amp.stem, directs[0], amp) for amp in amps]
    by_key = {key(file): file for file in directs}
    for amp in amps:
        if key(amp) not in by_key:
            known = ", ".join(file.name for file in directs[:5])
            raise AmpsimError(
                f"{amp} has no direct signal of the same name among {known}: rename one of them, or name the direct signal "
                "of all with data.input"
            )
    lonely = set(by_key) - set(map(key, amps))
    if lonely:
        raise AmpsimError(
            f"{by_key[min(lonely)]} is a direct signal, and no amp's file of the same name lies beside it"
        )
    return [Take(key(amp), by_key[key(amp)], amp) for amp in amps]


def refuse_mono(file: Path) -> None:
    with opened(file) as audio:
        if audio.channels < 2:
            raise AmpsimError(
                f"{file} has 1 channel, and no file beside it is called a direct signal: name the direct signal of all with "
                f"data.input, or put a word such as `input`, `direct`, `di` into its name"
            )


def words(file: Path) -> list[str]:
    return re.split(r"[\W_]+", file.stem.lower())


def key(file: Path) -> str:
    """A file's name without what says which of the two it holds."""
    return "_".join(word for word in words(file) if word and word not in DIRECT | AMP)


def named(takes: Sequence[Take], root: Path) -> list[Take]:
    """The same, each by a name of its own: that of its folder stands before it where it has one, a number after it where
    two would have the same."""
    found: dict[str, Take] = {}
    for take in takes:
        folder = (take.amp or take.direct).parent
        place = folder.relative_to(root) if folder.is_relative_to(root) else Path()
        name = "_".join([*place.parts, *([take.name] if take.name or not place.parts else [])]) or "recording"
        number = next(n for n in range(1, len(takes) + 2) if (name if n == 1 else f"{name}_{n}") not in found)
        name = name if number == 1 else f"{name}_{number}"
        found[name] = Take(name, take.direct, take.amp)
    return list(found.values())
