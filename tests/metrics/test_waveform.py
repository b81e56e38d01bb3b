"""Scores of the waveform against NumPy, and the curve of the error against windows cut by hand."""

import numpy as np
import pytest

from ampsim.metrics import ear_scores, esr, esr_over_time, waveform_scores

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
    error, power = np.square(target - prediction), np.mean(np.square(target))
    assert worst == pytest.approx(np.mean(error[6 * rate : 7 * rate]) / power)
    place = 21  # a window from 5.25 s to 6.25 s
    assert curve.esr[place] == pytest.approx(np.mean(error[5250:6250]) / power)
    assert np.mean(curve.esr[::4]) == pytest.approx(esr(target, prediction))


def test_a_pause_with_a_little_noise_is_not_the_worst_second():
    rate = 1000
    target = np.concatenate([random.normal(size=4 * rate), np.zeros(2 * rate)])
    prediction = 0.8 * target + 1e-3 * random.normal(size=len(target))
    worst, at_s = esr_over_time(target, prediction, rate).worst
    assert worst == pytest.approx(0.04 * 6 / 4, rel=0.15)  # of six seconds, four sound
    assert at_s < 4


@pytest.mark.parametrize("seed", range(30))
def test_the_worst_second_is_never_better_than_the_whole(seed: int):
    """Whatever the levels of target and error in each moment, their length, and the pieces they come in."""
    dice = np.random.default_rng(seed)
    rate = 500
    pairs = []
    for _ in range(dice.integers(1, 4)):
        length = int(dice.integers(1, 6 * rate))
        levels = 10 ** dice.uniform(-3, 0, size=(2, 1 + length // 200))
        target, error = (np.repeat(level, 200)[:length] * dice.normal(size=length) for level in levels)
        pairs.append((target * dice.choice([0, 1, 1]), target * dice.choice([0, 1]) + error))
        if target.any():
            assert esr_over_time(target, target + error, rate).worst[0] >= esr(target, target + error) * (1 - 1e-9)
    whole = waveform_scores(pairs)["esr"]
    assert not whole > ear_scores(pairs, rate)["worst_second_esr"] * (1 + 1e-9)


def test_an_error_in_a_pause_or_at_the_very_end_is_not_hidden():
    rate = 1000
    target = np.concatenate([np.ones(4 * rate), np.zeros(2 * rate)])
    for place in (slice(4500, 5500), slice(5900, 6000)):  # beyond the last window that slides by a quarter second
        prediction = target.copy()
        prediction[place] += 0.3
        tail = esr_over_time(target[:-30], prediction[:-30], rate)
        assert tail.worst[0] >= esr(target[:-30], prediction[:-30])
        assert tail.worst[1] > 4.5
