"""Delay, drift and lost samples, measured on signals that were shifted by other means."""

import numpy as np
import pytest
from damage import drifting, late, without
from numpy.testing import assert_allclose
from scipy import signal as dsp
from synthetic import amp, filtered_noise, guitar

from ampsim.signals.alignment import Line, Step, fitted, resampled, timing

RATE = 16000
SINC_RISE = 0.603  # samples from the half height of a pulse that holds all frequencies to its peak
PLAYED = guitar(20 * RATE, sample_rate=RATE, seed=4)
LOUD = amp(PLAYED, gain=12)


@pytest.mark.parametrize("delay", [-9.28, -0.5, 0.0, 0.37, 7.0, 23.81])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_delay_is_found_to_a_small_part_of_a_sample(delay: float, sign: int):
    found = timing([(PLAYED, late(sign * LOUD, delay))], RATE)
    assert found.delay == pytest.approx(delay, abs=0.05)
    assert found.onset == pytest.approx(delay - SINC_RISE, abs=0.1)
    assert found.inverted == (sign < 0)
    assert found.line.steps == ()
    assert abs(found.drift_ppm) < 0.5


def test_what_a_minimum_phase_filter_delays_is_no_delay():
    """A low-pass of second order at 2 kHz delays the bass by 1.8 samples, and a cross-correlation finds them."""
    low_pass = dsp.butter(2, 2000, fs=RATE, output="sos")
    noise = filtered_noise(10 * RATE, seed=1)
    dark = dsp.sosfilt(low_pass, noise)
    assert np.argmax(np.correlate(dark[:4000], noise[:4000], "full")) - 3999 == 2
    assert timing([(noise, late(dark, 5.0))], RATE, steady=True).delay == pytest.approx(5.0, abs=0.3)


@pytest.mark.parametrize("ppm", [20.0, -20.0, 100.0, 3.0])
def test_drift_is_found_and_can_be_taken_out(ppm: float):
    drifted = drifting(LOUD, ppm)
    found = timing([(PLAYED, drifted)], RATE)
    assert found.drift_ppm == pytest.approx(ppm, abs=0.5)
    assert found.line.slope * 20 == pytest.approx(20 * RATE * ppm * 1e-6, abs=0.2)  # samples over the take
    assert found.lags[-1] - found.lags[0] == pytest.approx(
        found.line.slope * (found.time_s[-1] - found.time_s[0]), abs=0.4
    )
    mended = resampled(drifted, ppm, RATE)
    middle = slice(RATE, -RATE)
    assert np.mean((mended - LOUD)[middle] ** 2) < 1e-3 * np.mean(LOUD[middle] ** 2)
    assert len(mended) == len(LOUD)


@pytest.mark.parametrize("number", [160, 1000])
def test_lost_samples_are_found_in_the_channel_that_lost_them(number: int):
    start = 11 * RATE
    (step,) = timing([(PLAYED, without(LOUD, start, number))], RATE).line.steps
    assert step.samples == pytest.approx(-number, abs=0.5)
    assert step.at_s == pytest.approx(11, abs=0.25)
    (step,) = timing([(without(PLAYED, start, number), LOUD)], RATE).line.steps
    assert step.samples == pytest.approx(number, abs=0.5)


def test_a_line_with_steps_is_recovered_among_stray_lags():
    random = np.random.default_rng(0)
    time_s = np.arange(0.0, 120, 2)
    truth = Line(0.3, 0.0, (Step(41.0, -480.0), Step(81.0, 64.0)))
    lags = truth(time_s) + random.normal(0, 0.1, 60)
    lags[[7, 30]] += [900, -300]
    found = fitted(time_s, lags)
    assert_allclose([step.at_s for step in found.steps], [41, 81])
    assert_allclose([step.samples for step in found.steps], [-480, 64], atol=0.3)
    assert found.slope == pytest.approx(0.3, abs=0.01)


def test_a_take_of_two_hours_needs_no_more_than_one_of_five_minutes():
    """Stretches are taken from all over a longer take, and still show its drift."""
    rate = 2000
    played = filtered_noise(1200 * rate, seed=2)
    found = timing([(played, np.interp(np.arange(len(played)) / 1.00001, np.arange(len(played)), played))], rate)
    assert len(found.lags) <= 150
    assert found.drift_ppm == pytest.approx(10, abs=0.2)


def test_silence_in_front_of_the_playing_does_not_matter():
    quiet = np.zeros(6 * RATE, np.float32)
    found = timing([(np.concatenate([quiet, PLAYED]), np.concatenate([quiet, late(LOUD, 3.5)]))], RATE)
    assert found.delay == pytest.approx(3.5, abs=0.05)
