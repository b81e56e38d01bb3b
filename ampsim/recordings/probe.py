"""When an exported file answers: its onset, latency and polarity, heard against the amp that its model learnt from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ampsim import counted
from ampsim.recordings.pairs import unclear
from ampsim.recordings.preparing import LEFT_S
from ampsim.signals.alignment import Timing, advanced, least_error, timing
from ampsim.signals.audio import Signal, energy

LONGEST_S = 6.0  # of the recording that a file plays: enough for a clear delay, and seconds for a reader in Python
SHORTEST_S = 1.0
GAINED = 0.5  # of its error, from which a file's lag is what is wrong with it
LATE = 1.0  # samples by which a file may answer later than the amp does, beside its latency


@dataclass(frozen=True)
class Excerpt:
    """A piece of the recording that a model learnt from: direct signal and amp, (num_samples,) each, full scale at 1, the
    delay of `removed` samples taken out (None where it is not known)."""

    direct: Signal
    amp: Signal
    sample_rate: int
    removed: int | None = None

    @cached_property
    def loudest(self) -> "Excerpt":
        """The LONGEST_S in which most is played."""
        length = round(LONGEST_S * self.sample_rate)
        if len(self.direct) <= length:
            return self
        starts = range(0, len(self.direct) - length + 1, self.sample_rate // 2)
        start = max(starts, key=lambda k: energy(self.direct[k : k + length]) * energy(self.amp[k : k + length]))
        direct, amp = (each[start : start + length] for each in (self.direct, self.amp))
        return Excerpt(direct, amp, self.sample_rate, self.removed)

    @cached_property
    def timing(self) -> Timing:
        """How the amp lies against the direct signal, measured when it is first asked for: it takes seconds."""
        return timing([(self.direct, self.amp)], self.sample_rate, steady=True)


@dataclass(frozen=True)
class Probe:
    """What was heard of a file. Samples are the model's; None is what cannot be told, and `untold` says why.

    Args:
        latency: samples by which it is late on purpose, since its model hears the future.
        amp_onset: when the amp's answer begins in the recording that was learnt, behind the direct signal; see `Timing`.
        lag: by how much the file is behind that recording, latency included: where its error would be least.
        gained: the part of its error that would be gone there.
        inverted: whether it is so against the recording.
        left: of the recording's delay, what should have been taken out too.
        removed: the delay that was taken out of the recording.
    """

    latency: int
    sample_rate: int
    amp_onset: float | None = None
    lag: float | None = None
    gained: float = 0.0
    inverted: bool | None = None
    left: int = 0
    removed: int | None = None
    untold: str = ""

    @property
    def onset(self) -> float | None:
        """When the file's answer begins, in samples behind the direct signal, latency included."""
        return None if self.amp_onset is None or self.lag is None else self.amp_onset + self.lag

    @property
    def late(self) -> float:
        """Samples by which it answers later than the amp, without its latency.

        A model that has learnt little is nearer to the amp at some other delay too, but not much nearer.
        """
        return max(self.lag - self.latency, 0.0) if self.lag is not None and self.gained > GAINED else 0.0

    def fault(self) -> str:
        """A sentence where players should not get the file: what is wrong with it, and what to do; else nothing."""
        if self.inverted:
            return "it is inverted against the amp: the model has learnt little, so train longer"
        if self.late > LATE:
            removed = counted(self.removed or 0, "sample")
            taken = "" if self.removed is None else f"of the {removed} of delay that were taken out "
            return (
                f"it answers {self.late:.1f} samples later than the amp: {taken}some were the amp's own, and a model cannot "
                "hear what is yet to come: train with data.delay=auto, or with a smaller data.delay"
            )
        if self.left > LEFT_S * self.sample_rate:
            after, proper = self.onset or self.left, self.left + (self.removed or 0)
            return (
                f"it answers {after:.1f} samples ({1000 * after / self.sample_rate:.2f} ms) after the direct signal, since the "
                f"recording's delay was left in it: train with data.delay=auto or data.delay={proper}"
            )
        return ""

    def facts(self) -> dict[str, Any]:
        """For the metadata of a file."""
        if self.untold:
            return {"latency_samples": self.latency, "untold": self.untold}
        measured = {"onset_samples": self.onset, "amp_onset_samples": self.amp_onset, "lag_samples": self.lag}
        return {
            "latency_samples": self.latency,
            **{name: None if value is None else round(value, 3) for name, value in measured.items()},
            "polarity": "inverted" if self.inverted else "as recorded",
            "removed_delay_samples": self.removed,
        }

    def told(self) -> str:
        if self.untold:
            return f"when it answers cannot be told: {self.untold}"
        assert self.lag is not None
        begins = "" if self.onset is None else f", its answer begins {self.onset:.2f} samples after the direct signal"
        return f"it lies {self.lag:+.3f} samples from the amp's recording, upright against it{begins}"


def probe(play: Callable[[Signal], Signal], excerpt: Excerpt | None, latency: int, sample_rate: int) -> Probe:
    """Play an excerpt of the recording through a file and compare with the amp.

    Args:
        play: the file in a reader of its format.
        excerpt: None where the recording is not at hand.
        latency: samples by which the file is late on purpose.
    """
    if excerpt is None:
        return Probe(latency, sample_rate, untold="the run holds no excerpt of its recording")
    if len(excerpt.direct) < SHORTEST_S * sample_rate:
        kept = f"{len(excerpt.direct) / sample_rate:.1f} s"
        return Probe(latency, sample_rate, untold=f"the run holds {kept} of its recording, less than {SHORTEST_S:g} s")
    excerpt = excerpt.loudest
    output = np.asarray(play(excerpt.direct), np.float32)
    against = timing([(excerpt.amp, output)], sample_rate, steady=True, quick=True)
    if not against.clear:
        untold = f"between the amp and the file there is {unclear(against)}"
        return Probe(latency, sample_rate, removed=excerpt.removed, untold=untold)
    lag, own = least_error(excerpt.amp, output, against), excerpt.timing
    gained = 1 - esr(excerpt.amp, output, lag) / max(esr(excerpt.amp, output, latency), 1e-30)
    onset, left = (own.delay, own.samples) if own.clear else (None, 0)
    return Probe(latency, sample_rate, onset, lag, gained, against.inverted, left=left, removed=excerpt.removed)


def esr(target: Signal, output: Signal, delay: float) -> float:
    """Error over signal of an output without its delay, where both are there."""
    start, moved = advanced(output, delay)
    target = target[start : start + len(moved)]
    return energy(target - moved[: len(target)]) / max(energy(target), 1e-30)
