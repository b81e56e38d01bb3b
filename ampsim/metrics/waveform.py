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
    """The error of a window that slides over a signal, over the mean energy of such a window: its mean is the ESR.

    `time_s` is the window's middle.
    """

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
    steps: int = 4,
    power: float | None = None,
) -> ErrorCurve:
    """Where a prediction is worst. Both signals have shape (num_samples,).

    A window's own energy is no measure: a pause with a little noise in it would be the worst second of all.

    Args:
        window_s: stretched or shrunk so that a whole number of windows makes the signal. Thus no part of it counts
            less than another, and the worst window is never better than the ESR.
        steps: by which a window slides over its own length.
        power: the mean power to compare with; None takes the target's.
    """
    windows = max(1, round(len(target) / (window_s * sample_rate)))
    edges = np.round(np.arange(windows * steps + 1) * len(target) / (windows * steps)).astype(int)
    starts, stops = edges[:-steps], edges[steps:]
    wide = np.asarray(target, np.float64)
    sums = np.concatenate([[0], np.cumsum(np.square(wide - prediction))])
    mean = np.mean(np.square(wide)) if power is None else power
    with np.errstate(invalid="ignore", divide="ignore"):  # a target that is silent throughout has no ratio
        ratio = (sums[stops] - sums[starts]) / (stops - starts) / mean
    return ErrorCurve((starts + stops) / 2 / sample_rate, ratio)
