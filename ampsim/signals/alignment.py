"""How two recordings of the same playing lie against each other in time: delay, polarity, drift and lost samples.

Nothing here needs a test signal. Of the cross-spectrum of input and target only the phase is kept (phase transform;
Knapp & Carter, 1976), so that neither the guitar's spectrum nor the amp's colours it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ampsim.signals.audio import rms
from ampsim.signals.filters import minimum_phase

Array = NDArray[np.float64]
Spectra = NDArray[np.complexfloating[Any]]
Wave = NDArray[np.floating]
Take = tuple[Wave, Wave]  # (input, target), each (num_samples,)

BLOCK_S = 0.7  # long against any delay looked for, short enough to average many
STRETCH_S = (1.4, 2.0)  # over which one lag is measured, in short takes and in long ones
NUM_STRETCHES = 150  # spread over a longer take, so that neither time nor memory grows with it
TOP_HZ = 10000.0  # what lies above comes through few amps
QUIET_DB = -50.0  # blocks that far below the loudest say nothing
SURE = 6.0  # of a stretch's correlation the peak over the RMS; a chance peak among so many lags reaches about 5
LAG_ERROR = 0.2  # samples by which the lag of an amp moves at least, with what is played
STEP = 3.0  # samples of a step that is no such movement
AGREE = 0.75  # of the stretches between two steps that have to lie within STEP of the line for it to be believed
PULSE = 8192  # samples in which a response is looked at ...
NUM_FRAMES = 600  # ... in that many places of a take
UNFILTERED_RISE = 0.603  # samples from the half height of a pulse that holds all frequencies, a sinc, to its peak


@dataclass(frozen=True)
class Step:
    """From `at_s` on the target lags by `samples` more: negative where it lost some, or the input gained some."""

    at_s: float
    samples: float


@dataclass(frozen=True)
class Line:
    """A lag that grows by `slope` a second and by its steps."""

    slope: float = 0.0
    slope_error: float = np.inf  # standard error
    steps: tuple[Step, ...] = ()

    def __call__(self, time_s: float | Array) -> Array:
        passed = [step.samples * np.greater_equal(time_s, step.at_s) for step in self.steps]
        return np.sum([self.slope * np.asarray(time_s), *passed], axis=0)


@dataclass(frozen=True)
class Timing:
    """How the target lies against the input: it lags by `delay` at the start of the take, and later by what `line` adds.

    `delay` is the peak of the response, `onset` its rising edge at half height; negative where the target leads. Both
    are of the response without what a minimum-phase filter of its magnitude delays by itself, since tone controls and
    loudspeakers are close to such filters. `lags` were measured at `time_s`, (num_stretches,) each.
    """

    delay: float
    onset: float
    inverted: bool
    confidence: float  # the phase transform's peak over its RMS; a chance peak reaches about 5
    line: Line
    time_s: Array
    lags: Array
    sample_rate: int

    @property
    def samples(self) -> int:
        """The delay to take out, in whole samples, so that nothing of the response comes before its input."""
        return round(self.onset + UNFILTERED_RISE)

    @property
    def followed(self) -> bool:
        """Whether the lag lies on a line through the take, so that a drift or a step would show."""
        return bool(np.isfinite(self.line.slope_error))

    @property
    def drift_ppm(self) -> float:
        """How much faster the target's clock runs than the input's, in parts per million."""
        return self.line.slope / self.sample_rate * 1e6


def timing(takes: Sequence[Take], sample_rate: int, *, steady: bool = False) -> Timing:
    """Measure how the targets lie against their inputs.

    Args:
        takes: several share one delay.
        steady: take the lag for constant, without looking for drift and steps; several takes need it.
    """
    block = 2 ** round(np.log2(BLOCK_S * sample_rate))
    scale = max(1, int(sample_rate / 2 // TOP_HZ))  # fewer bins, so coarser samples of lag
    found = [stretches(*take, sample_rate, block, block // scale) for take in takes]
    time_s = np.concatenate([times for times, _ in found])
    phases = np.concatenate([spectra for _, spectra in found])
    line, lags = Line(), np.zeros(len(time_s))
    if not steady and len(phases) > 2:
        lags, sure = tracked(phases)
        lags, time_s, phases = scale * lags[sure], time_s[sure], phases[sure]
        if len(lags) > 2:
            line = believed(time_s, lags)
    correlation = fft.irfft(turned(phases, line(time_s) / scale).sum(axis=0))
    coarse, confidence = peak(np.abs(correlation))
    start = round(scale * coarse)
    response, power = crossed(takes, sample_rate, line, start)
    places = [located(takes[0], sample_rate, line, step, start, response) for step in line.steps]
    line = replace(line, steps=tuple(Step(at_s, step.samples) for at_s, step in zip(places, line.steps, strict=True)))
    delay, onset, inverted = arrival(response, power)
    lags = lags + (start + delay - np.median(lags - line(time_s)) if len(lags) else 0)
    return Timing(start + delay, start + onset, inverted, confidence, line, time_s, lags, sample_rate)


# ---- The lag of each stretch ----------------------------------------------------------------------------------------


def stretches(given: Wave, wanted: Wave, sample_rate: int, block: int, num_bins: int) -> tuple[Array, Spectra]:
    """When each stretch of a take is, in seconds, and the sum of its blocks' cross-spectra of unit magnitude."""
    length = max(block, round(np.clip(len(given) / sample_rate / 10, *STRETCH_S) * sample_rate))
    count = min(-(-len(given) // length), NUM_STRETCHES)
    firsts = np.linspace(0, max(len(given) - length, 0), count).astype(int)
    blocks = firsts[:, None] + np.arange(0, length - block + 1, block // 2)
    levels = [np.array([[rms(x[k : k + block]) for k in row] for row in blocks]) for x in (given, wanted)]
    heard = np.all([level > max(level.max() * 10 ** (QUIET_DB / 20), 1e-9) for level in levels], axis=0)
    window = np.hanning(block).astype(np.float32)
    times, found = [], []
    for row, loud in zip(blocks, heard, strict=True):
        if loud.any():
            parts = [np.stack([part(x, k, block) for k in row[loud]]) * window for x in (given, wanted)]
            before, after = (fft.rfft(each, 2 * block)[:, : num_bins + 1] for each in parts)
            product = np.conj(before) * after
            found.append((product / np.maximum(np.abs(product), 1e-20)).sum(axis=0))
            times.append((row[loud].mean() + block / 2) / sample_rate)
    return np.array(times), np.array(found, np.complex64).reshape(-1, num_bins + 1)


def part(x: Wave, start: int, length: int) -> Wave:
    """A piece of a signal, with silence beyond its end."""
    piece = x[start : start + length]
    return np.pad(piece, (0, length - len(piece))) if len(piece) < length else piece


def turned(spectra: Spectra, lags: float | Array) -> Spectra:
    """Spectra, (num_bins,) or (num, num_bins), of what comes so many samples earlier."""
    radians = np.linspace(0, np.pi, spectra.shape[-1])
    return spectra * np.exp(1j * np.multiply.outer(lags, radians)).astype(np.complex64)


def tracked(phases: Spectra) -> tuple[Array, NDArray[np.bool_]]:
    """The lag of each stretch, and whether it is sure.

    A stretch is compared with the sum of the others, shifted on top of each other, and not with the input: what the amp
    itself does to the phase is then in both. The first guess is no drift at all or, where that is clearly better, what
    comes out when stretch after stretch is put on the sum of those before it.
    """
    alone = [peak(np.abs(fft.irfft(row)))[1] for row in phases]
    first = int(np.argmax(alone))
    lags, sure, together = np.zeros(len(phases)), np.arange(len(phases)) == first, phases[first]
    for k in [*range(first + 1, len(phases)), *range(first - 1, -1, -1)]:
        lags[k], height = peak(fft.irfft(phases[k] * np.conj(together)))
        if height > SURE:
            sure[k], together = True, together + turned(phases[k], lags[k])
    moving, still = (peak(np.abs(fft.irfft(each)))[1] for each in (together, phases.sum(axis=0)))
    if moving < 1.1 * still:
        lags, sure = np.zeros(len(phases)), np.ones(len(phases), bool)
    for _ in range(2):
        upright = turned(phases, lags) * sure[:, None]
        together = upright.sum(axis=0)
        found = [peak(fft.irfft(row * np.conj(together - own))) for row, own in zip(phases, upright, strict=True)]
        lags, sure = np.array([lag for lag, _ in found]), np.array([height > SURE for _, height in found])
    return lags, sure


REACH = np.arange(-16, 17)
FINE = np.linspace(-1, 1, 65)
KERNEL = np.sinc(FINE[:, None] - REACH) * np.hanning(len(REACH) + 2)[1:-1]


def peak(correlation: Array) -> tuple[float, float]:
    """Where a circular correlation is largest, to a small part of a sample, and that height over its RMS."""
    half = len(correlation) // 4  # beyond, blocks hardly overlap
    inside = np.concatenate([correlation[:half], correlation[-half:]])
    found = int(np.argmax(inside))
    whole = found if found < half else found - 2 * half
    values = KERNEL @ correlation[(whole + REACH) % len(correlation)]
    m = int(np.clip(np.argmax(values), 1, len(FINE) - 2))
    before, here, after = values[m - 1 : m + 2]
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return whole + float(FINE[m] + shift * (FINE[1] - FINE[0])), float(inside[found]) / max(rms(inside), 1e-30)


# ---- A line through the lags, with steps ----------------------------------------------------------------------------


def believed(time_s: Array, lags: Array) -> Line:
    """The line through the lags, (num_stretches,), if they lie on it: with steps, else without, else none (`Line()`).

    Rectifiers, octave fuzzes, ring modulators and vibratos shift the lag of every stretch by something else, and a line
    with steps comes close to a few of any such lags.
    """
    line = fitted(time_s, lags)
    edges = [0, *np.searchsorted(time_s, [step.at_s for step in line.steps]), len(lags)]
    flat = lags - line.slope * time_s
    if all(lies_on_one(flat[start:stop]) for start, stop in pairwise(edges)):
        return line
    line = fitted(time_s, lags, most_steps=0)
    return line if lies_on_one(lags - line.slope * time_s) else Line()


def lies_on_one(flat: Array) -> bool:
    near = np.abs(flat - np.median(flat)) <= STEP
    return bool(near.sum() >= 2 and near.mean() >= AGREE)


def fitted(time_s: Array, lags: Array, *, most_steps: int = 49) -> Line:
    """The line through the lags, (num_stretches,), with steps where a line without them is clearly worse."""
    edges = [0, len(lags)]
    slope = float(np.median(np.diff(lags) / np.diff(time_s)))  # which few steps do not disturb
    while len(edges) < most_steps + 2 and (found := next_step(lags - slope * time_s, edges)):
        edges = sorted([*edges, found])
        slope = theil_sen(time_s, lags, pieces(edges))
    levels = medians(lags - slope * time_s, edges)
    error = deviation(lags - slope * time_s - levels[pieces(edges)])
    straight = theil_sen(time_s, lags, pieces([0, len(lags)]))
    plain = deviation(lags - straight * time_s - np.median(lags - straight * time_s))
    if plain < 2 * error:
        edges, slope, error = [0, len(lags)], straight, plain
    centred = time_s - np.array([time_s[a:b].mean() for a, b in pairwise(edges)])[pieces(edges)]
    steps = [
        Step(float(time_s[k - 1 : k + 1].mean()), float(after - before))
        for k, before, after in zip(edges[1:-1], levels, levels[1:], strict=False)
    ]
    return Line(slope, error / float(np.sqrt(np.sum(centred**2) + 1e-12)), tuple(steps))


def next_step(flat: Array, edges: list[int]) -> int | None:
    """Where, between two edges, a step explains most; None where none is clear."""
    best, most = None, 0.0
    for start, stop in pairwise(edges):
        whole = np.abs(flat[start:stop] - np.median(flat[start:stop])).sum()
        for k in range(start + 2, stop - 1):
            before, after = np.median(flat[start:k]), np.median(flat[k:stop])
            rest = np.concatenate([flat[start:k] - before, flat[k:stop] - after])
            gain = whole - np.abs(rest).sum()
            if gain > most and abs(after - before) > max(STEP, 8 * deviation(rest)):
                best, most = k, gain
    return best


def pieces(edges: list[int]) -> NDArray[np.int_]:
    return np.repeat(np.arange(len(edges) - 1), np.diff(edges))


def medians(values: Array, edges: list[int]) -> Array:
    return np.array([np.median(values[a:b]) for a, b in pairwise(edges)])


def deviation(rest: Array) -> float:
    """A standard deviation that few stray lags do not move."""
    return max(1.4826 * float(np.median(np.abs(rest))), LAG_ERROR)


def theil_sen(time_s: Array, lags: Array, piece: NDArray[np.int_]) -> float:
    """The median slope between two lags that no step parts (Theil, 1950; Sen, 1968)."""
    first, second = np.triu(np.equal.outer(piece, piece), 1).nonzero()
    return float(np.median((lags[second] - lags[first]) / (time_s[second] - time_s[first])))


# ---- The response and when it arrives -------------------------------------------------------------------------------


def crossed(takes: Sequence[Take], sample_rate: int, line: Line, coarse: int) -> tuple[Spectra, Array]:
    """Cross-spectrum of input and target, at the lag expected in each frame, and the input's power: (PULSE // 2 + 1,)."""
    total, power = np.zeros(PULSE // 2 + 1, complex), np.zeros(PULSE // 2 + 1)
    for given, wanted in takes:
        last = max(len(given) - PULSE, 0)
        for start in np.linspace(0, last, min(last // (PULSE // 2) + 1, NUM_FRAMES)).astype(int):
            lag = float(line((start + PULSE / 2) / sample_rate))
            spectrum, product = frame(given, wanted, int(start), coarse + round(lag))
            total += turned(product, lag - round(lag))
            power += np.square(np.abs(spectrum))
    return total, power


def frame(given: Wave, wanted: Wave, start: int, lag: int) -> tuple[Spectra, Spectra]:
    """The input's spectrum of a frame, and its cross-spectrum with the target so many samples later."""
    window = np.hanning(PULSE)
    late = part(wanted, start + lag, PULSE) if start + lag >= 0 else np.zeros(PULSE)
    before, after = fft.rfft(part(given, start, PULSE) * window), fft.rfft(late * window)
    return before, np.conj(before) * after


def arrival(product: Spectra, power: Array) -> tuple[float, float, bool]:
    """Peak and rising edge of the response, in samples, and whether it is inverted; see `Timing`."""
    gain = np.maximum(np.abs(product), 1e-30) / np.maximum(power, 1e-14 * power.max() + 1e-30)
    bins = np.arange(len(gain))
    low, high = (np.round(bins * 2.0**octaves).astype(int) for octaves in (-1 / 6, 1 / 6))
    sums = np.concatenate([[0.0], np.cumsum(np.log(gain))])
    stop = np.minimum(high + 1, len(gain))
    smooth = np.exp((sums[stop] - sums[low]) / (stop - low))
    excess = product * np.conj(minimum_phase(smooth))
    correlation = fft.irfft(excess / np.maximum(np.abs(excess), 1e-30))
    whole = round(peak(np.abs(correlation))[0])
    inverted = bool(correlation[whole] < 0)
    upright = -correlation if inverted else correlation
    delay, _ = peak(upright)
    around = round(delay) + np.arange(-64, 65)
    earlier = np.arange(delay, delay - 12, -0.01)
    edge = np.sinc(np.subtract.outer(earlier, around)) @ upright[around % PULSE]
    return delay, float(earlier[np.argmax(edge < 0.5 * edge[0])]), inverted


def located(take: Take, sample_rate: int, line: Line, step: Step, coarse: int, response: Spectra) -> float:
    """When a step happens, in seconds: up to there the lag before it fits better, from there on the lag after it."""
    given, wanted = take
    hop, centre = PULSE // 8, round(step.at_s * sample_rate) - PULSE // 2
    reach = round(2 * max(STRETCH_S[1], len(given) / sample_rate / NUM_STRETCHES) * sample_rate)
    starts = np.arange(max(centre - reach, 0), max(min(centre + reach, len(given) - PULSE), 1), hop)
    before = coarse + float(line(step.at_s - 1e-6))
    fits = []
    for lag in (before, before + step.samples):
        products = np.array([frame(given, wanted, int(start), round(lag))[1] for start in starts])
        matched: Array = np.real(products * np.conj(response)) / np.maximum(np.abs(products * response), 1e-30)
        fits.append(matched.sum(axis=1))
    gained = np.cumsum(fits[0] - fits[1])
    return float(starts[np.argmax(gained)] + PULSE / 2) / sample_rate


def resampled(target: Wave, drift_ppm: float, sample_rate: int) -> Wave:
    """A target, (num_samples,), whose clock ran so much too fast, on the right clock; as long as it was."""
    import soxr  # here, so that commands that resample nothing do not load it

    made = soxr.resample(
        np.asarray(target, np.float32), sample_rate * (1 + drift_ppm * 1e-6), sample_rate, quality="VHQ"
    )
    return part(made, 0, len(target))
