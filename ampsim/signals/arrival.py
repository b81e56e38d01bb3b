"""When an amp's response begins: the delay of the pulse that is left when its curves and its filters are accounted for.

An amp filters, clips and filters again. Between a guitar and what a clipper makes of it the phase spectrum is hardly
that of a delay, since an overtone of the output comes from the fundamental as much as from the overtone of the input. So the
input is first sent through a gain stage of its own, a filter and a tanh, fitted so that the rest of the amp is as linear as
it can be (a Wiener-Hammerstein model whose last filter need not be known; Billings & Fakhouri, 1982). The rest is a delay
and a filter, whose phase follows from its magnitude as far as it is of minimum phase.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ampsim.signals.audio import rms
from ampsim.signals.filters import folded

Array = NDArray[np.float64]
Spectra = NDArray[np.complexfloating[Any]]
Wave = NDArray[np.floating]
Take = tuple[Wave, Wave]  # (input, target), each (num_samples,)

PULSE = 8192  # samples in which a response is looked at ...
NUM_FRAMES = 600  # ... in that many places of a take
PAST = PULSE // 2  # samples of input in front of them, in which the filter of the gain stage settles
TOP_HZ = 10000.0  # what lies above comes through few amps
LOW_HZ = 40.0  # as does what lies below
EMPTY_DB = -100.0  # bins that far below the loudest hold what the window leaks
NUM_PASSAGES = 8  # of a take, which go to two halves in turn
FINER = 4  # places a sample at which the response is looked at
HEARD = 4.0  # standard errors by which a band's coherence exceeds chance, for its magnitude to count
INDEPENDENT = 0.6  # of the frames, since they overlap by half
UNHEARD = 4.0  # nepers by which the gain is thought to fall on above the last band that is heard
KNOTS_HZ = 30.0 * 2.0 ** np.arange(9)  # where the gain stage's filter is free, and straight in between (log, log)
FITTED, STEPS = 64, 40  # frames that the gain stage is fitted to, and steps of the search at most ...
TOLERANCE = 1e-5  # ... which ends where one gains no more: below, single precision misleads it, and it tries in vain
GAINS = (0.0, 1.5, 3.0, 4.5)  # nepers over an input of RMS 1, from which the search begins
FURTHEST = 10.0  # nepers from the first of them, and bias
SMOOTH = 0.1  # by which neighbouring knots are held together


@dataclass(frozen=True)
class Frames:
    """Pieces of takes: the input's spectra with PAST samples in front, (num_frames, (PAST + PULSE) // 2 + 1), and the
    target's, (num_frames, PULSE // 2 + 1), through a window and at the lag expected there; `half` says which is of which
    half of the takes."""

    given: Spectra
    wanted: Spectra
    half: NDArray[np.int_]


WINDOW = np.hanning(PULSE).astype(np.float32)


def gathered(takes: Sequence[Take], lag_at: Callable[[float], float]) -> Frames:
    """Frames from all over the takes, the target's later by what `lag_at` says of their middle."""
    given, wanted, halves = [], [], []
    for source, target in takes:
        last = max(len(source) - PULSE, 0)
        num_frames = min(last // (PULSE // 2) + 1, NUM_FRAMES)
        starts = np.linspace(0, last, num_frames).astype(int)
        lags = np.array([lag_at(start + PULSE / 2) for start in starts])
        before, after = framed(source, target, starts, lags)
        given.append(before)
        wanted.append(after)
        halves.append(min(NUM_PASSAGES, num_frames) * np.arange(num_frames) // num_frames % 2)
    return Frames(np.concatenate(given), np.concatenate(wanted), np.concatenate(halves))


def framed(given: Wave, wanted: Wave, starts: NDArray[np.int_], lags: Array) -> tuple[Spectra, Spectra]:
    """Spectra of frames of the input with their past, and of the target so many samples later."""
    whole = np.round(lags).astype(int)
    before = np.array([part(given, start - PAST, PAST + PULSE) for start in starts])
    after = np.array([part(wanted, start + lag, PULSE) for start, lag in zip(starts, whole, strict=True)])
    return fft.rfft(before), turned(fft.rfft(after * WINDOW), lags - whole)


def plain(given: Spectra) -> Spectra:
    """Spectra with the past to spectra of the frames, through a window."""
    return fft.rfft(fft.irfft(given)[:, PAST:] * WINDOW)


def part(x: Wave, start: int, length: int) -> Wave:
    """A piece of a signal, with silence beyond its ends."""
    piece = x[max(start, 0) : max(start + length, 0)]
    before = min(max(-start, 0), length)
    return np.pad(piece, (before, length - before - len(piece))).astype(np.float32, copy=False)


def turned(spectra: Spectra, lags: float | Array) -> Spectra:
    """Spectra, (num_bins,) or (num, num_bins), of what comes so many samples earlier."""
    radians = np.linspace(0, np.pi, spectra.shape[-1])
    return spectra * np.exp(1j * np.multiply.outer(lags, radians)).astype(np.complex64)


# ---- The gain stage -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GainStage:
    """tanh(filtered + bias), whose filter has the phase that belongs to `log_gain`, (num_knots,), at KNOTS_HZ."""

    log_gain: Array
    bias: float
    sample_rate: int

    def __call__(self, given: Spectra) -> Spectra:
        """Input spectra of frames with their past to windowed spectra of the frames, (num_frames, PULSE // 2 + 1)."""
        filtered = fft.irfft(given * np.exp(self.log_gain @ knots(self.sample_rate)).astype(np.complex64))[:, PAST:]
        return fft.rfft(np.tanh(filtered + np.float32(self.bias)) * WINDOW)


def knots(sample_rate: int) -> Spectra:
    """The complex logarithm of the minimum-phase filter of one neper at one of KNOTS_HZ, of each: (num_knots, num_bins)."""
    octaves = np.log2(np.maximum(fft.rfftfreq(PAST + PULSE, 1 / sample_rate), 1.0))
    tents = [np.interp(octaves, np.log2(KNOTS_HZ), row) for row in np.eye(len(KNOTS_HZ))]
    return np.array([folded(tent) for tent in tents], np.complex64)


def fitted_stage(frames: Frames, sample_rate: int, like: GainStage | None = None) -> GainStage:
    """The gain stage behind which the target is most coherent with the input.

    What is made small is the mean of log(1 - coherence) over the bins: with a free filter in each, that is the likelihood of
    Gaussian errors of unknown spectrum. The search may begin where one ended that was fitted to nearly the same frames.
    """
    from scipy import optimize  # here, so that commands that measure no delay do not load it

    loud = np.flatnonzero(np.all([levels(each) > 1e-3 for each in (frames.given, frames.wanted)], axis=0))
    if not len(loud):
        return GainStage(np.zeros(len(KNOTS_HZ)), 0.0, sample_rate)
    chosen = loud[np.linspace(0, len(loud) - 1, min(FITTED, len(loud))).astype(int)]
    given, wanted = frames.given[chosen], frames.wanted[chosen]
    loudness = float(np.sqrt(np.mean(np.square(np.abs(given))) / given.shape[1] / 2))
    basis = knots(sample_rate)
    first, last = (int(hz / sample_rate * PULSE) for hz in (LOW_HZ, min(TOP_HZ, 0.45 * sample_rate)))
    flat = [np.append(np.full(len(KNOTS_HZ), gain - np.log(max(loudness, 1e-20))), 0.0) for gain in GAINS]
    starts = flat if like is None else [*flat, np.append(like.log_gain, like.bias)]

    def loss(values: Array) -> tuple[float, Array]:
        told, slopes = incoherence(values, given, wanted, basis, slice(first, last))
        rise = np.diff(values[:-1])
        slopes[:-1] += 2 * SMOOTH * (np.append(0, rise) - np.append(rise, 0))
        slopes[-1] += 2 * SMOOTH * values[-1]
        return told + SMOOTH * float(rise @ rise + values[-1] ** 2), slopes

    bounds = [(value - FURTHEST, value + FURTHEST) for value in flat[0]]
    start = min(starts, key=lambda values: loss(values)[0])
    options = {"maxiter": STEPS, "ftol": TOLERANCE}
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return GainStage(found.x[:-1], float(found.x[-1]), sample_rate)


def levels(spectra: Spectra) -> Array:
    """RMS of each row over the largest."""
    each: Array = np.sqrt(np.mean(np.square(np.abs(spectra), dtype=np.float64), axis=1))
    return each / max(float(each.max()), 1e-30)


def incoherence(values: Array, given: Spectra, wanted: Spectra, basis: Spectra, band: slice) -> tuple[float, Array]:
    """Mean of log(1 - coherence) over a band, and its slope along each of the gain stage's values."""
    shaped = given * np.exp(values[:-1] @ basis).astype(np.complex64)
    bent = np.tanh(fft.irfft(shaped)[:, PAST:] + np.float32(values[-1]))
    source, target = fft.rfft(bent * WINDOW)[:, band], wanted[:, band]
    product = np.sum(np.conj(source) * target, axis=0)
    before, after = (power(x) + 1e-20 for x in (source, target))
    coherence = np.minimum(np.square(np.abs(product)) / (before * after), 1 - 1e-6)
    # Back through the same steps; the slope of a complex number is d/d(real) + i d/d(imaginary).
    outer = -2 / (1 - coherence) / len(coherence)
    slope = np.zeros((len(given), PULSE // 2 + 1), np.complex64)
    slope[:, band] = outer * (target * (np.conj(product) / (before * after)) - source * (coherence / before))
    errors = PULSE / 2 * fft.irfft(slope) * WINDOW * (1 - np.square(bent))
    backward = fft.rfft(np.pad(errors, ((0, 0), (PAST, 0))))
    by_bin: Spectra = np.sum(shaped * np.conj(backward), axis=0, dtype=np.complex128)
    by_bin[[0, -1]] /= 2  # the others stand for two of the whole spectrum
    by_knot = np.real(basis @ by_bin) * 2 / (PAST + PULSE)
    return float(np.mean(np.log1p(-coherence))), np.append(by_knot, errors.sum(dtype=np.float64))


# ---- The response ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cross:
    """Cross-spectrum of input and target and the power of both, (PULSE // 2 + 1,) each, summed over so many frames."""

    product: Spectra
    before: Array
    after: Array
    num_frames: int

    def __add__(self, other: "Cross") -> "Cross":
        both = (self.product + other.product, self.before + other.before, self.after + other.after)
        return Cross(*both, self.num_frames + other.num_frames)

    @property
    def explained(self) -> Array:
        """The part of the target's power that the input explains, with what it would by chance."""
        return np.square(np.abs(self.product)) / np.maximum(self.before * self.after, 1e-300)

    @property
    def chance(self) -> float:
        return 1 / max(INDEPENDENT * self.num_frames, 1.5)

    @property
    def coherence(self) -> Array:
        """The same without what it would by chance."""
        return np.clip((self.explained - self.chance) / (1 - self.chance), 0, 1)


def crossed(frames: Frames, stage: GainStage | None = None) -> tuple[Cross, Cross]:
    """Of the two halves of the frames, whose inputs go through a gain stage first."""
    totals = []
    for half in (0, 1):
        nothing = np.zeros(PULSE // 2 + 1)
        total, rows = Cross(nothing.astype(complex), nothing, nothing, 0), frames.half == half
        for given, after in in_turn(frames.given[rows], frames.wanted[rows]):
            before = stage(given) if stage else plain(given)
            product = np.sum(np.conj(before) * after, axis=0, dtype=complex)
            total += Cross(product, power(before), power(after), len(given))
        totals.append(total)
    return totals[0], totals[1]


def power(spectra: Spectra) -> Array:
    """Of each bin, over all frames."""
    summed: Array = np.sum(np.square(np.abs(spectra)), axis=0, dtype=np.float64)
    return summed


def in_turn(given: Spectra, wanted: Spectra) -> Iterator[tuple[Spectra, Spectra]]:
    """So many frames at a time that memory does not matter."""
    for start in range(0, len(given), FITTED):
        yield given[start : start + FITTED], wanted[start : start + FITTED]


@dataclass(frozen=True)
class Arrival:
    """Peak and rising edge of a response, in samples; see `alignment.Timing`."""

    delay: float
    onset: float
    inverted: bool
    confidence: float
    rival: float
    explained: float


def arrival(cross: Cross) -> Arrival:
    """When the response arrives whose phase is that of the cross-spectrum without that of a minimum-phase filter, in whole
    frames up to a quarter of a frame early or late."""
    weight = np.sqrt(cross.coherence) * (cross.before > 10 ** (EMPTY_DB / 10) * cross.before.max())
    weight[:2] = 0
    phase = np.imag(folded(magnitude(cross)))
    upright = cross.product / np.maximum(np.abs(cross.product), 1e-300) * weight * np.exp(-1j * phase)
    response = fft.irfft(upright, FINER * PULSE)
    places = np.arange(-FINER * PULSE // 4, FINER * PULSE // 4)
    at = int(places[np.argmax(np.abs(response[places]))])
    height = float(response[at])
    if not height:
        return Arrival(0.0, 0.0, False, 0.0, 1.0, 0.0)
    upward = response[at - np.arange(FINER * PULSE // 4)] / height
    delay = at + vertex(*np.abs(response[[at - 1, at, at + 1]]))
    below = int(np.argmax(upward < 0.5))
    edge = below - (0.5 - upward[below]) / (upward[below - 1] - upward[below])
    lobe = max(4.0 * FINER, 2.5 * edge)
    away = np.ones(len(response), bool)
    away[np.arange(int(at - lobe), int(at + lobe) + 1)] = False
    rival, confidence = (
        abs(height) / max(each, 1e-30) for each in (float(np.abs(response[away]).max()), rms(response))
    )
    explained = float(cross.coherence @ cross.after) / max(float(cross.after.sum()), 1e-30)
    return Arrival(delay / FINER, (at - edge) / FINER, height < 0, confidence, 1 / rival, explained)


def magnitude(cross: Cross) -> Array:
    """Logarithm of the amp's gain, (PULSE // 2 + 1,), over a twelfth of an octave; where the input says nothing about the
    target, the next band that does; at the top the slope there goes on."""
    bins = np.arange(len(cross.before))
    first, last = (np.round(bins * 2.0**octaves).astype(int) for octaves in (-1 / 24, 1 / 24))
    stop = np.minimum(last + 1, len(bins))
    coherence, explained = cross.coherence, cross.explained
    gain = np.log(np.maximum(np.abs(cross.product), 1e-300) / np.maximum(cross.before, 1e-300))
    gain += 0.5 * np.log(np.maximum(coherence, 1e-6) / np.maximum(explained, 1e-6))  # chance makes it look louder
    sums = np.array([np.cumsum([0, *each]) for each in (coherence, coherence * gain, explained - cross.chance)])
    total, weighted, excess = sums[:, stop] - sums[:, first]
    heard = np.flatnonzero(excess > HEARD * cross.chance * np.sqrt(2 * (stop - first)))
    if len(heard) < 8:
        return np.zeros(len(bins))
    smooth: Array = np.interp(bins, heard, weighted[heard] / total[heard])
    top = int(heard[-1])
    fall = heard[heard > top / np.sqrt(2)]
    if top < len(bins) - 1 and len(fall) > 8:
        slope = min(float(np.polyfit(np.log(fall), smooth[fall], 1)[0]), 0.0)
        smooth[top + 1 :] += np.maximum(slope * np.log(bins[top + 1 :] / top), -UNHEARD)
    return smooth


def vertex(before: float, here: float, after: float) -> float:
    """Where a parabola through three neighbours peaks, in steps from the middle one."""
    bend = before - 2 * here + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
