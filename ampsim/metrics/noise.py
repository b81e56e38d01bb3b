"""What no model can predict of a target from its input: the bounds of its power, as far as a recording tells."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft, linalg, ndimage, stats

from ampsim.signals.linear import FRAME_S, Takes, frame_powers
from ampsim.signals.scratch import release

Array = NDArray[np.float64]
Wave = NDArray[np.floating]

SILENT_DB = -50.0  # below the input's loudest frame: it rests
SETTLE_S = 0.25  # after which an amp no longer rings
SETTLING = math.ceil(SETTLE_S / FRAME_S)  # frames
BACK = SETTLING - (SETTLING + 1) // 2  # shifts a filter over frames, so that it looks at SETTLING before
SHORTEST_S, LONGEST_S = 0.5, 1.0  # of what is listened to
NUM_TAPS = (0, 32, 256)  # of filters; the longest is 6 ms at 44.1 kHz: an amp and most of a cabinet
AHEAD = 16  # of them, that see the future: a delay is whole samples, and an estimate
EQUAL = 2.0  # in power: frames that rest as much as those of the quietest half second
STEADY = 3.0  # noise keeps its power within that, and what rings does not
PASSAGES_S = 300.0  # of a recording within which passages are compared
NUM_LAGS = 8  # at which a recording is compared with itself
SAME_DB = -40.0  # two passages whose inputs differ by less are meant to be one
LOUD_DB = -40.0  # below the loudest frame; what is softer is not played


@dataclass(frozen=True)
class NoiseFloor:
    """The mean power of what no function of the input predicts: 95 % sure to lie from `low` to `high`, full scale at 1.

    Args:
        source: "repeats" compares passages that have one input; "rests" listens where the input rests; "" knows
            nothing, and `low` and `high` are 0 and infinity.
        duration_s: what was listened to.
        differs_db: of passages, power of the difference of their inputs over theirs; -inf where they are equal to the
            bit, NaN where there are none. The amp's answer to that difference counts in `high`.
    """

    low: float
    high: float
    source: Literal["repeats", "rests", ""]
    duration_s: float = 0.0
    differs_db: float = math.nan

    def esr(self, power: float) -> tuple[float, float]:
        """Both bounds as the ESR of a perfect model on a target of that mean power."""
        return self.low / power, self.high / power


UNKNOWN = NoiseFloor(0.0, math.inf, "")


def noise_floor(takes: Takes, sample_rate: int) -> NoiseFloor:
    """Bounds of the noise in the targets of aligned takes, (input, target) of shape (num_samples,) each.

    Where the input repeats to the bit, half the power of the difference of the targets is noise, whatever the amp is.
    Elsewhere the rests tell: what a filter makes of the input (its hiss, its hum, a string that fades) is no noise. What
    is left is noise and distortion of the input together: the upper bound. The lower takes off as much as the filter
    explains, since a limiter, even a hard one, distorts noise by less than it passes on (Bussgang, 1952).
    """
    rested = rests(takes, sample_rate)
    for repeat in repeats(takes, sample_rate):
        if repeat.duration_s < SHORTEST_S:
            continue
        low, high = interval(repeat.powers)
        exact = repeat.differs_db == -math.inf
        found = NoiseFloor(low if exact else rested.low, high, "repeats", repeat.duration_s, repeat.differs_db)
        # Hum that has the same phase in both passages, or the opposite, is lost, or told twice: the rests know better.
        if rested.low <= high and (low <= rested.high if exact else high < rested.high):
            return found
    return rested


def interval(powers: Array) -> tuple[float, float]:
    """95 % of the mean of frames, by Student's t over groups of neighbours, as noise has a memory too."""
    means = [float(group.mean()) for group in np.array_split(powers, min(16, max(2, len(powers) // 2)))]
    half = float(stats.t.ppf(0.975, len(means) - 1)) * float(np.std(means, ddof=1)) / math.sqrt(len(means))
    return max(float(np.mean(means)) - half, 0.0), float(np.mean(means)) + half


# ---- Rests ----------------------------------------------------------------------------------------------------------


def rests(takes: Takes, sample_rate: int) -> NoiseFloor:
    """Listen to the second, or half a second at least, in which the input was quietest; UNKNOWN without such."""
    frames = quiet_frames(takes, sample_rate)
    if len(frames) * FRAME_S < SHORTEST_S:
        return UNKNOWN
    length = len(frames[0][1])
    most = max(2, len(frames) * length // 16)  # taps; more would find the noise itself predictable
    fits = [filtered(frames, size) for size in sorted({min(size, most) for size in NUM_TAPS})]
    left = min((unseen for unseen, _ in fits), key=np.mean)
    within = fits[-1][1]
    explained = max(float(np.mean(fits[0][1]) - np.mean(within)), 0.0)
    low, high = interval(within)[0] - explained, interval(left)[1]
    groups = [float(group.mean()) for group in np.array_split(within, 5)]
    steady = max(groups) <= STEADY * min(groups)
    return NoiseFloor(max(low, 0.0) if steady else 0.0, high, "rests", len(frames) * FRAME_S)


def quiet_frames(takes: Takes, sample_rate: int) -> list[tuple[Array, Array]]:
    """Input, with what a filter sees around it, and target of the frames that rest most, in order of time.

    A target that holds one value is no recorded rest but an edit, or a rendering: it tells nothing.
    """
    length = max(1, round(FRAME_S * sample_rate))
    before = NUM_TAPS[-1] - AHEAD - 1
    powers = [frame_powers(input, sample_rate) for input, _ in takes]
    loudest = max((float(each.max()) for each in powers if len(each)), default=0.0)
    scale = math.sqrt(loudest) * 10 ** (SILENT_DB / 20) or 1.0
    found: list[tuple[float, int, int]] = []  # how loud the input is around, take, sample
    for number, ((input, target), power) in enumerate(zip(takes, powers, strict=True)):
        around = ndimage.maximum_filter1d(power, SETTLING + 2, origin=BACK) if len(power) else power
        for k in range(max(SETTLING, -(-before // length)), len(power)):
            ends = (k + 1) * length + AHEAD <= len(input)
            if ends and around[k] <= loudest * 10 ** (SILENT_DB / 10) and np.ptp(target[k * length : (k + 1) * length]):
                found.append((float(around[k]), number, k * length))
    shortest, longest = (round(seconds / FRAME_S) for seconds in (SHORTEST_S, LONGEST_S))
    found = sorted(found)[:longest]
    chosen = [each for k, each in enumerate(found) if k < shortest or each[0] <= EQUAL * found[shortest - 1][0]]
    return [
        (
            np.asarray(takes[number][0][start - before : start + length + AHEAD], np.float64) / scale,
            np.asarray(takes[number][1][start : start + length], np.float64),
        )
        for _, number, start in sorted(chosen, key=lambda each: each[1:])
    ]


def filtered(frames: Sequence[tuple[Array, Array]], size: int) -> tuple[Array, Array]:
    """Mean power of what `size` taps and a constant leave of each frame: by filters that have not seen it (those of
    five parts are fitted on the other four), and by the one that is fitted on all."""
    targets = [target for _, target in frames]
    inputs = []
    for input, target in frames:
        windows = np.lib.stride_tricks.sliding_window_view(input, len(input) - len(target) + 1)
        inputs.append(np.column_stack([windows[:, windows.shape[1] - size :], np.ones(len(target))]))
    squares = np.array([matrix.T @ matrix for matrix in inputs])
    products = np.array([matrix.T @ target for matrix, target in zip(inputs, targets, strict=True)])

    def residual(fitted: NDArray[np.int_], scored: NDArray[np.int_]) -> list[float]:
        square = squares[fitted].sum(axis=0)
        square[np.diag_indices(size)] += 1e-9 * (np.trace(square[:size, :size]) / max(size, 1) + 1.0)
        taps = linalg.solve(square, products[fitted].sum(axis=0), assume_a="pos")
        return [float(np.mean(np.square(targets[k] - inputs[k] @ taps))) for k in scored]

    every = np.arange(len(frames))
    unseen = [each for part in np.array_split(every, 5) for each in residual(np.setdiff1d(every, part), part)]
    return np.array(unseen), np.array(residual(every, every))


# ---- Passages that are played twice ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Repeat:
    """Half the power of the difference of two targets with one input, (num_frames,), and of the inputs' difference in dB."""

    powers: Array
    differs_db: float  # re the inputs; -inf where they are equal to the bit

    @property
    def duration_s(self) -> float:
        return len(self.powers) * FRAME_S


NEVER = Repeat(np.zeros(0), math.nan)


def repeats(takes: Takes, sample_rate: int) -> tuple[Repeat, Repeat]:
    """The longest passages whose inputs are equal, and whose inputs nearly are.

    What plays longer than PASSAGES_S is looked through in pieces of that length, the next from the middle of the last.
    """
    size = round(PASSAGES_S * sample_rate)
    found = []
    if sum(len(input) for input, _ in takes) <= size:
        pieces = [takes] if takes else []
    else:
        pieces = [
            [(input[k : k + size], target[k : k + size])]
            for input, target in takes
            for k in range(0, max(len(input) - size // 2, 1), size // 2)
        ]
    for piece in pieces:
        input, target = (np.concatenate([np.asarray(x, np.float32) for x in side]) for side in zip(*piece, strict=True))
        for side in piece[0]:
            release(side)
        found += [compared(input, target, lag, sample_rate) for lag in likely_lags(input, sample_rate)]
    same, near = ([pair[k] for pair in found] for k in (0, 1))
    return tuple(max(kind, key=lambda each: each.duration_s, default=NEVER) for kind in (same, near))  # type: ignore[return-value]


def likely_lags(input: Wave, sample_rate: int) -> list[int]:
    """Where the autocorrelation peaks, of the spectrum's root: that takes the weight off the notes, which resemble each
    other, so that a second of a minute stands out if it comes twice."""
    size = fft.next_fast_len(max(len(input), 1), real=True)
    correlation = np.abs(fft.irfft(np.sqrt(np.abs(fft.rfft(input, size))), size)[: size // 2 + 1])
    near = round(0.01 * sample_rate)
    correlation[: round(SHORTEST_S * sample_rate)] = 0
    lags = []
    for _ in range(NUM_LAGS):
        if correlation.any():
            peak = int(np.argmax(correlation))
            correlation[max(peak - near, 0) : peak + near] = 0
            lags += [peak, size - peak]  # the correlation is circular
    return [lag for lag in lags if lag < len(input)]


def compared(input: Wave, target: Wave, lag: int, sample_rate: int) -> tuple[Repeat, Repeat]:
    """A recording with itself, `lag` samples later: frames that are played, after SETTLE_S of what is equal too."""
    power = frame_powers(input[:-lag], sample_rate)
    apart = frame_powers(input[lag:] - input[:-lag], sample_rate)
    halves = frame_powers(target[lag:] - target[:-lag], sample_rate) / 2
    if not power.any():
        return NEVER, NEVER
    near = 10 ** (SAME_DB / 10)
    played = (power > power.max() * 10 ** (LOUD_DB / 10)) & (apart <= near * power)
    same, similar = (
        played & (ndimage.minimum_filter1d(equal, SETTLING + 1, origin=BACK, mode="constant") > 0)
        for equal in ((apart == 0).astype(np.int8), (apart <= near * np.maximum(power, power.mean())).astype(np.int8))
    )
    differs_db = (
        10 * math.log10(max(float(apart[similar].sum()), 1e-30) / power[similar].sum()) if similar.any() else math.nan
    )
    return Repeat(halves[same], -math.inf), Repeat(halves[similar], differs_db)
