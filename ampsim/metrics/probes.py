"""Test tones through anything that renders a signal: what it adds that the amp does not, and how it distorts.

A tone fits into PERIOD samples a whole number of times. PERIOD is prime, so a DFT over it, without a window, holds each
harmonic in a bin of its own, and so each harmonic that folds back at half the sample rate.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.float64]
Render = Callable[[NDArray[np.float32]], NDArray[np.floating]]
PERIOD = 8191  # 186 ms at 44.1 kHz
SILENT = 1e-24  # a power that counts as nothing
BELOW_PEAK_DB = (-30.0, -24.0, -18.0, -12.0, -6.0, 0.0)


@dataclass(frozen=True)
class Aliasing:
    """Energy off the harmonics over energy on them, in dB: (num_pitches, num_levels)."""

    pitches_hz: Array
    levels_db: Array
    ratio_db: Array

    @property
    def mean_db(self) -> float:
        """The mean of the decibels, so that each tone counts; the mean of the ratios would be that of the worst few."""
        return float(self.ratio_db.mean())

    @property
    def worst_db(self) -> float:
        """Of the tone that aliases most."""
        return float(self.ratio_db.max())


@dataclass(frozen=True)
class Fingerprint:
    """How a system distorts at each input level. Levels are peaks of a sine in dB re full scale.

    `harmonics_db` is (num_levels, num_harmonics), the fundamental first, as output levels; `gain_db` is the fundamental's.
    `distortion` is the total of the harmonics from the second on over the fundamental, and `intermodulation` the total
    of the products of two tones a fifth apart up to the fifth order over the two tones; both are ratios of amplitudes.
    """

    pitch_hz: float
    levels_db: Array
    gain_db: Array
    harmonics_db: Array
    distortion: Array
    intermodulation: Array


def aliasing_to_signal_ratio(
    render: Render,
    sample_rate: int,
    *,
    pitches_hz: Sequence[float] | None = None,
    levels_db: Sequence[float] = BELOW_PEAK_DB,
    before_s: float = 0.25,
    after_s: float = 0.05,
) -> Aliasing:
    """Play sines of several pitches and levels; see Sato and Smith (2025), arXiv:2505.04082, which also counts 0 Hz as
    aliasing: here an offset, which every asymmetric amp makes, counts neither way. Noise of the system counts as aliasing.

    Args:
        pitches_hz: None takes six from 1 to 8 kHz, or to 0.4 of the sample rate, in equal musical steps.
        levels_db: peaks of the sines in dB re full scale. A model is asked for those that it has heard.
        before_s, after_s: as of `played`.
    """
    if pitches_hz is None:
        pitches_hz = [*np.geomspace(min(1000, 0.1 * sample_rate), min(8000, 0.4 * sample_rate), 6)]
    bins = [nearest_bin(pitch, sample_rate) for pitch in pitches_hz]
    settings = [(number, level) for number in bins for level in levels_db]
    tones = [10 ** (level / 20) * tone(number) for number, level in settings]
    outputs = played(render, tones, sample_rate, before_s=before_s, after_s=after_s)
    ratios = []
    for (number, _), output in zip(settings, outputs, strict=True):
        power = powers(output)
        on = power[number::number].sum()
        ratios.append(10 * math.log10(max(power[1:].sum() - on, SILENT) / max(on, SILENT)))
    grid = np.reshape(ratios, (len(bins), len(levels_db)))
    return Aliasing(np.array(bins) * sample_rate / PERIOD, np.array(levels_db, float), grid)


def fingerprint(
    render: Render,
    sample_rate: int,
    *,
    pitch_hz: float = 220.0,
    levels_db: Sequence[float] = tuple(range(-48, 1, 6)),
    num_harmonics: int = 10,
    before_s: float = 0.25,
    after_s: float = 0.05,
) -> Fingerprint:
    """Play a sine, and two a fifth apart, from quiet to loud."""
    first = nearest_bin(pitch_hz, sample_rate)
    second = round(1.5 * first)
    while math.gcd(first, second) > 1:  # products of the two then fall on no harmonic of either
        second += 1
    amplitudes = [10 ** (level / 20) for level in levels_db]
    chords = [amplitude / 2 * (tone(first) + tone(second)) for amplitude in amplitudes]
    singles = [amplitude * tone(first) for amplitude in amplitudes]
    outputs = played(render, singles + chords, sample_rate, before_s=before_s, after_s=after_s)
    spectra = [powers(output) for output in outputs]
    single, double = np.array(spectra[: len(amplitudes)]), np.array(spectra[len(amplitudes) :])
    harmonics = np.maximum(single[:, first::first][:, :num_harmonics], SILENT)
    fundamental = harmonics[:, 0]
    tones = np.maximum(double[:, first] + double[:, second], SILENT)
    return Fingerprint(
        pitch_hz=first * sample_rate / PERIOD,
        levels_db=np.array(levels_db, float),
        gain_db=10 * np.log10(fundamental) - np.array(levels_db, float),
        harmonics_db=10 * np.log10(harmonics),
        distortion=np.sqrt(single[:, 2 * first :: first].sum(axis=1) / fundamental),
        intermodulation=np.sqrt(double[:, products(first, second)].sum(axis=1) / tones),
    )


def products(first: int, second: int, *, order: int = 5) -> list[int]:
    """Bins of the intermodulation of two tones up to an order, those beyond half the sample rate left out."""
    found = {
        abs(a * first + sign * b * second) for a in range(1, order) for b in range(1, order - a + 1) for sign in (1, -1)
    }
    return sorted(number for number in found if 0 < number <= PERIOD // 2)


def played(render: Render, tones: list[Array], sample_rate: int, *, before_s: float, after_s: float) -> list[Array]:
    """One period of the answer to each tone, once it has settled; all are rendered in one go.

    `before_s` must be longer than the system's memory, `after_s` than its look-ahead.
    """
    before, after = round(before_s * sample_rate), round(after_s * sample_rate)
    length = before + PERIOD + after
    signal = np.concatenate([np.resize(each, length) for each in tones]).astype(np.float32)
    output = np.asarray(render(signal), np.float64).reshape(len(tones), length)
    return list(output[:, before : before + PERIOD])


def tone(number: int) -> Array:
    """A sine that fits `number` times into PERIOD samples."""
    return np.sin(2 * np.pi * (number * np.arange(PERIOD) % PERIOD) / PERIOD)


def powers(signal: Array) -> Array:
    """Squared amplitudes of the sines that a period is made of: (PERIOD,) -> (PERIOD // 2 + 1,)."""
    return np.square(np.abs(fft.rfft(signal)) * 2 / PERIOD)


def nearest_bin(pitch_hz: float, sample_rate: int) -> int:
    return max(1, round(pitch_hz * PERIOD / sample_rate))
