"""Scores of the waveform against NumPy, and the curve of the error against windows cut by hand."""

import numpy as np
import pytest

from ampsim.metrics import esr, esr_over_time, waveform_scores

random = np.random.default_rng(0)


def test_scores_divide_once_over_all_signals():
    targets = [random.normal(size=400), 0.1 * random.normal(size=100)]
    predictions = [0.9 * target + 0.05 * random.normal(size=len(target)) for target in targets]
    found = waveform_scores(zip(targets, predictions, strict=True))
    target, prediction = np.concatenate(targets), np.concatenate(predictions)
    assert found["esr"] == pytest.approx(np.sum((target - prediction) ** 2) / np.sum(target**2))
    assert found["mse"] == pytest.approx(np.mean((target - prediction) ** 2))
    assert found["mae"] == pytest.approx(np.mean(np.abs(target - prediction)))
    assert found["esr"] == pytest.approx(esr(target, prediction))


def test_a_silent_target_has_no_ratio():
    assert np.isnan(esr(np.zeros(100), np.ones(100)))


def test_the_curve_shows_the_second_that_went_wrong():
    rate = 1000
    target = random.normal(size=10 * rate)
    prediction = target.copy()
    prediction[6 * rate : 7 * rate] *= 0.5
    curve = esr_over_time(target, prediction, rate)
    worst, at_s = curve.worst
    assert at_s == pytest.approx(6.5)
    assert worst == pytest.approx(0.25)
    place = 21  # a window from 5.25 s to 6.25 s
    window = slice(5250, 6250)
    assert curve.esr[place] == pytest.approx(np.sum((target - prediction)[window] ** 2) / np.sum(target[window] ** 2))


def test_a_pause_with_a_little_noise_is_not_the_worst_second():
    rate = 1000
    target = np.concatenate([random.normal(size=4 * rate), np.zeros(2 * rate)])
    prediction = 0.8 * target + 1e-3 * random.normal(size=len(target))
    worst, at_s = esr_over_time(target, prediction, rate).worst
    assert worst == pytest.approx(0.04, rel=0.01)
    assert at_s < 4
