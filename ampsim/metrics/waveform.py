"""Errors of the waveform: over whole signals, and where in them they lie."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ampsim.signals.audio import decibels

Signals = Iterable[tuple[NDArray[np.floating], NDArray[np.floating]]]


def esr(target: NDArray[np.floating], prediction: NDArray[np.floating]) -> float:
    """Error-to-signal ratio of one signal: sum of squared error over sum of squared target (Damskägg et al., 2019)."""
    return waveform_scores([(target, prediction)])["esr"]


def waveform_scores(pairs: Signals) -> dict[str, float]:
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


@dataclass(frozen=True)
class ErrorCurve:
    """The error-to-signal ratio of a window that slides over a signal; `time_s` is the window's middle."""

    time_s: NDArray[np.float64]
    esr: NDArray[np.float64]

    @property
    def worst(self) -> tuple[float, float]:
        """The highest ratio, and its time in seconds."""
        place = int(np.argmax(self.esr))
        return float(self.esr[place]), float(self.time_s[place])


def esr_over_time(
    target: NDArray[np.floating],
    prediction: NDArray[np.floating],
    sample_rate: int,
    *,
    window_s: float = 1.0,
    step_s: float = 0.25,
    floor_db: float = -20.0,
) -> ErrorCurve:
    """Where a prediction is worst. Both signals have shape (num_samples,).

    Args:
        floor_db: below the target's mean power; a window that is quieter is held against this, so that a pause with a
            little noise in it is not the worst second of all.
    """
    window = min(len(target), max(1, round(window_s * sample_rate)))
    starts = np.arange(0, len(target) - window + 1, max(1, round(step_s * sample_rate)))
    wide = np.asarray(target, np.float64)
    errors, energies = (
        sums[starts + window] - sums[starts]
        for sums in (np.concatenate([[0], np.cumsum(np.square(x))]) for x in (wide - prediction, wide))
    )
    floor = np.mean(np.square(wide)) * window * 10 ** (floor_db / 10)
    with np.errstate(invalid="ignore", divide="ignore"):  # a target that is silent throughout has no ratio
        return ErrorCurve((starts + window / 2) / sample_rate, errors / np.maximum(energies, floor))
