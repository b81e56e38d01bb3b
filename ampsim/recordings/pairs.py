"""Takes: pairs of input and target, and spans of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ampsim import AmpsimError, counted
from ampsim.signals.alignment import APART_S, RIVAL, SEARCH_S, Timing, timing
from ampsim.signals.audio import Signal


@dataclass(frozen=True)
class FileRecord:
    """What a run remembers of an audio file that it was made from."""

    path: str
    duration_s: float
    sha256: str


@dataclass(frozen=True)
class AudioPair:
    """One take: input (direct) and target (amp), each of shape (num_samples,), at one sample rate.

    `notes` are sentences on how it was made of its files, where they left a choice.
    """

    input: Signal
    target: Signal
    sample_rate: int
    name: str
    files: tuple[FileRecord, ...] = ()
    input_name: str = ""
    target_name: str = ""
    notes: tuple[str, ...] = ()  # what has to be said before it is used
    setting: tuple[float, ...] = ()  # of the amp's controls, in the order of `Recording.controls`
    one_of_many: bool = False  # of the same amp, which are timed roughly where that is clear: a tenth of the work

    def __post_init__(self) -> None:
        """Take what a source of someone's own made, in another precision or as lists.

        Raises:
            AmpsimError: a signal is none, or the sample rate is no number of hertz.
        """
        for side in ("input", "target"):
            try:
                signal = np.asarray(getattr(self, side), np.float32)
            except (TypeError, ValueError) as error:
                raise AmpsimError(f"{self.name}: the {side} of a take is a signal, (num_samples,): {error}") from error
            if signal.ndim != 1:
                raise AmpsimError(f"{self.name}: the {side} of a take has shape {signal.shape}, not (num_samples,)")
            object.__setattr__(self, side, signal)
        if not isinstance(self.sample_rate, int | np.integer) or self.sample_rate < 1:
            raise AmpsimError(f"{self.name}: sample_rate={self.sample_rate!r} is no whole number of hertz")

    @property
    def duration_s(self) -> float:
        return len(self.input) / self.sample_rate

    @cached_property
    def timing(self) -> Timing:
        """How the target lies against the input, measured when it is first asked for."""
        signals = [(self.input, self.target)]
        rough = timing(signals, self.sample_rate, quick=True) if self.one_of_many else None
        return rough if rough and rough.clear else timing(signals, self.sample_rate)


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


@dataclass(frozen=True)
class Delay:
    """`samples` by which the target lags the input (negative: it leads), and whether its polarity is inverted."""

    samples: int
    inverted: bool
    estimated: bool
    confidence: float | None = None  # see `Timing`; None where none was sought


APART = 10  # samples by which the delays of takes may differ, since each is measured on its own playing


def estimate_delay(takes: Sequence[AudioPair]) -> Delay:
    """One delay of several takes: the shortest of those that are clear, so that a model misses nothing of any take.

    Those that were timed roughly have no say in it where others are clear. Where none is clear alone, all are measured
    together. `alignment.Timing` says how a delay is measured and rounded.

    Raises:
        AmpsimError: the takes have no clear delay, or several.
    """
    clear = {take.name: take.timing for take in takes if take.timing.clear}
    if clear:
        samples = {name: found.samples for name, found in clear.items()}
        if max(samples.values()) - min(samples.values()) > APART:
            listed = ", ".join(f"{name} {number}" for name, number in samples.items())
            raise AmpsimError(
                f"the amp's signal lags by other samples in each take ({listed}), and a model learns one delay: shift "
                "them against each other, train on the takes apart, or set the delay for all with data.delay="
            )
        sure = [take.timing for take in takes if take.timing.clear and not take.one_of_many]
        found = min(sure or clear.values(), key=lambda each: each.samples)
    else:
        found = timing([(take.input, take.target) for take in takes], takes[0].sample_rate, steady=True)
    if not found.clear:
        raise AmpsimError(f"{takes[0].name}: {unclear(found)}: {SET_DELAY}")
    return Delay(found.samples, found.inverted, estimated=True, confidence=found.confidence)


def unclear(found: Timing) -> str:
    """Why no delay is told."""
    why = f"the best peak is {found.confidence:.0f} times the average"
    if math.isnan(found.apart):
        why = "the take is too short to measure it twice"
    elif not found.apart <= APART_S * found.sample_rate:
        differ = "in polarity" if math.isinf(found.apart) else f"by {found.apart:.0f} samples"
        why = f"two halves of the take differ {differ}"
    elif found.rival > RIVAL:
        why = f"another peak is {found.rival:.0%} as high as the best"
    return f"no clear delay between direct and amp ({why})"


SET_DELAY = (
    f"are these of the same take? Delays of up to {SEARCH_S:g} s are found. Set data.delay if you know it, data.delay=0 if "
    "both start together"
)


def aligned(pair: AudioPair, delay: int) -> AudioPair:
    """The take with the target moved earlier by `delay` samples; the ends that have no partner are cut off."""
    if abs(delay) >= len(pair.input):
        raise AmpsimError(f"data.delay={delay} is longer than {pair.name} ({counted(len(pair.input), 'sample')})")
    keep = len(pair.input) - abs(delay)
    lead, lag = max(-delay, 0), max(delay, 0)
    return replace(pair, input=pair.input[lead : lead + keep], target=pair.target[lag : lag + keep])
