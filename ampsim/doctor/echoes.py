"""What comes again later than a model reaches back: echoes of a delay, and the tail of a reverb."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from ampsim.doctor.response import UNKNOWN_ESR, Guess
from ampsim.recordings.findings import Finding
from ampsim.signals.scratch import release

Array = NDArray[np.float64]

EARLIEST_S, LATEST_S = 0.025, 2.0  # sooner is a room's or a chorus', and for a window to hear
ECHO_DB = -28.0  # of an echo against what it repeats
STANDS_OUT = 8.0  # of an echo over the deviation of the response around it; chance reaches 5
WIDTH_S = 0.004  # over which the filter of a delay spreads an echo
TAIL_DB = -18.0  # of all that comes later than EARLIEST_S
TAIL_SIGMAS = 6.0
STEADY_S = 0.04  # over which a gain is measured that changes
FLOOR = 0.01  # of the mean power, so that what is hardly played is not divided by
PIECE_S = 150.0  # of a take that are transformed at once
WITHOUT = "switch it off and record again, and put it behind the model"


def echoes(guess: Guess, sample_rate: int) -> Iterator[Finding]:
    """Echoes, else a tail, in what the closed-form amp leaves unexplained.

    The residual is related to the guess and not to the direct signal: both are as distorted, and what repeats in the
    playing itself is taken out, since the guess explains already what coincides with it. Both halves of a take must agree.
    """
    rate, half = guess.sample_rate, len(guess.target) // 2
    first, latest = round(EARLIEST_S * rate), min(round(LATEST_S * rate), half // 3)
    if latest < 2 * first:
        return
    parts = [slice(k * half, (k + 1) * half) for k in (0, 1)]
    times = np.arange(latest)

    def answers(*, steadied: bool) -> tuple[list[Array], list[Array]]:
        """Of both halves, what comes after and what before the playing."""
        found = [response(guess, part, steadied=steadied) for part in parts]
        after, ahead = [each[:latest] for each in found], [each[: -latest - 1 : -1] for each in found]
        after, ahead = ([np.where(times < first, 0, each) for each in side] for side in (after, ahead))
        return after, ahead

    if found := loudest(*answers(steadied=False), rate):
        place, level_db = found
        text = (
            f"the amp's signal comes again after {1000 * place / rate:.0f} ms, {-level_db:.0f} dB softer (an echo): only a "
            f"model whose receptive field is longer than that, {round(place / rate * sample_rate):,} samples, can learn it"
        )
        yield Finding("warning", "echo", text, WITHOUT, values={"time_s": place / rate, "level_db": level_db})
    else:
        yield tail(*answers(steadied=True), guess, sample_rate)


def loudest(halves: list[Array], mirrored: list[Array], rate: float) -> tuple[int, float] | None:
    """When the loudest echo comes, in samples, and its level in dB."""
    height, before = (
        np.abs(both) / deviation(both, rate) for both in (np.mean(halves, axis=0), np.mean(mirrored, axis=0))
    )
    place, width = int(np.argmax(height)), round(WIDTH_S * rate)
    again = [np.abs(each[max(place - 2, 0) : place + 3]).max() / deviation(each, rate)[place] for each in halves]
    alike = halves[0][place] * halves[1][place] > 0
    near = slice(max(place - width, 0), place + width + 1)
    level_db = 10 * math.log10(max(float(halves[0][near] @ halves[1][near]), 1e-12))
    clear = alike and height[place] > max(STANDS_OUT, 1.5 * before.max()) and min(again) > STANDS_OUT / 2
    return (place, level_db) if clear and level_db > ECHO_DB else None


def tail(halves: list[Array], mirrored: list[Array], guess: Guess, sample_rate: int) -> Finding:
    """What rings on: the energy that the responses of both halves have in common, to which chance adds nothing on average."""
    rate, common = guess.sample_rate, halves[0] * halves[1]
    total, before = float(common.sum()), abs(float(mirrored[0] @ mirrored[1]))
    doubtful = max(TAIL_SIGMAS * float(np.sqrt(np.sum(np.square(common)))), 3 * before)
    tail_db = 10 * math.log10(max(total, 1e-12))
    values = {"tail_db": tail_db, "latest_s": len(common) / rate}
    if tail_db > TAIL_DB and total > doubtful:
        reach_s = float(np.searchsorted(np.cumsum(common), 0.9 * total)) / rate
        text = (
            f"the amp's signal rings on for {1000 * reach_s:.0f} ms, {-tail_db:.0f} dB below it (a reverb): a model whose "
            f"receptive field is shorter, {round(reach_s * sample_rate):,} samples, cannot learn it"
        )
        return Finding("warning", "reverb", text, WITHOUT, values=values | {"time_s": reach_s})
    if doubtful > 10 ** (TAIL_DB / 10) or guess.esr > UNKNOWN_ESR:
        text = "no echo stands out; whether a reverb rings on cannot be told from so short or so distorted a take"
        return Finding("note", "echo", text, "record two or three minutes", values=values)
    text = f"neither an echo nor a reverb comes after the playing (looked for up to {values['latest_s']:.1f} s)"
    return Finding("ok", "echo", text, values=values)


def response(guess: Guess, part: slice, *, steadied: bool = False) -> Array:
    """How what the guess leaves over answers to the guess, in a part of the take: of gain 1 where it came again unchanged.

    Long parts count in pieces of PIECE_S at most. `steadied` takes changes of gain for the guess's: what is left of a
    tremolo looks like a reverb otherwise.
    """
    count = max(1, -(-(part.stop - part.start) // round(PIECE_S * guess.sample_rate)))
    edges = np.linspace(part.start, part.stop, count + 1).astype(int)
    size = fft.next_fast_len(2 * int(np.diff(edges).max()), real=True)
    cross, power = np.zeros(size // 2 + 1, np.complex128), np.zeros(size // 2 + 1)
    for start, stop in pairwise(edges):
        played, left = unexplained(guess, slice(start, stop), steadied=steadied)
        before = fft.rfft(played, size)
        power += np.square(np.abs(before))
        cross += np.conj(before) * fft.rfft(left, size)
    power = ndimage.uniform_filter1d(power, 64)
    divisor = np.maximum(power + FLOOR * power.mean(), 1e-20)
    itself = np.mean(np.square(power / divisor))  # the energy of what the guess would answer to itself
    return fft.irfft(cross / divisor, size) / math.sqrt(max(itself, 1e-20))


def unexplained(guess: Guess, part: slice, *, steadied: bool) -> tuple[Array, Array]:
    """What the guess plays in a part of the take, and what it leaves over, (num_samples,) each."""
    played, target = guess.prediction[part].astype(np.float64), guess.target[part].astype(np.float64)
    release(guess.prediction)
    release(guess.target)
    left = target - played
    if steadied:
        common, power = (
            ndimage.uniform_filter1d(x * played, round(STEADY_S * guess.sample_rate)) for x in (target, played)
        )
        left = target - played * common / np.maximum(power, 1e-6 * max(float(power.max()), 1e-20))
    return played, left


def deviation(values: Array, rate: float) -> Array:
    """The standard deviation around each value, (num_samples,), which a few that stand out do not move."""
    width = round(0.1 * rate)
    pieces = [np.abs(values[k : k + width]) for k in range(0, len(values), width)]
    around = np.array([np.median(piece[piece > 0]) if piece.any() else np.inf for piece in pieces])
    return np.repeat(1.4826 * np.maximum(around, 1e-9), width)[: len(values)]
