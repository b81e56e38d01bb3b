"""Floors of a recording on recordings whose limits are known."""

import numpy as np
import pytest
from scipy import signal as dsp

from ampsim.metrics import gain_curve, linear_floor

RATE = 8000
random = np.random.default_rng(0)


def test_a_linear_amp_is_found_tap_by_tap():
    taps = random.normal(size=60) * np.exp(-np.arange(60) / 15)
    inputs = [random.normal(size=20000) for _ in range(3)]
    takes = [(x, np.convolve(x, taps)[: len(x)]) for x in inputs]
    found = linear_floor(takes[:2], takes[2:], num_taps=100, future=1, regularisation_db=-100)
    np.testing.assert_allclose(found.taps[:60], taps, atol=0.01)
    assert found.esr < 1e-3


def test_a_filter_that_looks_ahead_undoes_a_delay_the_wrong_way_round():
    signal = random.normal(size=20000)
    takes = [(signal, np.roll(signal, -5))]
    assert linear_floor(takes, takes, num_taps=32, future=8).esr < 0.01
    assert linear_floor(takes, takes, num_taps=32, future=1).esr > 0.9


def test_the_floor_of_a_distortion_is_the_least_squares_residual():
    """Against NumPy's solver on the matrix of windows."""
    signal = dsp.lfilter([1], [1, -0.9], random.normal(size=6000))
    target = np.tanh(signal)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(signal, (15, 0)), 16)
    solved = np.linalg.lstsq(windows, target, rcond=None)[0]
    expected = np.sum((target - windows @ solved) ** 2) / np.sum(target**2)
    found = linear_floor([(signal, target)], [(signal, target)], num_taps=16, future=1)
    assert found.esr == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(found.taps, solved[::-1], atol=1e-3)


@pytest.mark.parametrize(("num_train", "longest"), [(1500, 250), (40_000, 1000)])
def test_a_filter_is_as_long_as_the_recording_can_teach(num_train: int, longest: int):
    """A short recording with much that is not linear teaches a long filter noise; validation hears it, the test proves it."""
    draws = np.random.default_rng(num_train)
    taps = draws.normal(size=900) * np.exp(-np.arange(900) / 60)
    takes = []
    for length in (num_train, 8000, 8000):
        signal = draws.normal(size=length)
        linear = np.convolve(signal, taps)[:length]
        takes.append((signal, linear + 0.5 * np.std(linear) * draws.normal(size=length)))
    train, validation, test = ([take] for take in takes)
    found = linear_floor(train, test, validation=validation, num_taps=1000, future=1)
    assert np.max(np.nonzero(found.taps)) < longest
    fixed = linear_floor(train, test, num_taps=1000, future=1)
    assert found.esr <= fixed.esr
    assert (found.esr < 0.7 * fixed.esr) == (longest < 1000)


def test_where_validation_is_silent_the_filter_is_the_longest_and_where_training_is_it_is_nothing():
    signal, silence = random.normal(size=4000), np.zeros(4000)
    target = np.convolve(signal, [1, 0.5, 0.25])[:4000]
    found = linear_floor([(signal, target)], [(signal, target)], validation=[(silence, silence)], num_taps=8, future=1)
    assert found.esr < 1e-6
    assert linear_floor([(silence, target)], [(signal, target)], num_taps=8, future=1).esr == pytest.approx(1)


def test_the_gain_curve_of_a_clipper_falls():
    levels = np.repeat(10 ** (np.arange(-48, 1, 3) / 20), RATE)
    signal = levels * np.sqrt(2) * np.sin(2 * np.pi * 200 * np.arange(len(levels)) / RATE)
    curve = gain_curve(signal, np.clip(10 * signal, -1, 1), RATE)
    np.testing.assert_allclose(curve.levels_db, np.arange(-48, 1, 3), atol=0.1)
    np.testing.assert_allclose(curve.gain_db[curve.levels_db < -24], 20, atol=0.01)
    assert np.all(np.diff(curve.gain_db)[-6:] < -1)
    assert curve.crest_db[0] == pytest.approx(3.01, abs=0.05)
    assert curve.crest_db[-1] < 1
