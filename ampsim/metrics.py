"""What a finished signal is judged by. Sums are accumulated over all spans and divided once."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ampsim.audio import decibels

Signals = Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]]


def esr(target: NDArray[np.floating], prediction: NDArray[np.floating]) -> float:
    """Error-to-signal ratio of one signal: sum of squared error over sum of squared target (Damskägg et al., 2019)."""
    return scores([(target, prediction)])["esr"]


def scores(pairs: Signals) -> dict[str, float]:
    """Scores of several (target, prediction) signals, each of shape (num_samples,), taken as one.

    Returns:
        esr, mse, mae, and the prediction's peak and RMS over the target's in dB (0 is equal, positive is louder).
        A silent target has no ratio: esr is then NaN.
    """
    samples = squared_error = absolute_error = target_energy = prediction_energy = 0.0
    target_peak = prediction_peak = 0.0
    for target, prediction in pairs:
        wide_target, wide_prediction = np.asarray(target, np.float64), np.asarray(prediction, np.float64)
        error = wide_target - wide_prediction
        samples += error.size
        squared_error += float(error @ error)
        absolute_error += float(np.abs(error).sum())
        target_energy += float(wide_target @ wide_target)
        prediction_energy += float(wide_prediction @ wide_prediction)
        target_peak = max(target_peak, float(np.abs(wide_target).max(initial=0)))
        prediction_peak = max(prediction_peak, float(np.abs(wide_prediction).max(initial=0)))
    if not samples:
        raise ValueError("no signal to score")
    audible = target_energy > 0
    return {
        "esr": squared_error / target_energy if audible else float("nan"),
        "mse": squared_error / samples,
        "mae": absolute_error / samples,
        "peak_difference_db": decibels(prediction_peak / target_peak) if audible else float("nan"),
        "rms_difference_db": decibels(np.sqrt(prediction_energy / target_energy)) if audible else float("nan"),
    }
