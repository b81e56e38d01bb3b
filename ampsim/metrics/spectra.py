"""What the ear makes of a signal: errors behind the A-weighting, distances of short-time spectra, loudness.

Every function takes `pairs`: (target, prediction) signals of shape (num_samples,), judged as one. Sums are accumulated
over all of them and divided once.
"""

import math
import warnings
from collections.abc import Iterable, Iterator

import numpy as np
import pyloudnorm
from numpy.typing import NDArray
from scipy import fft

from ampsim.metrics.scores import Pairs
from ampsim.signals import filters

SIZES_MS = (11.61, 23.22, 46.44)  # the loss `MultiResolutionSTFT`
AURALOSS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # FFT, hop and window, in samples
FRAMES = 256  # transformed at a time, so that memory does not grow with the signal


def a_weighted_esr(pairs: Pairs, sample_rate: int) -> float:
    """Error-to-signal ratio of A-weighted signals; NaN where the target is silent."""
    taps = filters.a_weighting(sample_rate)
    error = energy = 0.0
    for target, prediction in pairs:
        error += float(np.sum(np.square(filters.filtered(np.asarray(target, np.float64) - prediction, taps))))
        energy += float(np.sum(np.square(filters.filtered(target, taps))))
    return error / energy if energy else math.nan


def multi_resolution_stft(pairs: Pairs, sample_rate: int, *, floor_db: float = -60.0) -> float:
    """Spectral convergence plus mean distance of log magnitudes, averaged over window sizes: the loss, on whole signals.

    The floor is measured from a sine as strong as all targets, so that a gain on both sides changes nothing.
    """
    floor, total = 10 ** (floor_db / 10) * 2 * max(mean_power(pairs), 1e-20), 0.0
    for size_ms in SIZES_MS:
        size = 2 * round(size_ms * sample_rate / 2000)
        total += stft_distance(
            (power + floor for power in sides) for sides in whole_windows(pairs, size, round(size / 4))
        )
    return total / len(SIZES_MS)


def auraloss_stft(pairs: Pairs) -> float:
    """What auraloss 0.4.0 (Steinmetz and Reiss, 2020) calls `MultiResolutionSTFTLoss`, at its defaults: the number that
    papers report.

    Its sizes are in samples whatever the sample rate, its windows are centred on a signal that is mirrored at its ends,
    and its floor is absolute: powers below 1e-8 are raised to it. So the value falls with the level of a recording.
    """
    total = 0.0
    for size, hop, window in AURALOSS:
        taps = np.pad(np.hanning(window + 1)[:-1], (size - window) // 2).astype(np.float32)
        mirrored = [
            tuple(np.pad(np.asarray(side, np.float32), size // 2, "reflect") for side in pair)
            for pair in pairs
            if len(pair[0]) > size // 2
        ]
        spectra = (zip(*(powers(side, size, hop, window=taps) for side in pair), strict=True) for pair in mirrored)
        total += stft_distance((np.maximum(power, 1e-8) for power in sides) for each in spectra for sides in each)
    return total / len(AURALOSS)


def stft_distance(spectra: Iterable[Iterable[NDArray[np.floating]]]) -> float:
    """Spectral convergence plus mean distance of log magnitudes of powers of target and prediction; NaN of none."""
    square = energy = distance = bins = 0.0
    for target, prediction in spectra:
        square += float(np.sum(np.square(np.sqrt(target) - np.sqrt(prediction)), dtype=np.float64))
        energy += float(np.sum(target, dtype=np.float64))
        distance += 0.5 * float(np.sum(np.abs(np.log(target / prediction)), dtype=np.float64))
        bins += target.size
    return math.sqrt(square / energy) + distance / bins if bins else math.nan


def mean_power(pairs: Pairs) -> float:
    """Of all targets."""
    targets = [np.asarray(target, np.float64) for target, _ in pairs]
    return sum(float(each @ each) for each in targets) / max(sum(map(len, targets)), 1)


def whole_windows(pairs: Pairs, size: int, step: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    return (sides for pair in pairs for sides in both(*pair, size, step))


def log_spectral_distance(pairs: Pairs, sample_rate: int, *, floor_db: float = -50.0) -> float:
    """How far, in dB, A-weighted third-octave levels lie apart: RMS over bands of 93 ms frames, then the mean of frames.

    The A-weighting decides what is heard rather than how bands are averaged: to every band is added a floor, `floor_db`
    below the target's mean A-weighted power, under which a difference does not count.
    """
    size = 2 * round(0.093 * sample_rate / 2)
    weight = np.square(filters.a_magnitude(fft.rfftfreq(size, 1 / sample_rate)))[:, None]
    bands = weight * filters.third_octaves(size, sample_rate)
    frames = [(one @ bands, other @ bands) for one, other in whole_windows(pairs, size, size // 2)]
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


def powers(
    signal: NDArray[np.floating], size: int, step: int, *, window: NDArray[np.float32] | None = None
) -> Iterator[NDArray[np.float32]]:
    """Power spectra, (frames, size // 2 + 1), of windows that lie in the signal whole: Hann, under which a full-scale sine
    peaks at 1, unless one of (size,) is given."""
    signal = np.asarray(signal, np.float32)
    if len(signal) < size:
        return
    taps = np.hanning(size + 1)[:-1]
    window = (2 * taps / taps.sum()).astype(np.float32) if window is None else window
    frames = np.lib.stride_tricks.sliding_window_view(signal, size)[::step]
    for first in range(0, len(frames), FRAMES):
        spectrum = fft.rfft(frames[first : first + FRAMES] * window)
        yield np.square(spectrum.real) + np.square(spectrum.imag)
