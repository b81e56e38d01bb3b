"""Recordings as pairs of input and target: loaded, aligned and split."""

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ampsim import AmpsimError, virtual_amp
from ampsim.alignment import timing
from ampsim.audio import AudioFile, Signal, clock, read

Split = float | str | list[str]
Notice = Callable[[str], None]
SPLITS = ("train", "validation", "test")
DEFAULT_RATE = inspect.signature(virtual_amp.record).parameters["sample_rate"].default


@dataclass(frozen=True)
class FileRecord:
    """What a run remembers of an audio file that it was made from."""

    path: str
    duration_s: float
    sha256: str


@dataclass(frozen=True)
class AudioPair:
    """One take: input (direct) and target (amp), each of shape (num_samples,), at one sample rate."""

    input: Signal
    target: Signal
    sample_rate: int
    name: str
    files: tuple[FileRecord, ...] = ()
    input_name: str = ""
    target_name: str = ""

    @property
    def duration_s(self) -> float:
        return len(self.input) / self.sample_rate


@dataclass(frozen=True)
class Span:
    """The samples [start, stop) of a take, as a piece of a split; what lies around it stays within reach as context."""

    take: AudioPair
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def target(self) -> Signal:
        return self.take.target[self.start : self.stop]

    @property
    def direct(self) -> Signal:
        return self.take.input[self.start : self.stop]

    def input(self, *, history: int, lookahead: int) -> Signal:
        """The span's input with `history` samples before and `lookahead` after it; zeros beyond the ends of the take."""
        start, stop = self.start - history, self.stop + lookahead
        inside = self.take.input[max(start, 0) : min(stop, len(self.take.input))]
        return np.pad(inside, (max(-start, 0), max(stop - len(self.take.input), 0)))


# ---- Where a recording comes from: the `data` section of the config -------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Source:
    """A recording as the config names it.

    Args:
        delay: samples by which the target lags the input, or "auto" to estimate it.
        splits: for each of train, validation and test a share of the recording (0.8), a time ("30 s"), or a list of
            takes (file names). Training is laid from the start, validation and test from the end.
        checks: "strict" refuses a recording with a fault that spoils training, "warn" only tells.
        drift: "correct" resamples a target whose clock runs faster or slower than the input's, "ignore" leaves it.
    """

    delay: int | Literal["auto"] = "auto"
    splits: dict[str, Split] = field(default_factory=lambda: {"train": 0.8, "validation": 0.1, "test": 0.1})
    checks: Literal["strict", "warn"] = "strict"
    drift: Literal["ignore", "correct"] = "ignore"

    def __post_init__(self) -> None:
        if self.delay != "auto" and (isinstance(self.delay, bool) or not isinstance(self.delay, int)):
            raise ValueError(f'data.delay is "auto" or a whole number of samples, not {self.delay!r}')
        if self.checks not in ("strict", "warn"):
            raise ValueError(f'data.checks is "strict" or "warn", not {self.checks!r}')
        if self.drift not in ("ignore", "correct"):
            raise ValueError(f'data.drift is "ignore" or "correct", not {self.drift!r}')
        if set(self.splits) != set(SPLITS):
            raise ValueError(f"data.splits names {', '.join(SPLITS)}, and not {', '.join(map(str, self.splits))}")

    def load(self) -> list[AudioPair]:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Stereo(Source):
    """Files that hold the direct signal in one channel and the amp in another, one file a take."""

    path: str | list[str]
    input_channel: int = 0
    target_channel: int = 1

    def load(self) -> list[AudioPair]:
        return [self.take(read(path)) for path in listed("data.path", self.path)]

    def take(self, file: AudioFile) -> AudioPair:
        if file.samples.shape[1] < 2:
            raise AmpsimError(
                f"{file.path} has 1 channel; a stereo recording holds direct and amp in two channels of one file "
                "(use data=pair for two mono files)"
            )
        return AudioPair(
            file.channel(self.input_channel),
            file.channel(self.target_channel),
            file.sample_rate,
            file.path.name,
            (record(file),),
            f"{file.path} (channel {self.input_channel}, direct)",
            f"{file.path} (channel {self.target_channel}, amp)",
        )


@dataclass(frozen=True, kw_only=True)
class Pair(Source):
    """Two mono files a take: `input` (direct) and `target` (amp), each one path or a list in the same order."""

    input: str | list[str]
    target: str | list[str]

    def load(self) -> list[AudioPair]:
        inputs, targets = listed("data.input", self.input), listed("data.target", self.target)
        if len(inputs) != len(targets):
            raise AmpsimError(f"data.input names {len(inputs)} files and data.target {len(targets)}: a take needs both")
        return [self.take(read(direct), read(amp)) for direct, amp in zip(inputs, targets, strict=True)]

    def take(self, direct: AudioFile, amp: AudioFile) -> AudioPair:
        for file in (direct, amp):
            if file.samples.shape[1] != 1:
                raise AmpsimError(
                    f"{file.path} has {file.samples.shape[1]} channels; data=pair takes two mono files "
                    "(use data=stereo for direct and amp in one file)"
                )
        if direct.sample_rate != amp.sample_rate:
            raise AmpsimError(
                f"{direct.path} has {direct.sample_rate} Hz and {amp.path} has {amp.sample_rate} Hz: export both at one rate"
            )
        shorter, longer = sorted((direct, amp), key=lambda file: len(file.samples))
        if len(shorter.samples) != len(longer.samples):
            raise AmpsimError(
                f"{shorter.path} ends at {clock(shorter.duration_s)} and {longer.path} at {clock(longer.duration_s)} "
                f"({len(longer.samples) - len(shorter.samples):,} samples more): export both from the same start to the "
                "same end"
            )
        return AudioPair(
            direct.channel(0),
            amp.channel(0),
            direct.sample_rate,
            direct.path.name,
            (record(direct), record(amp)),
            str(direct.path),
            str(amp.path),
        )


class VirtualAmp(Source):
    """The embedded recording: a synthetic guitar through a simulated valve amp, the same on every machine.

    Args:
        recording: the settings of `virtual_amp.record`.
    """

    def __init__(
        self,
        *,
        delay: int | Literal["auto"] = "auto",
        splits: dict[str, Split] | None = None,
        checks: Literal["strict", "warn"] = "strict",
        drift: Literal["ignore", "correct"] = "ignore",
        **recording: Any,
    ) -> None:
        super().__init__(delay=delay, checks=checks, drift=drift, **({} if splits is None else {"splits": splits}))
        inspect.signature(virtual_amp.record).bind(**recording)  # an unknown setting is refused now, not after loading
        if "cache" in recording:  # a config from elsewhere says what is made and not where files go
            raise ValueError("a config cannot name data.cache; AMPSIM_CACHE does")
        object.__setattr__(self, "recording", recording)

    def load(self) -> list[AudioPair]:
        recording: dict[str, Any] = self.recording  # type: ignore[attr-defined]
        try:
            direct, amp = virtual_amp.record(**recording)
        except ValueError as error:
            raise AmpsimError(f"data=virtual_amp: {error}") from error
        sample_rate = recording.get("sample_rate", DEFAULT_RATE)
        digest = hashlib.sha256(direct.tobytes() + amp.tobytes()).hexdigest()
        made = FileRecord("virtual_amp (made, not recorded)", len(direct) / sample_rate, digest)
        return [AudioPair(direct, amp, sample_rate, "virtual_amp", (made,))]


def listed(key: str, paths: str | Sequence[str]) -> list[Path]:
    """One path or several, `~` expanded; an empty list or a folder's worth of nothing is refused."""
    names = [paths] if isinstance(paths, str) else list(paths)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise AmpsimError(f"{key} names no file")
    return [Path(name).expanduser() for name in names]


def record(file: AudioFile) -> FileRecord:
    return FileRecord(str(file.path.absolute()), file.duration_s, file.sha256)


# ---- Alignment ------------------------------------------------------------------------------------------------------


UNSURE = 10  # see `Delay.confidence`; recordings of real amps reach 25 and more


@dataclass(frozen=True)
class Delay:
    """`samples` by which the target lags the input (negative: it leads), and whether its polarity is inverted."""

    samples: int
    inverted: bool
    estimated: bool
    # The correlation's peak over its RMS; a chance peak among so many lags reaches about 5. None where none was sought.
    confidence: float | None = None


def estimate_delay(takes: Sequence[AudioPair]) -> Delay:
    """One delay of several takes, in whole samples; `alignment.Timing` says how it is measured."""
    found = timing([(take.input, take.target) for take in takes], takes[0].sample_rate, steady=True)
    return Delay(found.samples, found.inverted, estimated=True, confidence=found.confidence)


def aligned(pair: AudioPair, delay: int) -> AudioPair:
    """The take with the target moved earlier by `delay` samples; the ends that have no partner are cut off."""
    if abs(delay) >= len(pair.input):
        raise AmpsimError(f"data.delay={delay} is longer than {pair.name} ({len(pair.input):,} samples)")
    keep = len(pair.input) - abs(delay)
    lead, lag = max(-delay, 0), max(delay, 0)
    return replace(pair, input=pair.input[lead : lead + keep], target=pair.target[lag : lag + keep])


# ---- Splits ---------------------------------------------------------------------------------------------------------


def split(takes: list[AudioPair], splits: dict[str, Split], *, gap: int) -> dict[str, list[Span]]:
    """Contiguous spans for train, validation and test, with `gap` samples between two splits of one take.

    Takes that a split names belong to it whole. The others form one timeline, in order: training from its start, test
    at its end, validation before that. A share of training is cut to what the others leave.

    Raises:
        AmpsimError: a split names a take that is not there or that another has, the shares exceed the recording, or
            a split is left without audio.
    """
    named = {name: takes_named(takes, names, name) for name, names in splits.items() if isinstance(names, list)}
    taken = [take.name for chosen in named.values() for take in chosen]
    if len(set(taken)) < len(taken):
        raise AmpsimError(f"data.splits gives a take to two splits: {', '.join(sorted(taken))}")
    spans = {name: [Span(take, 0, len(take.input)) for take in chosen] for name, chosen in named.items()}
    rest = [take for take in takes if take.name not in taken]
    shares = {name: share for name, share in splits.items() if name not in named}
    for name, (start, stop) in bounds(rest, shares, gap=gap).items():
        spans[name] = cut(rest, start, stop)
    # A gap, so that the model's memory of one split never reaches the next.
    minimum = max(gap, 1)
    for name in SPLITS:
        if max(map(len, spans[name]), default=0) < minimum:
            available = sum(map(len, spans[name])) / takes[0].sample_rate
            raise AmpsimError(
                f"the recording is too short: {name} would hold {available:.1f} s in one piece, less than the model's memory "
                f"of {minimum:,} samples ({minimum / takes[0].sample_rate:.2f} s): record more, or change "
                f"data.splits.{name} or the model's window"
            )
    return {name: [span for span in spans[name] if len(span) >= minimum] for name in SPLITS}


def takes_named(takes: list[AudioPair], names: list[str], split_name: str) -> list[AudioPair]:
    known = {take.name: take for take in takes}
    for name in names:
        if sum(take.name == name for take in takes) > 1:
            raise AmpsimError(
                f"data.splits.{split_name} names {name}, which several takes are called: rename the files"
            )
        if name not in known:
            raise AmpsimError(f"data.splits.{split_name} names {name}; the takes are {', '.join(known)}")
    return [known[name] for name in names]


def bounds(takes: list[AudioPair], shares: dict[str, Split], *, gap: int) -> dict[str, tuple[int, int]]:
    """Start and stop of each share on the timeline of all takes, one after another."""
    if not shares:
        return {}
    total = sum(len(take.input) for take in takes)
    if not total:
        raise AmpsimError(f"data.splits leaves no take for {', '.join(shares)}")
    lengths = {name: share_length(share, total, takes[0].sample_rate, name) for name, share in shares.items()}
    held_out = sum(length for name, length in lengths.items() if name != "train")
    if held_out >= total or (isinstance(shares.get("train"), str) and sum(lengths.values()) > total + 1):
        asked = ", ".join(f"{name} {length / takes[0].sample_rate:.1f} s" for name, length in lengths.items())
        raise AmpsimError(f"data.splits asks for {asked}; the recording has {total / takes[0].sample_rate:.1f} s")
    found: dict[str, tuple[int, int]] = {}
    end = total
    for name in ("test", "validation"):
        if name in lengths:
            found[name] = (max(end - lengths[name], 0), end)
            end = found[name][0] - gap
    if "train" in lengths:
        found["train"] = (0, max(min(lengths["train"], end), 0))
    return found


def share_length(share: Split, total: int, sample_rate: int, name: str) -> int:
    if isinstance(share, str):
        number, _, unit = share.strip().partition("s")
        try:
            seconds = float(number)
        except ValueError:
            seconds = -1.0
        if seconds > 0 and not unit and "s" in share:
            return round(seconds * sample_rate)
    elif not isinstance(share, bool) and isinstance(share, int | float) and 0 < share <= 1:
        return int(share * total)
    raise AmpsimError(f'data.splits.{name} is a share up to 1 (0.8), a time ("30 s") or a list of takes, not {share!r}')


def cut(takes: list[AudioPair], start: int, stop: int) -> list[Span]:
    spans, offset = [], 0
    for take in takes:
        first, last = max(start - offset, 0), min(stop - offset, len(take.input))
        if first < last:
            spans.append(Span(take, first, last))
        offset += len(take.input)
    return spans
