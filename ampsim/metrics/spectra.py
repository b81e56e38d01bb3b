"""What the ear makes of a signal: errors behind the A-weighting, distances of short-time spectra, loudness.

Every function takes `pairs`: (target, prediction) signals of shape (num_samples,), judged as one. Sums are accumulated
over all of them and divided once.
"""

import math
import warnings
from collections.abc import Iterator

import numpy as np
import pyloudnorm
from numpy.typing import NDArray
from scipy import fft

from ampsim.metrics.scores import Pairs
from ampsim.signals import filters

SIZES_MS = (11.61, 23.22, 46.44)  # the loss `MultiResolutionSTFT`
FRAMES = 256  # transformed at a time, so that memory does not grow with the signal


def a_weighted_esr(pairs: Pairs, sample_rate: int) -> float:
    """Error-to-signal ratio of A-weighted signals; NaN where the target is silent."""
    taps = filters.a_weighting(sample_rate)
    error = energy = 0.0
    for target, prediction in pairs:
        error += float(np.sum(np.square(filters.filtered(np.asarray(target, np.float64) - prediction, taps))))
        energy += float(np.sum(np.square(filters.filtered(target, taps))))
    return error / energy if energy else math.nan


def multi_resolution_stft(pairs: Pairs, sample_rate: int, *, floor_db: float = -80.0) -> float:
    """Spectral convergence plus mean distance of log magnitudes, averaged over window sizes: the loss, on whole signals."""
    floor, total = 10 ** (floor_db / 10), 0.0
    for size_ms in SIZES_MS:
        size = 2 * round(size_ms * sample_rate / 2000)
        square = energy = distance = bins = 0.0
        for target, prediction in pairs:
            for target_power, power in both(target, prediction, size, round(size / 4)):
                target_power, power = target_power + floor, power + floor
                square += float(np.sum(np.square(np.sqrt(target_power) - np.sqrt(power))))
                energy += float(np.sum(target_power))
                distance += 0.5 * float(np.sum(np.abs(np.log(target_power / power))))
                bins += target_power.size
        total += math.sqrt(square / energy) + distance / bins if bins else math.nan
    return total / len(SIZES_MS)


def log_spectral_distance(pairs: Pairs, sample_rate: int, *, floor_db: float = -50.0) -> float:
    """How far, in dB, A-weighted third-octave levels lie apart: RMS over bands of 93 ms frames, then the mean of frames.

    The A-weighting decides what is heard rather than how bands are averaged: to every band is added a floor, `floor_db`
    below the target's mean A-weighted power, under which a difference does not count.
    """
    size = 2 * round(0.093 * sample_rate / 2)
    weight = np.square(filters.a_magnitude(fft.rfftfreq(size, 1 / sample_rate)))[:, None]
    bands = weight * filters.third_octaves(size, sample_rate)
    frames = [
        (target_power @ bands, power @ bands)
        for target, prediction in pairs
        for target_power, power in both(target, prediction, size, size // 2)
    ]
    if not frames:
        return math.nan
    target_bands, prediction_bands = (np.concatenate(side) for side in zip(*frames, strict=True))
    floor = max(float(np.mean(np.sum(target_bands, axis=1))) * 10 ** (floor_db / 10), 1e-20)
    distance = 10 * np.log10((prediction_bands + floor) / (target_bands + floor))
    return float(np.mean(np.sqrt(np.mean(np.square(distance), axis=1))))


def loudness(signal: NDArray[np.floating], sample_rate: int) -> float:
    """Integrated loudness in LUFS (ITU-R BS.1770-4); NaN below 0.4 s or in silence."""
    meter = pyloudnorm.Meter(sample_rate)
    if len(signal) < meter.block_size * sample_rate:
        return math.nan
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore")
        level = float(meter.integrated_loudness(np.asarray(signal, np.float64)))
    return level if math.isfinite(level) else math.nan


def loudness_difference(pairs: Pairs, sample_rate: int) -> float:
    """The prediction's loudness over the target's in LU; NaN where a side has none."""
    target, prediction = (loudness(np.concatenate(side), sample_rate) for side in zip(*pairs, strict=True))
    return prediction - target


def both(
    target: NDArray[np.floating], prediction: NDArray[np.floating], size: int, step: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Power spectra of both signals in time with each other, up to FRAMES frames at a time."""
    return zip(powers(target, size, step), powers(prediction, size, step), strict=True)


def powers(signal: NDArray[np.floating], size: int, step: int) -> Iterator[NDArray[np.float32]]:
    """Power spectra, (frames, size // 2 + 1), of Hann windows that lie in the signal whole; a full-scale sine peaks at 1."""
    signal = np.asarray(signal, np.float32)
    if len(signal) < size:
        return
    window = np.hanning(size + 1)[:-1]
    window = (2 * window / window.sum()).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(signal, size)[::step]
    for first in range(0, len(frames), FRAMES):
        spectrum = fft.rfft(frames[first : first + FRAMES] * window)
        yield np.square(spectrum.real) + np.square(spectrum.imag)
