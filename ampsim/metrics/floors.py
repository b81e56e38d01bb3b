"""What a recording itself says: how far a filter alone gets, and its gain curve."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy import signal as dsp

from ampsim.metrics.waveform import waveform_scores
from ampsim.signals.linear import Takes, correlations, frame_powers, of_frames

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LinearFloor:
    """The best linear filter and its ESR on other signals: what a net must beat to have learnt any distortion.

    Output k is the sum of `taps[i] * input[k + future - 1 - i]`.
    """

    esr: float
    taps: Array
    future: int

    def __call__(self, signal: NDArray[np.floating]) -> Array:
        """The filter's output, (num_samples,), in time with its input."""
        return self.valid(np.pad(np.asarray(signal, np.float64), (len(self.taps) - self.future, self.future - 1)))

    def valid(self, signal: NDArray[np.floating]) -> Array:
        """The output where the whole filter lies on the signal: (len(taps) - 1 + n,) -> (n,)."""
        return dsp.oaconvolve(np.asarray(signal, np.float64), self.taps, mode="valid")

    def esr_on(self, takes: Takes) -> float:
        predictions = [self.valid(input) if len(input) > len(target) else self(input) for input, target in takes]
        pairs = [(target, prediction) for (_, target), prediction in zip(takes, predictions, strict=True)]
        return waveform_scores(pairs)["esr"]


def linear_floor(
    train: Takes,
    test: Takes,
    *,
    validation: Takes = (),
    num_taps: int = 2048,
    future: int = 64,
    regularisation_db: float = -60.0,
) -> LinearFloor:
    """Least squares over all of `train`, by its normal equations; scored on `test`.

    A long filter learns a short recording by heart. With `validation`, the filter is that of `num_taps`, a half, a quarter
    ... of them that is best there; its other taps are 0.

    Args:
        test: here, as in `validation`, an input may bring its surroundings along, `num_taps - future` samples before and
            `future - 1` after.
        num_taps: at most.
        future: taps that see the current sample and those after it; 1 is causal.
        regularisation_db: power of the noise, below the input's, that the filter must not amplify.
    """
    autocorrelation, cross_correlation = correlations(train, num_taps, future)
    autocorrelation[0] *= 1 + 10 ** (regularisation_db / 10)
    best, lowest = LinearFloor(math.nan, np.zeros(num_taps), future), math.nan  # of silence nothing is learnt
    length = num_taps
    while autocorrelation[0] and length >= max(future, 1):
        taps = np.zeros(num_taps)
        taps[:length] = linalg.solve_toeplitz(autocorrelation[:length], cross_correlation[:length])
        fitted = LinearFloor(math.nan, taps, future)
        reached = fitted.esr_on(validation) if validation else 0.0
        if length == num_taps or reached < lowest:
            best, lowest = fitted, reached
        length = length // 2 if validation else 0
    return LinearFloor(best.esr_on(test), best.taps, future)


@dataclass(frozen=True)
class GainCurve:
    """Gain and crest factor against input level, as far as playing shows them: medians of 50 ms frames, each (num_levels,).

    `low_db` and `high_db` are the quartiles of the gain. An amp that saturates shows a falling gain.
    """

    levels_db: Array  # RMS of the input re full scale
    gain_db: Array
    low_db: Array
    high_db: Array
    crest_db: Array  # of the output: its peak over its RMS


def gain_curve(
    input: NDArray[np.floating], output: NDArray[np.floating], sample_rate: int, *, step_db: float = 3.0
) -> GainCurve:
    """From a recording, input and output of shape (num_samples,) in time with each other; levels heard in fewer than
    five frames, or 60 dB below the loudest, are left out."""
    powers = [np.maximum(frame_powers(signal, sample_rate), 1e-16) for signal in (input, output)]
    level, out = (10 * np.log10(power) for power in powers)
    peaks = of_frames(output, sample_rate, lambda frames: np.abs(frames).max(axis=1))
    peak = 20 * np.log10(np.maximum(peaks, 1e-8))
    step = np.round(level / step_db)
    rows = []
    for number in np.unique(step):
        here = step == number
        if here.sum() >= 5 and number * step_db > level.max() - 60:
            low, middle, high = np.percentile((out - level)[here], (25, 50, 75))
            rows.append((number * step_db, middle, low, high, float(np.median((peak - out)[here]))))
    return GainCurve(*np.array(rows, float).reshape(-1, 5).T)
