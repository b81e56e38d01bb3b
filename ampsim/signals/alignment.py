"""How two recordings of the same playing lie against each other in time: delay, polarity, drift and lost samples.

Nothing here needs a test signal. Of the cross-spectrum of input and target only the phase is kept (phase transform;
Knapp & Carter, 1976), so that neither the guitar's spectrum nor the amp's colours it. Long pieces are searched
for delays of up to SEARCH_S. That says where to look; `arrival` then measures the delay to a part of a sample.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy import signal as dsp

from ampsim.signals.arrival import (
    EMPTY_DB,
    PULSE,
    TOP_HZ,
    Array,
    Arrival,
    Frames,
    GainStage,
    Spectra,
    Take,
    Wave,
    arrival,
    crossed,
    fitted_stage,
    framed,
    gathered,
    part,
    plain,
    turned,
    vertex,
)
from ampsim.signals.audio import rms
from ampsim.signals.scratch import BLOCK, Scratch, blocks

BLOCK_S = 0.7  # long against any delay looked for, short enough to average many
STRETCH_S = (1.4, 2.0)  # over which one lag is measured, in short takes and in long ones
NUM_STRETCHES = 150  # spread over a longer take, so that neither time nor memory grows with it
QUIET_DB = -50.0  # blocks that far below the loudest say nothing
SURE = 6.0  # of a stretch's correlation the peak over the RMS; a chance peak among so many lags reaches about 5
LAG_ERROR = 0.2  # samples by which the lag of an amp moves at least, with what is played
STEP = 3.0  # samples of a step that is no such movement
AGREE = 0.75  # of the stretches between two steps that have to lie within STEP of the line for it to be believed
CLEAR = 13.0  # confidence from which a delay is taken; recordings of real amps reach 25 and more
MORE = 1.2  # times the power that the input explains, where the rectified input is believed
RIVAL = 0.85  # of the response's peak another one reaches where it is open which of them is the delay
APART_S = 0.00004  # that two halves of the takes may differ by; recordings of real amps reach 0.000016 in 10 s
STAGES_S = 0.00005  # by which the delay of several gain stages may be late: see `Timing`
MISFIT_S = 0.0005  # that a delay may be off times the root of the target's power that the fitted gain stage leaves
TWICE, BLUNT = 3.0, 0.25  # of what two halves differ by, and of what a rise exceeds SHARP by, that a delay may be off
LEAST = 0.2  # samples that any may be off by
SHARP = 0.6  # samples from half height to the peak of a response that holds all frequencies
FOOT = 3.0  # rises, from half height to peak, that lie between the first of a response and its peak
SEARCH_S = 5.0  # the longest delay that is found in a long take; in a short one it is half of the take
PIECE_S, NUM_PIECES = 15.0, 3  # in which it is sought
NEAREST_S, HALF = 0.0002, 128  # around it, for two signals of one amp; samples on each side of an interpolated one
AGREED = 0.25  # samples between the delays of two halves of a take, measured without a gain stage
FEIGNED = 2.5  # samples over a take by which what is played moves the lag, at most


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

    The response is what remains between a gain stage fitted to the recording and the target, without the delay that tone
    controls and loudspeakers have by themselves, as minimum-phase filters do (see `arrival`): for an amp it is a pulse
    where the amp's response to an impulse departs from zero, as wide as the frequencies that come through allow. `delay`
    is its peak, `onset` its rising edge at half height; negative where the target leads. What an amp takes off the treble
    between two stages that clip, above what a guitar plays, leaves no trace and counts as delay: 0.04 ms, or 1.8 samples
    at 44.1 kHz, for three valves and a power stage. `within` allows for that the more, the less one stage explains.
    """

    delay: float
    onset: float
    inverted: bool
    confidence: float  # the peak of the response over its RMS; a chance peak reaches about 5
    rival: float  # the highest of the other peaks, as a part of this one
    explained: float  # the part of the target's power that a gain stage and a filter make of the input
    apart: float  # samples between the peaks of two halves of the takes; infinity where only one is inverted, NaN of one frame
    line: Line
    time_s: Array
    lags: Array  # measured at `time_s`, (num_stretches,) each
    sample_rate: int

    @property
    def clear(self) -> bool:
        """Whether this is a measurement; if not, it is a guess that nothing should be based on."""
        return self.confidence >= CLEAR and self.rival <= RIVAL and self.apart <= APART_S * self.sample_rate

    @property
    def within(self) -> float:
        """Samples that the delay may be off by; what the bound holds for is measured in experiments/alignment.

        It grows with what two halves of the takes differ by, with the width of a response whose treble is missing or lost
        in noise, and with what the fitted gain stage does not explain: both halves may be off alike by its misfit.
        """
        if not math.isfinite(self.apart):
            return math.inf
        misfit = min(STAGES_S, MISFIT_S * math.sqrt(max(1 - self.explained, 0.0))) * self.sample_rate
        return TWICE * self.apart + BLUNT * max(self.delay - self.onset - SHARP, 0.0) + LEAST + misfit

    @property
    def samples(self) -> int:
        """The delay to take out, in whole samples, rounded down from where the response begins.

        It begins FOOT times its rise before its peak: 2 samples where all frequencies come through, more where the
        treble is missing and the measurement is less sharp; and earlier by what two halves of the takes differ by.
        Removing too little costs a causal model as much of its memory; removing too much hides from it what it needs.
        """
        uncertain = self.apart if math.isfinite(self.apart) else 0.0
        return math.floor(self.delay - FOOT * (self.delay - self.onset) - uncertain)

    @property
    def followed(self) -> bool:
        """Whether the lag lies on a line through the take, so that a drift or a step would show."""
        return bool(np.isfinite(self.line.slope_error))

    @property
    def drift_ppm(self) -> float:
        """How much faster the target's clock runs than the input's, in parts per million."""
        return self.line.slope / self.sample_rate * 1e6


def timing(takes: Sequence[Take], sample_rate: int, *, steady: bool = False, quick: bool = False) -> Timing:
    """Measure how the targets lie against their inputs.

    An amp that rectifies, as an octave fuzz does, hears no sign: where the input itself has no clear place in the target,
    its absolute value may have one.

    Args:
        takes: several share one delay.
        steady: take the lag for constant, without looking for drift and steps; several takes need it.
        quick: fit no gain stage, which takes a second: enough to tell whether there is a delay, not to measure it.
    """
    found = measured(takes, sample_rate, steady=steady, quick=quick)
    if found.clear:
        return found
    # A stage that is fitted to a few seconds of one sound may be none that the amp has; where the two halves of the take
    # agree without any, that holds.
    plain = found if quick else measured(takes, sample_rate, steady=steady, quick=True)
    if plain.clear and plain.apart <= AGREED:
        return plain
    again = measured([(rectified(given), wanted) for given, wanted in takes], sample_rate, steady=steady, quick=quick)
    return again if again.clear and again.explained > MORE * found.explained else found


def rectified(x: Wave) -> Wave:
    """The absolute value of a signal, (num_samples,), without its mean."""
    mean = sum(float(np.sum(np.abs(block), dtype=np.float64)) for _, block in blocks(x)) / max(len(x), 1)
    made = Scratch(1, len(x))
    for _, block in blocks(x):
        made.write(np.abs(block)[None] - np.float32(mean))
    return made.read()[0]


def measured(takes: Sequence[Take], sample_rate: int, *, steady: bool, quick: bool) -> Timing:
    """The same of the inputs as they are, near no delay and near the clearest one in reach."""
    found = near(takes, sample_rate, 0, steady=steady, quick=quick)
    lag = far(takes, sample_rate)  # always: what is played twice has a peak within BLOCK_S too
    if abs(lag) > BLOCK_S / 8 * sample_rate:
        again = near(takes, sample_rate, lag, steady=steady, quick=quick)
        found = max(found, again, key=lambda each: (each.clear, each.explained * each.confidence))
    return found


def near(takes: Sequence[Take], sample_rate: int, lag: int, *, steady: bool, quick: bool) -> Timing:
    """The timing where the targets lag by about so many samples."""
    block = 2 ** round(np.log2(BLOCK_S * sample_rate))
    scale = max(1, int(sample_rate / 2 // TOP_HZ))  # fewer bins, so coarser samples of lag
    takes = [overlapping(take, lag) for take in takes]
    measured = [stretches(*take, sample_rate, block, block // scale) for take in takes]
    time_s = np.concatenate([times for times, _ in measured])
    phases = np.concatenate([spectra for _, spectra in measured])
    line, lags, together = Line(), np.zeros(len(time_s)), phases.sum(axis=0)
    if not steady and len(phases) > 2:
        line, lags, time_s, together = moving(time_s, phases, scale)
    coarse = round(scale * peak(np.abs(fft.irfft(together)))[0])
    tried, stage = [], None
    for each in simpler(line, time_s, lags):
        frames = along(takes, sample_rate, coarse, each)
        stage = None if quick else fitted_stage(frames, sample_rate, like=stage)
        tried.append((each, *arrivals(frames, stage)))
    line, found, apart = max(tried, key=lambda each: each[1].explained)
    early_s = max(-lag, 0) / sample_rate  # the input that has no target yet
    steps = [replace(step, at_s=located(takes[0], sample_rate, line, step, coarse) + early_s) for step in line.steps]
    start = lag + coarse - line.slope * early_s
    lags = lags + (start + found.delay - np.median(lags - line(time_s)) if len(lags) else 0)
    told = (found.inverted, found.confidence, found.rival, found.explained, apart)
    line = replace(line, steps=tuple(steps))
    return Timing(start + found.delay, start + found.onset, *told, line, time_s + early_s, lags, sample_rate)


def simpler(line: Line, time_s: Array, lags: Array) -> list[Line]:
    """A line and what may be the truth in its place: what is played moves the lag of an amp by some samples, for seconds."""
    lines = [line]
    if line.steps:
        lasting = replace(line, steps=without_excursions(line.steps))
        lines += [lasting] if 0 < len(lasting.steps) < len(line.steps) else []
        lines.append(fitted(time_s, lags, most_steps=0))
    still = [
        replace(each, slope=0.0)
        for each in lines
        if each.slope and not each.steps and abs(each.slope) * float(np.ptp(time_s)) < 2 * FEIGNED
    ]
    return lines + still


def without_excursions(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Steps less those that the next one takes back."""
    kept: list[Step] = []
    for step in steps:
        if kept and abs(kept[-1].samples + step.samples) < STEP:
            kept.pop()
        else:
            kept.append(step)
    return tuple(kept)


def along(takes: Sequence[Take], sample_rate: int, coarse: int, line: Line) -> Frames:
    """Frames at the lags of a line."""
    return gathered(takes, lambda middle: coarse + float(line(middle / sample_rate)))


def arrivals(frames: Frames, stage: GainStage | None) -> tuple[Arrival, float]:
    """When the response arrives in frames, and by how much two halves of them disagree about it."""
    halves = crossed(frames, stage)
    apart = disagreement(*map(arrival, halves)) if halves[1].num_frames else math.nan
    return arrival(halves[0] + halves[1]), apart


def disagreement(first: Arrival, second: Arrival) -> float:
    """Samples between the peaks of two arrivals; infinity where only one of them is inverted."""
    return abs(first.delay - second.delay) if first.inverted == second.inverted else math.inf


def overlapping(take: Take, lag: int) -> Take:
    """What of a take has a partner at that lag, the input's first sample beside the target's."""
    given, wanted = take
    given, wanted = given[max(-lag, 0) :], wanted[max(lag, 0) :]
    length = min(len(given), len(wanted))
    return given[:length], wanted[:length]


def far(takes: Sequence[Take], sample_rate: int) -> int:
    """The lag of the clearest of some long pieces, up to SEARCH_S; 0 where none has a clear one."""
    best, highest = 0, SURE
    for given, wanted in takes:
        length = min(len(given), round(PIECE_S * sample_rate))
        count = min(max(1, len(given) // length), NUM_PIECES)
        reach = min(round(SEARCH_S * sample_rate), length // 2)
        if reach < BLOCK_S * sample_rate / 8:  # within what is seen anyway
            continue
        size = fft.next_fast_len(length + reach, real=True)
        used = min(size // 2, round(TOP_HZ / sample_rate * size)) + 1
        scale = (size // 2) / (used - 1)
        for first in np.linspace(0, len(given) - length, count).astype(int):
            before, after = (fft.rfft(x[first : first + length], size)[:used] for x in (given, wanted))
            correlation = np.abs(fft.irfft(unit(before, after)))
            furthest = int(reach / scale)
            inside = np.concatenate([correlation[-furthest:], correlation[:furthest]])
            height = float(inside.max()) / max(rms(inside), 1e-30)
            place = int(np.argmax(inside))
            apart = np.abs(np.arange(len(inside)) - place) > BLOCK_S / 10 * sample_rate / scale
            if height > highest and not np.any(inside[apart] > RIVAL * inside[place]):
                best, highest = round((place - furthest) * scale), height
    return best


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
            found.append(unit(before, after).sum(axis=0))
            times.append((row[loud].mean() + block / 2) / sample_rate)
    return np.array(times), np.array(found, np.complex64).reshape(-1, num_bins + 1)


def unit(before: Spectra, after: Spectra) -> Spectra:
    """Cross-spectra, (..., num_bins), of unit magnitude, and 0 where the input has no energy."""
    product = np.conj(before) * after
    power = np.square(np.abs(before))
    played = power > 10 ** (EMPTY_DB / 10) * power.max(axis=-1, keepdims=True)
    return product * played / np.maximum(np.abs(product), 1e-30)


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
    shift = vertex(*values[m - 1 : m + 2])
    return whole + float(FINE[m] + shift * (FINE[1] - FINE[0])), float(inside[found]) / max(rms(inside), 1e-30)


def moving(time_s: Array, phases: Spectra, scale: int) -> tuple[Line, Array, Array, Spectra]:
    """Drift and steps, lags and times of the stretches that are sure, and the sum of all spectra, on top of each other.

    Drift and steps of more than FEIGNED samples are believed where they bring more stretches on top of each other than
    one: the lags of few stretches, or of an almost periodic playing, lie on a line by chance.
    """
    lags, sure = tracked(phases)
    lags, times = scale * lags[sure], time_s[sure]
    line = believed(times, lags) if len(lags) > 2 else Line()
    still = phases.sum(axis=0)
    together = turned(phases[sure], line(times) / scale).sum(axis=0)
    sharpness = [np.abs(fft.irfft(each)).max() for each in (together, still)]
    small = not line.steps and abs(line.slope) * float(np.ptp(time_s)) < FEIGNED
    if small or sharpness[0] > (1 + 1 / len(phases)) * sharpness[1]:
        return line, lags, times, together
    return Line(0.0, line.slope_error), lags, times, still


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
    rest = lags - slope * time_s - levels[pieces(edges)]
    straight = theil_sen(time_s, lags, pieces([0, len(lags)]))
    plain = lags - straight * time_s - np.median(lags - straight * time_s)
    # Means, for a step near an end leaves only few lags off a line without it, and a median does not see them.
    if np.abs(plain).mean() < 2 * max(float(np.abs(rest).mean()), LAG_ERROR):
        edges, slope, rest = [0, len(lags)], straight, plain
    error = deviation(rest)
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


# ---- Where a step is ------------------------------------------------------------------------------------------------


def located(take: Take, sample_rate: int, line: Line, step: Step, coarse: int) -> float:
    """When a step happens, in seconds: up to there the lag before it fits better, from there on the lag after it."""
    given, wanted = take
    hop, centre = PULSE // 8, round(step.at_s * sample_rate) - PULSE // 2
    reach = round(2 * max(STRETCH_S[1], len(given) / sample_rate / NUM_STRETCHES) * sample_rate)
    starts = np.arange(max(centre - reach, 0), max(min(centre + reach, len(given) - PULSE), 1), hop)
    before = coarse + float(line(step.at_s - 1e-6))
    phases = []
    for lag in (before, before + step.samples):
        played, heard = framed(given, wanted, starts, np.full(len(starts), round(lag)))
        phases.append(unit(plain(played), heard))
    response = phases[0][starts < centre].sum(axis=0) + phases[1][starts >= centre].sum(axis=0)
    fits = [np.real(each * np.conj(unit(np.ones_like(response), response))).sum(axis=1) for each in phases]
    gained = np.cumsum(fits[0] - fits[1])
    return float(starts[np.argmax(gained)] + PULSE / 2) / sample_rate


# ---- Two signals of one amp ------------------------------------------------------------------------------------------


def least_error(target: Wave, prediction: Wave, measured: Timing) -> float:
    """The delay of a prediction, in samples, at which its error against the target is least, (num_samples,) each.

    It is where their correlation peaks, NEAREST_S or less from the `measured` delay. That one leaves aside what a
    minimum-phase filter delays, which is right between an amp and what it was played. Two renders of one amp should be as
    near to each other as a delay can bring them.
    """
    reach = max(round(NEAREST_S * measured.sample_rate), 1)
    first = round(measured.delay) - reach
    spectrum = crossed_whole(target, prediction, first, 2 * reach) * (-1 if measured.inverted else 1)
    place = int(np.argmax(fft.irfft(spectrum)[: 2 * reach + 1]))
    at = float(place)
    radians = np.linspace(0, np.pi, len(spectrum))
    for _ in range(4):  # Newton's, on the derivative of a trigonometric polynomial
        rolled = spectrum * np.exp(1j * radians * at)
        slope, bend = -float(radians @ rolled.imag), -float(np.square(radians) @ rolled.real)
        if bend >= 0:
            break
        at = float(np.clip(at - slope / bend, place - 1, place + 1))
    return round(first + at, 3) + 0.0  # beyond lies what rounding makes of signals that coincide; no -0


def crossed_whole(target: Wave, prediction: Wave, first: int, reach: int) -> Spectra:
    """The cross-spectrum of whole signals whose inverse transform is their correlation at the lags `first` to `first` +
    `reach` of the prediction."""
    length = min(BLOCK, len(target))
    size = fft.next_fast_len(2 * length + reach, real=True) // 2 * 2
    found: Spectra = np.zeros(size // 2 + 1, complex)
    for start in range(0, len(target), length):
        piece = target[start : start + length].astype(np.float64)
        begin, end = start + first, start + first + len(piece) + reach
        around = np.zeros(end - begin)
        inside = prediction[max(begin, 0) : max(end, 0)]
        around[max(-begin, 0) :][: len(inside)] = inside[: len(around)]
        found += np.conj(fft.rfft(piece, size)) * fft.rfft(around, size)
    return found


def sinc(rest: float) -> Array:
    """Weights, (2 HALF + 1,), by which a signal's samples make the one that comes `rest` of a sample later: a sinc, windowed
    after Kaiser, which is flat up to 0.97 of half the sample rate."""
    return np.sinc(np.arange(-HALF, HALF + 1) + rest) * np.kaiser(2 * HALF + 1, 10.0)


def advanced(signal: Wave, delay: float) -> tuple[int, Wave]:
    """A signal, (num_samples,), that comes `delay` samples earlier: its first sample's place in time, and its samples.

    Fractions are interpolated (see `sinc`); HALF samples are missing at both ends then.
    """
    whole = round(delay)
    rest = delay - whole
    if rest:
        if len(signal) <= 2 * HALF:
            return 0, signal[:0]
        signal = dsp.oaconvolve(np.asarray(signal, np.float64), sinc(rest), mode="valid").astype(np.float32)
        whole -= HALF
    return max(-whole, 0), signal[max(whole, 0) :]


def resampled(target: Wave, drift_ppm: float, sample_rate: int) -> Wave:
    """A target, (num_samples,), whose clock ran so much too fast, on the right clock; as long as it was."""
    import soxr  # here, so that commands that resample nothing do not load it

    stream = soxr.ResampleStream(sample_rate * (1 + drift_ppm * 1e-6), sample_rate, 1, dtype="float32", quality="VHQ")
    made = Scratch(1, len(target))
    for start, block in blocks(target):
        played = stream.resample_chunk(np.asarray(block, np.float32), last=start + len(block) >= len(target))
        made.write(played[None, : len(target) - made.done])
    made.write(np.zeros((1, len(target) - made.done), np.float32))
    return made.read()[0]
