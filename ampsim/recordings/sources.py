"""Where a recording comes from: the `data` section of the config."""

import hashlib
import inspect
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from ampsim import AmpsimError, counted
from ampsim.files import expanded, refuse_larger
from ampsim.recordings import virtual_amp
from ampsim.recordings.channels import alike, silent
from ampsim.recordings.controls import Control
from ampsim.recordings.levels import level
from ampsim.recordings.pairs import AudioPair, FileRecord
from ampsim.signals.audio import AudioFile, Signal, clock, read

DEFAULT_RATE = virtual_amp.VirtualAmpSettings.sample_rate
MADE_BYTES = 46  # that a sample of the virtual amp takes while it is made, as measured
SPLITS = ("train", "validation", "test")
LABEL_S = 0.05  # by which the lengths of two files differ that were recorded together, as if they had one rate
LENGTHS_S = 1.0  # by which the files of a take may differ: workstations end each track a little elsewhere

Split = float | str | list[str]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A recording as the config names it.

    Args:
        delay: samples by which the target lags the input, or "auto" to estimate it.
        splits: for each of train, validation and test a share of the recording (0.8), a time ("30 s"), or a list of
            takes (file names). Training is laid from the start, validation and test from the end.
        checks: "strict" refuses a recording with a fault that spoils training, "warn" only tells.
        drift: "correct" resamples a target whose clock runs faster or slower than the input's, "ignore" leaves it.
        input_level_dbu, output_level_dbu: of the full scale of input and target, where they are known; see `levels`.
    """

    files: ClassVar[tuple[str, ...]] = ()  # which of its arguments name files, one path or a list each

    delay: int | Literal["auto"] = "auto"
    splits: dict[str, Split] = field(default_factory=lambda: {"train": 0.8, "validation": 0.1, "test": 0.1})
    checks: Literal["strict", "warn"] = "strict"
    drift: Literal["ignore", "correct"] = "ignore"
    input_level_dbu: float | None = None
    output_level_dbu: float | None = None

    def __post_init__(self) -> None:
        for name in ("input_level_dbu", "output_level_dbu"):
            level(f"data.{name}", getattr(self, name))
        if self.delay != "auto" and (isinstance(self.delay, bool) or not isinstance(self.delay, int)):
            raise ValueError(f'data.delay is "auto" or a whole number of samples, not {self.delay!r}')
        if self.checks not in ("strict", "warn"):
            raise ValueError(f'data.checks is "strict" or "warn", not {self.checks!r}')
        if self.drift not in ("ignore", "correct"):
            raise ValueError(f'data.drift is "ignore" or "correct", not {self.drift!r}')
        if not isinstance(self.splits, dict) or set(self.splits) != set(SPLITS):
            raise ValueError(f"data.splits names {', '.join(SPLITS)}, and not {str(self.splits)[:200]}")
        for name, share in self.splits.items():
            if isinstance(share, list) and not all(isinstance(take, str) for take in share):
                raise ValueError(f"data.splits.{name} is a list of takes by their file names, not {str(share)[:200]}")

    @property
    def known_controls(self) -> tuple[Control, ...]:
        """What its takes were made at several settings of."""
        return ()

    def load(self) -> list[AudioPair]:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Stereo(Source):
    """Files that hold the direct signal in one channel and the amp in another, one file a take."""

    files = ("path",)

    path: str | list[str]
    input_channel: int = 0
    target_channel: int = 1

    def load(self) -> list[AudioPair]:
        return [self.take(read(path)) for path in listed("data.path", self.path)]

    def take(self, file: AudioFile) -> AudioPair:
        if file.samples.shape[1] < 2:
            raise AmpsimError(
                f"{file.path} has 1 channel; a stereo recording holds direct and amp in two channels of one file "
                "(two mono files: `ampsim train direct.wav amp.wav`, or data=pair)"
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
    """Two mono files a take: `input` (direct) and `target` (amp), each one path or a list in the same order.

    Files that differ in length by up to a second are cut to the shorter; with `checks="warn"`, by more. A file of several
    channels counts as mono if they hold the same, or only one has sound.
    """

    files = ("input", "target")

    input: str | list[str]
    target: str | list[str]

    def load(self) -> list[AudioPair]:
        inputs, targets = listed("data.input", self.input), listed("data.target", self.target)
        if len(inputs) != len(targets):
            raise AmpsimError(
                f"data.input names {counted(len(inputs), 'file')} and data.target {len(targets)}: a take needs both"
            )
        return [self.take(read(direct), read(amp)) for direct, amp in zip(inputs, targets, strict=True)]

    def take(self, direct: AudioFile, amp: AudioFile) -> AudioPair:
        (input, input_notes), (target, target_notes) = mono(direct), mono(amp)
        refuse_two_rates(direct, amp)
        input, target, notes = self.common(direct, input, amp, target)
        return AudioPair(
            input,
            target,
            direct.sample_rate,
            direct.path.name,
            (record(direct), record(amp)),
            str(direct.path),
            str(amp.path),
            (*input_notes, *target_notes, *notes),
        )

    def common(
        self, direct: AudioFile, input: Signal, amp: AudioFile, target: Signal
    ) -> tuple[Signal, Signal, tuple[str, ...]]:
        """Both signals from their start to the end of the shorter, and a note of what was left out."""
        size, more = min(len(input), len(target)), abs(len(input) - len(target))
        if not more:
            return input, target, ()
        shorter, longer = (direct, amp) if len(input) < len(target) else (amp, direct)
        text = f"{longer.path} is longer than {shorter.path} by {counted(more, 'sample')} ({more / direct.sample_rate:.3g} s)"
        if more > LENGTHS_S * direct.sample_rate and self.checks == "strict":
            ends = f"they end at {clock(longer.duration_s)} and {clock(shorter.duration_s)}"
            raise AmpsimError(
                f"{text}, {ends}: export both from the same start to the same end (data.checks=warn takes the common part)"
            )
        return input[:size], target[:size], (f"{text}: the common part is taken",)


class VirtualAmp(Source):
    """The embedded recording: a synthetic guitar through a simulated valve amp, the same on every machine.

    Args:
        recording: fields of `virtual_amp.VirtualAmpSettings`.
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
        shared: dict[str, Any] = {} if splits is None else {"splits": splits}
        super().__init__(delay=delay, checks=checks, drift=drift, **shared)
        if "cache" in recording:  # a config from elsewhere says what is made and not where files go
            raise ValueError("a config cannot name data.cache; AMPSIM_CACHE does")
        inspect.signature(virtual_amp.VirtualAmpSettings).bind(
            **recording
        )  # an unknown setting is refused now, not after loading
        object.__setattr__(self, "recording", recording)

    def load(self) -> list[AudioPair]:
        recording: dict[str, Any] = self.recording  # type: ignore[attr-defined]
        try:
            chosen = virtual_amp.VirtualAmpSettings(**recording)
            name = f"data.duration_s={chosen.duration_s:g} at {chosen.sample_rate:,} Hz"
            refuse_larger(name, MADE_BYTES * chosen.duration_s * chosen.sample_rate)
            direct, amp = virtual_amp.record(**recording)
        except ValueError as error:
            raise AmpsimError(f"data=virtual_amp: {error}") from error
        sample_rate = chosen.sample_rate
        digest = hashlib.sha256(direct.tobytes() + amp.tobytes()).hexdigest()
        made = FileRecord("virtual_amp (made, not recorded)", len(direct) / sample_rate, digest)
        return [AudioPair(direct, amp, sample_rate, "virtual_amp", (made,))]


def refuse_two_rates(direct: AudioFile, amp: AudioFile) -> None:
    """Raises AmpsimError where the rates differ: as many samples in both mean that one of them is labelled wrong."""
    rates = direct.sample_rate, amp.sample_rate
    if rates[0] == rates[1]:
        return
    told = f"{direct.path} has {rates[0]:,} Hz and {amp.path} has {rates[1]:,} Hz"
    counts = len(direct.samples), len(amp.samples)
    if abs(counts[0] - counts[1]) <= LABEL_S * min(rates) and abs(direct.duration_s - amp.duration_s) > LABEL_S:
        raise AmpsimError(
            f"{told}, but they hold as many samples ({counts[0]:,} and {counts[1]:,}): one of the rates is probably a wrong "
            f"label, {max(rates) / min(rates):.4f} times off; give that file its true rate, or export both from the session"
        )
    made = amp.path.with_name(f"{amp.path.stem}-{rates[0]}{amp.path.suffix}")
    command = shlex.join(["sox", str(amp.path), "-r", str(rates[0]), str(made)])
    raise AmpsimError(f"{told}: export both at one rate, or convert one of them, for instance with `{command}`")


def mono(
    file: AudioFile, remedy: str = "where one file holds direct and amp, name it alone, or data=stereo"
) -> tuple[Signal, tuple[str, ...]]:
    """The one signal that a file holds, and a note where it holds it in several channels.

    Args:
        remedy: what else can be done where the channels differ.

    Raises:
        AmpsimError: the channels differ.
    """
    channels = [file.channel(index) for index in range(file.samples.shape[1])]
    if len(channels) == 1:
        return channels[0], ()
    sounding = [index for index, samples in enumerate(channels) if not silent(samples)]
    first = channels[sounding[0]] if sounding else channels[0]
    if not all(alike(first, channels[index]) for index in sounding):
        raise AmpsimError(
            f"{file.path} has {len(channels)} channels, which differ, where one signal is needed: export it as mono "
            f"({remedy})"
        )
    if len(sounding) == 1:
        return first, (f"{file.path} has {len(channels)} channels, of which only {sounding[0]} has sound: it is taken",)
    return first, (f"{file.path} has {len(channels)} channels that hold the same: it is taken as mono",)


def listed(key: str, paths: str | Sequence[str]) -> list[Path]:
    """One path or several, `~` expanded; an empty list or a folder's worth of nothing is refused."""
    names: list[Any] = list(paths) if isinstance(paths, list | tuple) else [paths]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise AmpsimError(f"{key} names no file")
    return [expanded(name) for name in names]


def record(file: AudioFile) -> FileRecord:
    return FileRecord(str(file.path.absolute()), file.duration_s, file.sha256)
