"""How the amp answers: a first guess of it in closed form, whether it stays the same, and how long it remembers.

The guess is a sum of filters behind fixed curves: the signal itself, and tanh of it at several gains, as it is and without
its bass, as distorting amps hear it. Least squares finds the filters at once, at a low sample rate, and comes within an
ESR of about 0.15 of an amp that a filter alone misses by 0.6. What it foretells makes a change of the amp visible that
the playing alone would hide.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, linalg
from scipy import signal as dsp

from ampsim.recordings.findings import Finding
from ampsim.recordings.pairs import AudioPair
from ampsim.signals.audio import clock, energy, rms
from ampsim.signals.filters import decimated
from ampsim.signals.linear import correlations, solved_toeplitz
from ampsim.signals.scratch import Scratch, blocks, release

Array = NDArray[np.float64]
Rows = NDArray[np.float32]

GUESS_RATE = 12000.0
GAINS = (1.0, 4.0, 16.0)
BASS_HZ = 700.0
TAPS, FUTURE = 128, 16  # of each filter, at GUESS_RATE: 11 ms
CHUNK = 1 << 15
BANDS_HZ = ((80.0, 300.0), (300.0, 800.0), (800.0, 2000.0), (2000.0, 5000.0))
BLOCK_S = (0.5, 1.0)  # in short takes and in long ones
CHANGE_DB, CHANGE_SIGMAS = (2.0, 2.0, 2.0, 3.5), 4.0  # by band; what is played moves the top one most
UNKNOWN_ESR = 0.7  # of a guess that knows too little of the amp
LONGEST_S, FURTHEST_S = 0.34, 0.01  # windows and futures that are tried
ENOUGH_ESR = 0.003  # a window that costs no more than this is long enough


@dataclass(frozen=True)
class Guess:
    """The closed-form amp on a take: target and prediction, (num_samples,) at `sample_rate`, both of RMS about 1."""

    target: Rows
    prediction: Rows
    sample_rate: float
    block_s: float  # over which its gain is compared

    @property
    def esr(self) -> float:
        missed = sum(energy(target - made) for _, target, made in blocks(self.target, self.prediction))
        return missed / max(energy(self.target), 1e-20)


def guessed(pair: AudioPair, *, until_s: float = math.inf) -> Guess:
    """Fit on an aligned take, up to `until_s`, and predict all of it."""
    step = max(1, round(pair.sample_rate / GUESS_RATE))
    rate = pair.sample_rate / step
    block_s = float(np.clip(pair.duration_s / 24, *BLOCK_S))
    direct, target = (standardised(decimated(x, step)) for x in (pair.input, pair.target))
    bass = dsp.butter(1, BASS_HZ, "highpass", fs=rate, output="sos")
    treble, state = Scratch(1, len(direct)), np.zeros((len(bass), 2))
    for _, block in blocks(direct):
        heard, state = dsp.sosfilt(bass, block, zi=state)
        treble.write(heard[None])
    thin = standardised(treble.read()[0])
    filters = least_squares(direct, thin, target, int(min(until_s * rate, len(target))))
    return Guess(target, predicted(direct, thin, filters), rate, block_s)


def standardised(x: Rows) -> Rows:
    """(num_samples,) of RMS 1."""
    made, level = Scratch(1, len(x)), np.float32(max(rms(x), 1e-10))
    for _, block in blocks(x):
        made.write(block[None] / level)
    return made.read()[0]


def curves(direct: Rows, thin: Rows) -> Rows:
    """(9, num_samples), of the direct signal, (num_samples,), and of what it is without its bass."""
    bent = [np.tanh(gain * x) for x in (direct, thin) for gain in GAINS]
    return np.stack(
        [direct, *bent, np.abs(bent[1]), np.abs(bent[4])]
    )  # even curves, for an amp that is not symmetrical


def predicted(direct: Rows, thin: Rows, filters: Rows) -> Rows:
    """The curves behind their filters, (num_samples,), with FUTURE samples that are not yet played."""
    made = Scratch(1, len(direct))
    for start, block in blocks(direct):
        first, last = max(start - TAPS, 0), start + len(block) + FUTURE
        rows = curves(direct[first:last], thin[first:last])
        parts = (dsp.oaconvolve(row, taps) for row, taps in zip(rows, filters, strict=True))
        made.write(np.sum([*parts], axis=0)[None, start - first + FUTURE :][:, : len(block)])
        release(thin)
    return made.read()[0]


def least_squares(direct: Rows, thin: Rows, target: Rows, stop: int) -> Rows:
    """One filter a curve, (num_curves, TAPS), by the normal equations; correlations by FFT, chunk by chunk."""
    number, size = len(curves(direct[:1], thin[:1])), 2 * CHUNK
    automatic = np.zeros((number, number, CHUNK + 1), np.complex128)
    crossed = np.zeros((number, CHUNK + 1), np.complex128)
    for start in range(0, stop, CHUNK):
        here = slice(start, min(start + CHUNK, stop))
        spectra = fft.rfft(curves(direct[here], thin[here]), size, axis=1)
        crossed += np.conj(spectra) * fft.rfft(target[start : min(start + CHUNK, stop)], size)
        for row in (direct, thin, target):
            release(row)
        for k in range(number):
            automatic[k, k:] += np.conj(spectra[k]) * spectra[k:]
    lags = np.arange(TAPS)
    wanted = fft.irfft(crossed, size, axis=1)[:, lags - FUTURE].ravel()
    matrix = np.zeros((number * TAPS, number * TAPS))
    for i in range(number):
        for j in range(i, number):
            block = fft.irfft(automatic[i, j], size)[lags[:, None] - lags]
            matrix[i * TAPS : (i + 1) * TAPS, j * TAPS : (j + 1) * TAPS] = block
            matrix[j * TAPS : (j + 1) * TAPS, i * TAPS : (i + 1) * TAPS] = block.T
    matrix[np.diag_indices(len(matrix))] *= 1 + 1e-4
    if not matrix.any():
        return np.zeros((number, TAPS), np.float32)
    return linalg.solve(matrix, wanted, assume_a="pos").reshape(number, TAPS).astype(np.float32)


# ---- Does it stay the same? -----------------------------------------------------------------------------------------


def change(pair: AudioPair, guess: Guess) -> tuple[list[Finding], Array]:
    """Whether the amp answers differently from some moment on; and its gain over the guess, (num_blocks, num_bands) in dB,
    NaN where it rests."""
    gains = band_gains(guess)
    found = most_changed(gains)
    if found is None and (guess.esr > UNKNOWN_ESR or np.isfinite(gains[:, 0]).sum() < 8):
        text = "whether the amp answers the same way throughout cannot be told: the take is too short, or the amp too unlike one"
        return [Finding("note", "change", text, "record two or three minutes", values={"guess_esr": guess.esr})], gains
    if found is None:
        text = "the amp answers the same way throughout the take"
        return [Finding("ok", "change", text, values={"guess_esr": guess.esr})], gains
    place, _ = found
    # What it was until then says how much it is now.
    before = band_gains(guessed(pair, until_s=place * guess.block_s))
    difference = np.nanmedian(before[place:], axis=0) - np.nanmedian(before[:place], axis=0)
    values = {
        f"db_{low:.0f}_{high:.0f}_hz": float(each) for (low, high), each in zip(BANDS_HZ, difference, strict=True)
    }
    text = (
        f"{pair.name}: the amp answers differently from about {clock(place * guess.block_s)} on: "
        f"{', '.join(f'{each:+.1f}' for each in difference)} dB in the bands "
        f"{', '.join(f'{low:.0f} to {high:.0f}' for low, high in BANDS_HZ)} Hz"
    )
    fix = "was a knob moved, a pickup switched, the microphone shifted? Train on the part before or after it"
    values |= {"typical_db": float(np.median(difference)), "guess_esr": guess.esr}
    return [Finding("warning", "change", text, fix, (place * guess.block_s,), values)], gains


def band_gains(guess: Guess) -> Array:
    size = 512
    hop, hz = size // 2, fft.rfftfreq(size, 1 / guess.sample_rate)
    width = round(guess.block_s * guess.sample_rate / hop)
    count = ((len(guess.target) - size) // hop + 1) // width
    bands = np.stack([(hz >= low) & (hz < high) for low, high in BANDS_HZ]).astype(np.float32)
    common, power = np.zeros((len(hz), count)), np.zeros((len(hz), count))
    for k in range(count):
        here = slice(k * width * hop, ((k + 1) * width - 1) * hop + size)
        _, _, spectra = dsp.stft(
            np.stack([guess.prediction[here], guess.target[here]]), guess.sample_rate, nperseg=size, boundary=None
        )
        common[:, k] = np.real(np.conj(spectra[0]) * spectra[1]).sum(axis=-1)
        power[:, k] = np.square(np.abs(spectra[0])).sum(axis=-1)
    release(guess.prediction)
    release(guess.target)
    gains = np.clip((bands @ common) / np.maximum(bands @ power, 1e-12), 0.03, 30.0)
    loud = power.sum(axis=0) > 1e-3 * power.sum(axis=0).max(initial=0.0)
    return np.where(loud, 20 * np.log10(gains), np.nan).T


def most_changed(gains: Array) -> tuple[int, Array] | None:
    """The block from which on the gains differ most from those before, if by more than they vary anyway."""
    heard = np.isfinite(gains[:, 0])
    best, place = 0.0, 0
    for k in range(max(3, round(0.12 * len(gains))), len(gains) - max(3, round(0.12 * len(gains))) + 1):
        before, after = gains[:k][heard[:k]], gains[k:][heard[k:]]
        if min(len(before), len(after)) >= 4:
            saved = spread(gains[heard]) - spread(before) - spread(after)
            if saved[:3].sum() > best:
                best, place = float(saved[:3].sum()), k
    if not place:
        return None
    parts = [part[np.isfinite(part[:, 0])] for part in (gains[:place], gains[place:])]
    middles = [np.median(part, axis=0) for part in parts]
    # Neighbouring blocks are alike, so that about one in three counts.
    errors = [
        1.25 * 1.4826 * np.median(np.abs(part - middle), axis=0) / math.sqrt(max(len(part) / 3, 1))
        for part, middle in zip(parts, middles, strict=True)
    ]
    difference = middles[1] - middles[0]
    sigmas = np.abs(difference) / np.maximum(np.hypot(*errors), 0.1)
    clear = (np.abs(difference) > CHANGE_DB) & (sigmas > CHANGE_SIGMAS)
    return (place, difference) if clear.any() else None


def spread(values: Array) -> Array:
    return np.abs(values - np.median(values, axis=0)).sum(axis=0)


# ---- How far back does it hear? -------------------------------------------------------------------------------------


def memory(pair: AudioPair) -> tuple[list[Finding], dict[str, Array]]:
    """The ESR of the best filter by its length and by what it hears ahead, each fitted on one half of an aligned take's
    seconds and scored on the other; and from those a window."""
    rate = pair.sample_rate
    longest, furthest = 2 ** int(math.log2(LONGEST_S * rate)), 2 ** int(math.log2(FURTHEST_S * rate))
    longest = min(longest, 2 ** int(math.log2(max(len(pair.input) // 16, 128))))
    halves = [statistics(pair, number, longest, furthest) for number in (0, 1)]
    windows = [2**k for k in range(5, int(math.log2(longest)) + 1)]
    futures = [2**k for k in range(int(math.log2(furthest)) + 1)]
    by_window = np.concatenate([scores(halves, window, [1], furthest) for window in windows])
    window = windows[int(np.argmax(by_window <= by_window.min() + ENOUGH_ESR))]
    by_future = scores(halves, window, futures, furthest)
    future = futures[int(np.argmax(by_future <= by_future.min() + ENOUGH_ESR))]
    floor = float(min(by_window.min(), by_future.min()))
    values = {"window": window, "future": future, "linear_floor_esr": floor}
    text = (
        f"the best filter in the amp's place has an ESR of {floor:.3f}; for that it hears the last {1000 * window / rate:.0f} ms "
        f"of the direct signal ({window:,} samples{f', {future} of them ahead' if future > 1 else ''})"
    )
    fix = (
        "a model should see at least that far (`ampsim train` tells how far each one sees); distortion, sag and a room may "
        "remember longer than a filter shows"
    )
    arrays = {
        "windows": np.array(windows),
        "by_window": by_window,
        "futures": np.array(futures),
        "by_future": by_future,
    }
    return [Finding("note", "memory", text, fix, values=values)], arrays


@dataclass(frozen=True)
class Statistics:
    """Autocorrelation of the input, (longest,), cross-correlation, (furthest - 1 + longest,), from furthest - 1 samples
    ahead on, and the target's energy."""

    automatic: Array
    crossed: Array
    energy: float


def statistics(pair: AudioPair, number: int, longest: int, furthest: int) -> Statistics:
    """Of every second piece of the take, pieces long against the filters."""
    length = max(2 * pair.sample_rate, 4 * longest)
    pieces = [slice(k, k + length) for k in range(number * length, len(pair.input), 2 * length)]
    if not pieces or len(pair.input) < 2 * length:
        half = len(pair.input) // 2
        pieces = [slice(number * half, (number + 1) * half)]
    totals = [np.zeros(longest + furthest - 1), np.zeros(longest + furthest - 1)]
    power = 0.0
    for piece in pieces:
        take = pair.input[piece], pair.target[piece]
        for total, part in zip(totals, correlations([take], longest + furthest - 1, furthest), strict=True):
            total += part
        power += energy(take[1])
        release(pair.input)
        release(pair.target)
    return Statistics(totals[0][:longest], totals[1], power)


def scores(halves: list[Statistics], window: int, futures: list[int], furthest: int) -> Array:
    """The ESR of the best filter of a length, by what it hears ahead."""
    errors = np.zeros(len(futures))
    for fit, test in (halves, halves[::-1]):
        automatic = fit.automatic[:window].copy()
        automatic[0] *= 1 + 1e-6
        errors += test.energy
        if automatic[0] > 0:
            wanted, truth = (
                np.stack([each.crossed[furthest - future :][:window] for future in futures], axis=1)
                for each in (fit, test)
            )
            taps = solved_toeplitz(automatic, wanted)
            played = linalg.matmul_toeplitz(test.automatic[:window], taps)
            errors += np.sum(taps * (played - 2 * truth), axis=0)
    return errors / max(sum(each.energy for each in halves), 1e-20)
