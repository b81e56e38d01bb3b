"""What an evaluation says agrees with the metrics on the signals that it hands on."""

import keras
import numpy as np
import pytest

from ampsim.metrics import ear_scores, esr
from ampsim.models import Dense
from ampsim.recordings.pairs import AudioPair, Span
from ampsim.runs.evaluation import evaluate, floors

RATE = 8000
random = np.random.default_rng(0)


def take(pause_s=1.0):
    played = (0.3 * random.normal(size=6 * RATE)).astype(np.float32)
    played[RATE : int((1 + pause_s) * RATE)] = 0
    target = np.tanh(3 * played) + 0.001 * random.normal(size=len(played))
    return AudioPair(played, target.astype(np.float32), RATE, "take")


def test_scores_are_those_of_the_signals():
    keras.utils.set_random_seed(0)
    model = Dense(window=32, future=4, layers=1, units=4, sample_rate=RATE)
    model.build()
    found = evaluate(model, [Span(take(), 0, 4 * RATE)])
    amp, prediction = found.signals["amp"], found.signals["prediction"]
    assert found.scores["esr"] == pytest.approx(esr(amp, prediction))
    expected = ear_scores([(amp, prediction)], RATE)
    assert {name: found.scores[name] for name in expected} == pytest.approx(expected)
    assert found.scores["aliasing_db"] == found.aliasing.mean_db
    assert np.all(np.isfinite(found.fingerprint.distortion))


def test_floors_of_a_recording_and_no_noise_floor_where_the_guitar_never_rests():
    rested, busy = take(), take(pause_s=0)
    found = floors(
        [Span(rested, 0, 3 * RATE)], [Span(rested, 3 * RATE, 4 * RATE)], [Span(rested, 4 * RATE, 6 * RATE)], future=4
    )
    true = 1e-6 / np.mean(rested.target[4 * RATE :] ** 2)  # of the split that is scored, which has no rest itself
    assert 0.8 * true < found["noise_at_least_esr"] < true < found["noise_at_most_esr"] < 1.2 * true
    # The best gain for tanh(3x) leaves its distortion; NumPy's least squares on one tap knows how much.
    test, heard = rested.target[4 * RATE :], rested.input[4 * RATE :]
    gain = np.sum(test * heard) / np.sum(heard**2)
    assert found["linear_floor_esr"] == pytest.approx(esr(test, gain * heard), rel=0.15)
    later = [Span(busy, 4 * RATE, 6 * RATE)]
    assert set(floors([Span(busy, 0, 4 * RATE)], later, later, future=4)) == {"linear_floor_esr"}


def test_the_linear_floor_hears_what_was_played_before_the_test():
    """An amp that is a filter has a floor of nearly nothing, also on a test cut from the middle of a take."""
    filters = np.random.default_rng(1)
    played = (0.3 * filters.normal(size=8 * RATE)).astype(np.float32)
    taps = filters.normal(size=1500) * np.exp(-np.arange(1500) / 400)
    target = np.convolve(played, 0.05 * taps)[: len(played)].astype(np.float32)
    linear = AudioPair(played, target, RATE, "linear")
    train, validation = [Span(linear, 0, 5 * RATE)], [Span(linear, 5 * RATE, 6 * RATE)]
    found = floors(train, validation, [Span(linear, 7 * RATE, 7 * RATE + RATE // 2)], future=1)
    assert found["linear_floor_esr"] < 1e-3  # with silence in place of what was played before: 0.007


def test_test_tones_settle_for_as_long_as_the_model_remembers():
    """A net that is a long linear filter makes no harmonics, however long it remembers."""
    keras.utils.set_random_seed(0)
    model = Dense(window=3000, future=1, layers=1, units=1, activation="linear", sample_rate=RATE)
    model.build()
    kernel, bias, head, offset = model.get_weights()
    model.set_weights([1e-4 * np.sign(kernel), bias, 0.1 * np.ones_like(head), offset])
    assert evaluate(model, [Span(take(), 0, 4 * RATE)]).scores["aliasing_db"] < -60
