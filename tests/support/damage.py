"""Faults put into recordings, by other routes than those by which ampsim looks for them."""

import numpy as np
from scipy import interpolate
from scipy import signal as dsp


def late(samples: np.ndarray, delay: float) -> np.ndarray:
    """Later by a part of a sample: the phase of the whole signal turned at once."""
    size = len(samples) + 4096
    spectrum = np.fft.rfft(samples, size)
    turned = spectrum * np.exp(-2j * np.pi * np.arange(len(spectrum)) * delay / size)
    return np.fft.irfft(turned, size)[: len(samples)].astype(np.float32)


def drifting(samples: np.ndarray, ppm: float) -> np.ndarray:
    """As a clock that runs so much too fast takes it: a spline through four times the samples, read in other steps."""
    fine = interpolate.CubicSpline(np.arange(4 * len(samples)) / 4, dsp.resample_poly(samples.astype(np.float64), 4, 1))
    return fine(np.arange(len(samples)) / (1 + ppm * 1e-6)).astype(np.float32)


def without(samples: np.ndarray, start: int, number: int) -> np.ndarray:
    """With a moment lost, as long as before."""
    return np.concatenate([samples[:start], samples[start + number :], np.zeros(number, np.float32)])


def held(samples: np.ndarray, start: int, number: int, value: float = 0.0) -> np.ndarray:
    found = samples.copy()
    found[start : start + number] = value
    return found


def twice(samples: np.ndarray, start: int, number: int) -> np.ndarray:
    """A block comes again in place of the next one."""
    found = samples.copy()
    found[start : start + number] = samples[start - number : start]
    return found


def clipped(samples: np.ndarray, share: float) -> np.ndarray:
    highest = share * np.abs(samples).max()
    return np.clip(samples, -highest, highest)


def humming(samples: np.ndarray, sample_rate: int, *, level_db: float, mains_hz: float) -> np.ndarray:
    """With three harmonics of the mains, of that RMS level re full scale together."""
    time_s = np.arange(len(samples)) / sample_rate
    hum = sum(np.sin(2 * np.pi * mains_hz * k * time_s + k) / k for k in (1, 2, 3))
    return (samples + 10 ** (level_db / 20) * hum / np.sqrt(np.mean(hum**2))).astype(np.float32)


def gated(samples: np.ndarray, key: np.ndarray, sample_rate: int, *, threshold_db: float) -> np.ndarray:
    """Silent where the level of the key, over 50 ms, is below a threshold; 5 ms to open and close."""
    level = np.sqrt(dsp.lfilter(*one_pole(0.05 * sample_rate), key.astype(np.float64) ** 2))
    gain = dsp.lfilter(*one_pole(0.005 * sample_rate), (level > 10 ** (threshold_db / 20)).astype(np.float64))
    return (samples * gain).astype(np.float32)


def one_pole(samples: float) -> tuple[list[float], list[float]]:
    pole = float(np.exp(-1 / samples))
    return [1 - pole], [1.0, -pole]


def turned_down(samples: np.ndarray, start: int, gain_db: float) -> np.ndarray:
    found = samples.copy()
    found[start:] *= 10 ** (gain_db / 20)
    return found


def echoing(samples: np.ndarray, delay: int, level_db: float) -> np.ndarray:
    found = samples.astype(np.float64)
    found[delay:] += 10 ** (level_db / 20) * samples[:-delay]
    return found.astype(np.float32)


def reverberant(samples: np.ndarray, sample_rate: int, *, rt60_s: float, level_db: float) -> np.ndarray:
    """With a tail of noise that falls by 60 dB in `rt60_s`, of that energy against the signal."""
    time_s = np.arange(round(rt60_s * sample_rate)) / sample_rate
    tail = np.random.default_rng(0).standard_normal(len(time_s)) * 10 ** (-3 * time_s / rt60_s) * (time_s > 0.02)
    tail *= 10 ** (level_db / 20) / np.sqrt(np.sum(tail**2))
    return (samples + dsp.oaconvolve(samples, tail)[: len(samples)]).astype(np.float32)
