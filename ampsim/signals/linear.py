"""Linear relations between signals: the normal equations of filters, and the powers of frames."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft, linalg

from ampsim.signals import scratch
from ampsim.signals.scratch import blocks

Array = NDArray[np.float64]
Takes = Sequence[tuple[NDArray[np.floating], NDArray[np.floating]]]  # (input, target), each (num_samples,)
FRAME_S = 0.05
PASSBAND = 0.95  # of what both rates hold: what a filter does above, up to 20.9 kHz at 44.1 kHz, is left open
PIECE = 256  # taps at a time
OPEN = 1e-6  # how much less it counts there; what is in the band then differs by -85 dB or less


def correlations(takes: Takes, num_taps: int, future: int) -> tuple[Array, Array]:
    """The normal equations of a filter: autocorrelation of the inputs, from lag 0, and cross-correlation with the targets,
    from `future - 1` samples ahead; (num_taps,) each, summed over the takes."""
    autocorrelation, cross_correlation = np.zeros(num_taps), np.zeros(num_taps)
    lags = np.arange(num_taps) - (future - 1)
    for heard, played in takes:
        size = fft.next_fast_len(len(heard) + num_taps, real=True)
        spectrum, target = (fft.rfft(np.asarray(x, np.float64), size) for x in (heard, played))
        autocorrelation += fft.irfft(np.square(np.abs(spectrum)), size)[:num_taps]
        cross_correlation += fft.irfft(np.conj(spectrum) * target, size)[lags]
    return autocorrelation, cross_correlation


def solved_toeplitz(automatic: Array, wanted: Array) -> Array:
    """The solutions, (n, m), of R x = w for the symmetric Toeplitz matrix R of a first row, (n,), and each column of `wanted`,
    (n, m).

    One recursion for the first column of the inverse, and by that the others as products of triangular Toeplitz matrices
    (Gohberg & Semencul 1972); what rounding leaves is solved for once more.
    """
    first = linalg.solve_toeplitz(automatic, np.eye(1, len(automatic))[0])
    last = np.append(0.0, first[:0:-1])

    def inverse(right: Array) -> Array:
        parts = []
        for column in (first, last):
            row = np.append(column[0], np.zeros(len(column) - 1))
            parts.append(linalg.matmul_toeplitz((column, row), linalg.matmul_toeplitz((row, column), right)))
        return (parts[0] - parts[1]) / first[0]

    found: Array = inverse(wanted)
    return found + inverse(wanted - linalg.matmul_toeplitz(automatic, found))


def resampled_response(response: Array, sample_rate: int, new_rate: int, *, longest: int) -> Array:
    """An impulse response, (taps,), for another sample rate: the filter that does the same in the band of both.

    Band-limited interpolation rings before the response begins, so it needs a delay or has its beginning cut off. Least
    squares over the band finds a filter that begins at once, since it may do anything above.

    Args:
        longest: taps that the result has at most; what a longer one would have is not there, and the others make up for
            it as far as they can.
    """
    count = min(math.ceil(len(response) * new_rate / sample_rate), longest)
    if sample_rate == new_rate:
        return response[:count]
    width = PASSBAND * min(sample_rate, new_rate)  # of the band, from minus to plus its highest frequency

    def correlation(lag_s: Array) -> Array:
        return width / new_rate * np.sinc(width * lag_s)

    taps_s = np.arange(len(response)) / sample_rate
    autocorrelation, cross_correlation = correlation(np.arange(count) / new_rate), np.empty(count)
    autocorrelation[0] += OPEN
    for start in range(0, count, PIECE):
        at_s = np.arange(start, min(start + PIECE, count)) / new_rate
        cross_correlation[start : start + PIECE] = correlation(at_s[:, None] - taps_s) @ response
    return np.asarray(linalg.solve_toeplitz(autocorrelation, cross_correlation))


def framed(signal: NDArray[np.floating], sample_rate: int) -> Array:
    length = max(1, round(FRAME_S * sample_rate))
    return np.asarray(signal[: len(signal) // length * length], np.float64).reshape(-1, length)


def frame_powers(signal: NDArray[np.floating], sample_rate: int) -> Array:
    return of_frames(signal, sample_rate, lambda frames: np.mean(np.square(frames), axis=1))


def of_frames(signal: NDArray[np.floating], sample_rate: int, measure: Callable[[Array], Array]) -> Array:
    """What `measure` makes of the frames, (num_frames, samples of FRAME_S) -> (num_frames,), block by block."""
    length = max(1, round(FRAME_S * sample_rate))
    step = max(1, scratch.BLOCK // length) * length
    return np.concatenate(
        [np.zeros(0), *(measure(framed(block, sample_rate)) for _, block in blocks(signal, size=step))]
    )


def whitening(signals: Sequence[NDArray[np.floating]], *, order: int = 32, floor: float = 1e-5) -> Array:
    """A filter, (order + 1,), that makes (num_samples,) signals about equally strong at all frequencies: what linear
    prediction leaves of them. White noise at `floor` of their power is added first, so that what nobody hears stays soft.
    All zeros but the first tap where the signals are silent, or none.
    """
    autocorrelation, _ = correlations([(each, each) for each in signals], order + 1, 1)
    if not autocorrelation[0] > 0:
        return np.eye(1, order + 1)[0]
    autocorrelation[0] *= 1 + floor
    return np.concatenate([[1.0], -linalg.solve_toeplitz(autocorrelation[:-1], autocorrelation[1:])])
