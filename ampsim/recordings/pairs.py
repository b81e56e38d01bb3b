"""Takes: pairs of input and target, and spans of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ampsim import AmpsimError
from ampsim.signals.alignment import timing
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
