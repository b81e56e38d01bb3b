"""Filters that say what the ear attends to: pre-emphasis and A-weighting, as taps for a convolution."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft
from scipy import signal as dsp

from ampsim.signals import scratch
from ampsim.signals.scratch import Scratch, blocks

Taps = NDArray[np.float64]

# IEC 61672-1, annex E: the poles of the A-weighting in hertz, the outer two double. Four zeros lie at 0 Hz.
A_POLES_HZ = (20.598997, 107.65265, 737.86223, 12194.217)
A_MEMORY_S = 0.0232  # three time constants of the lowest pole


def a_weight_db(frequency_hz: ArrayLike) -> NDArray[np.float64]:
    """The A-weighting at a frequency, in dB: 0 at 1 kHz, -19.1 at 100 Hz (IEC 61672-1)."""
    with np.errstate(divide="ignore"):
        return 20 * np.log10(a_magnitude(frequency_hz))


def a_magnitude(frequency_hz: ArrayLike) -> NDArray[np.float64]:
    """The A-weighting at a frequency as a factor on amplitudes: 1 at 1 kHz, 0 at 0 Hz."""
    return _unscaled(frequency_hz) / _unscaled(1000.0)


def _unscaled(frequency_hz: ArrayLike) -> NDArray[np.float64]:
    square = np.square(np.asarray(frequency_hz, np.float64))
    lowest, low, high, highest = np.square(A_POLES_HZ)
    middle = np.sqrt((square + low) * (square + high))
    return highest * square**2 / ((square + lowest) * middle * (square + highest))


def pre_emphasis(coefficient: float) -> Taps:
    """First-order high-pass 1 - coefficient z^-1 (Damskägg et al., 2019; Wright and Välimäki, 2020)."""
    return np.array([1.0, -coefficient])


def a_weighting(sample_rate: int, *, low_pass: float = 0.0) -> Taps:
    """The A-weighting as a minimum-phase FIR of about 23 ms: the magnitude of IEC 61672 up to half of any sample rate.

    At rates of 8 to 192 kHz alike, it keeps to the standard within 0.02 dB from 80 Hz up, 0.19 dB from 31.5 Hz up
    (-0.18 dB at 40 Hz), and weighs lower frequencies too much: by 0.8 dB at 25 Hz, 2.2 dB at 20 Hz.

    A bilinear design falls off near half the rate; this one is made from the curve itself, so that the weights are the
    same at every rate.

    Args:
        low_pass: coefficient b of a filter (1 + b z^-1) / (1 + b) in series, which takes back what the A-weighting gives
            to noise at the top. Wright and Välimäki (2020) found 0.85 best at 44.1 kHz.
    """
    num_taps = round(A_MEMORY_S * sample_rate)
    size = fft.next_fast_len(32 * num_taps, real=True) // 2 * 2  # fine enough that the cepstrum does not alias
    magnitude = a_magnitude(fft.rfftfreq(size, 1 / sample_rate))
    taps = fft.irfft(minimum_phase(np.maximum(magnitude, 1e-6)), size)[:num_taps]  # the zero at 0 Hz becomes -120 dB
    fade = num_taps // 2  # without it the cut-off tail ripples at the lowest frequencies
    taps[-fade:] *= 0.5 + 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade)
    return np.convolve(taps, [1, low_pass]) / (1 + low_pass) if low_pass else taps


def minimum_phase(magnitude: NDArray[np.float64]) -> NDArray[np.complex128]:
    """The spectrum, (size // 2 + 1,), of the filter of that magnitude which delays least: its real cepstrum folded
    (Oppenheim and Schafer, Discrete-Time Signal Processing, 13.5). `size` is even, `magnitude` nowhere 0."""
    return np.exp(folded(np.log(magnitude)))


def folded(log_magnitude: NDArray[np.float64]) -> NDArray[np.complex128]:
    """The complex logarithm of that filter's spectrum, whose imaginary part is its phase, unwrapped."""
    cepstrum = fft.irfft(log_magnitude)
    half = len(cepstrum) // 2
    cepstrum[1:half] *= 2
    cepstrum[half + 1 :] = 0
    return fft.rfft(cepstrum)


def filtered(signal: NDArray[np.floating], taps: Taps) -> NDArray[np.float64]:
    """A signal, (num_samples,), behind a filter, as long as it was, with silence before it."""
    wide = np.asarray(signal, np.float64)
    return dsp.oaconvolve(wide, taps)[: len(wide)]


def decimated(samples: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """`scipy.signal.resample_poly(samples, 1, step)` of a signal, (num_samples,), block by block."""
    reach = 10 * step  # of that function's filter, to both sides
    made = Scratch(1, -(-len(samples) // step))
    for start, block in blocks(samples, size=max(1, scratch.BLOCK // step) * step, more=reach):
        before = min(start, reach)
        slow = dsp.resample_poly(np.concatenate([samples[start - before : start], block]), 1, step)
        made.write(slow[None, before // step :][:, : min(scratch.BLOCK // step or 1, made.shape[1] - made.done)])
    return made.read()[0]


def mel_bands(num_bands: int, size: int, sample_rate: int, *, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """Triangular bands on the mel scale, as weights on the bins of an FFT: (size // 2 + 1, num_bands).

    Each triangle peaks at 1 and falls to 0 at its neighbours' peaks; mel = 1127 ln(1 + f / 700) (O'Shaughnessy, 1987).
    """
    edges = np.linspace(mel(low_hz), mel(high_hz), num_bands + 2)
    position = mel(fft.rfftfreq(size, 1 / sample_rate))[:, None]
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    return np.maximum(0, np.minimum((position - lower) / (centre - lower), (upper - position) / (upper - centre)))


def slaney_bands(num_bands: int, size: int, sample_rate: int, *, high_hz: float) -> NDArray[np.float64]:
    """Triangles of equal area on Slaney's mel scale (Auditory Toolbox, 1998) from 0 to `high_hz`, as weights on the bins of
    an FFT: (size // 2 + 1, num_bands). Bands above half the rate are empty.

    The scale is linear up to 1 kHz, 3 mels for 200 Hz, and logarithmic above, 27 mels for a factor of 6.4.
    """
    step = np.log(6.4) / 27
    highest = 15 + np.log(high_hz / 1000) / step if high_hz > 1000 else high_hz * 3 / 200
    mels = np.linspace(0, highest, num_bands + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * step))
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    frequency = fft.rfftfreq(size, 1 / sample_rate)[:, None]
    rising, falling = (frequency - lower) / (centre - lower), (upper - frequency) / (upper - centre)
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (upper - lower)


def mel(frequency_hz: ArrayLike) -> NDArray[np.float64]:
    return 1127 * np.log1p(np.asarray(frequency_hz, np.float64) / 700)


def third_octaves(
    size: int, sample_rate: int, *, low_hz: float = 63.0, high_hz: float = 16000.0
) -> NDArray[np.float64]:
    """Which bin of an FFT lies in which third of an octave, as 0 and 1: (size // 2 + 1, num_bands).

    Bands are centred at 1000 * 2^(n/3) Hz, from that of `low_hz` up to `high_hz` or 0.45 of the rate.
    """
    highest_hz = min(high_hz, 0.45 * sample_rate)
    first, last = (round(3 * np.log2(edge / 1000)) for edge in (low_hz, highest_hz))
    with np.errstate(divide="ignore"):
        band = np.round(3 * np.log2(fft.rfftfreq(size, 1 / sample_rate) / 1000))
    return (band[:, None] == np.arange(first, last + 1)).astype(np.float64)
