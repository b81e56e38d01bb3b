"""Delay, drift and lost samples, measured on signals that were shifted by other means."""

from dataclasses import replace

import numpy as np
import pytest
from damage import drifting, late, without
from numpy.testing import assert_allclose
from scipy import signal as dsp
from synthetic import amp, filtered_noise, guitar

from ampsim.recordings import virtual_amp
from ampsim.signals import alignment
from ampsim.signals.alignment import Line, Step, advanced, fitted, least_error, resampled, timing

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


@pytest.mark.parametrize("slope", [0.0, 0.02])
def test_steps_that_only_the_playing_feigns_are_not_believed(slope: float, monkeypatch: pytest.MonkeyPatch):
    """Through much gain the lag of some passages is off by several samples; on such a line less of the amp is explained."""

    def feigned(time_s, phases, scale):
        line, lags, times, together = moving(time_s, phases, scale)
        steps = (Step(6.0, -8.3), Step(14.0, 8.3))
        return Line(slope, line.slope_error, steps), lags + Line(slope, 0.0, steps)(times), times, together

    moving = alignment.moving
    monkeypatch.setattr(alignment, "moving", feigned)
    found = timing([(PLAYED, late(LOUD, 7.37))], RATE, quick=True)
    assert found.line.steps == ()
    assert found.delay == pytest.approx(7.37, abs=0.1)


def test_a_delay_may_be_off_the_more_the_less_of_the_amp_its_gain_stage_explains():
    """As computed by hand; in milliseconds it is the same at every rate, and of the two halves it knows nothing."""
    found = timing([(PLAYED[: 4 * RATE], LOUD[: 4 * RATE])], RATE, quick=True)
    certain = replace(found, delay=7.0, onset=6.4, apart=0.0, explained=1.0, sample_rate=48000)
    assert certain.within == pytest.approx(0.2)
    hardly = replace(
        certain, explained=0.999
    )  # a filter before much gain: 0.6 to 0.8 samples off, and both halves alike
    assert hardly.within == pytest.approx(0.2 + 24 * np.sqrt(0.001), rel=1e-6)
    assert replace(hardly, sample_rate=96000).within == pytest.approx(0.2 + 48 * np.sqrt(0.001), rel=1e-6)
    several = [replace(certain, explained=share).within for share in (0.99, 0.97, 0.5)]
    assert several == pytest.approx([0.2 + 2.4] * 3)


def test_a_step_that_the_next_one_takes_back_may_be_none():
    steps = (Step(2.0, 160.0), Step(6.0, -8.3), Step(14.0, 8.2), Step(17.0, -12.0))
    assert alignment.without_excursions(steps) == (steps[0], steps[3])
    assert alignment.without_excursions(steps[1:2]) == steps[1:2]


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


# ---- What must not be mistaken for the delay ----

CD_RATE = 44100
PASSAGE = virtual_amp.guitar(10.0, CD_RATE, seed=3)


def driven(direct: np.ndarray, gain: float = 20.0) -> np.ndarray:
    """A tanh at eight times the rate, whose resamplers have linear phase and no delay."""
    return 0.5 * dsp.resample_poly(np.tanh(gain * dsp.resample_poly(direct.astype(float), 8, 1)), 1, 8)


@pytest.mark.parametrize("tenths", range(10))
def test_a_fraction_of_a_sample_does_not_let_the_next_period_win(tenths: int):
    delay = 7 + tenths / 10
    found = timing([(PASSAGE, late(driven(PASSAGE), delay))], CD_RATE)
    assert found.clear
    assert found.delay == pytest.approx(delay, abs=0.5)
    assert not found.inverted
    assert delay - 6 < found.samples <= delay


@pytest.mark.parametrize("duration_s", [2, 3])
@pytest.mark.parametrize("amp_of", [driven, lambda x: -driven(x, 3.0), lambda x: dsp.lfilter([0.2], [1, -0.8], x)])
def test_a_short_take_does_not_feign_a_drift(duration_s: int, amp_of):
    part = PASSAGE[3 * CD_RATE : (3 + duration_s) * CD_RATE]
    found = timing([(part, late(amp_of(part), 7.37))], CD_RATE)
    assert abs(found.line.slope) * duration_s < 2.5
    assert found.line.steps == ()
    assert found.samples <= 7


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_what_is_removed_of_the_virtual_amp_hides_nothing_from_a_causal_model(rate: int):
    direct = virtual_amp.guitar(8.0, rate, seed=1)
    loud = virtual_amp.amplify(direct, rate, delay=7)
    found = timing([(direct, loud)], rate)
    assert found.clear
    assert found.samples <= 7
    assert found.samples > 7 - 0.0003 * rate  # a third of a millisecond is little of a model's memory


@pytest.mark.parametrize("delay_s", [0.4, 1.5, 3.0, -0.4, -1.5])
def test_a_delay_of_seconds_is_found(delay_s: float):
    delay = round(delay_s * RATE) + 0.25
    target = late(np.pad(LOUD, (5 * RATE, 5 * RATE)), delay)[5 * RATE : -5 * RATE]
    found = timing([(PLAYED, target)], RATE)
    assert found.clear
    assert found.delay == pytest.approx(delay, abs=0.05)
    assert found.samples == np.floor(delay - 3 * SINC_RISE)


@pytest.mark.parametrize("ppm", [60.0, -60.0])
def test_drift_is_found_behind_a_delay_of_seconds(ppm: float):
    """Positive and negative: what was cut off the start of the one is what the other lags by."""
    drifted = drifting(LOUD, ppm)
    lags = timing([(PLAYED[RATE:], drifted[:-RATE])], RATE)
    leads = timing([(PLAYED[:-RATE], drifted[RATE:])], RATE)
    for found in (lags, leads):
        assert found.drift_ppm == pytest.approx(ppm, abs=1)
    second = RATE * ppm * 1e-6  # samples by which a second of drift moves the target
    assert lags.delay == pytest.approx(RATE + second, abs=0.3)
    assert leads.delay == pytest.approx(-RATE, abs=0.3)


def test_what_has_no_delay_is_not_told_one():
    """A tone that never ends fits at every period, and noise fits nowhere."""
    time_s = np.arange(10 * RATE) / RATE
    tone = np.sin(2 * np.pi * 220 * time_s).astype(np.float32)
    noise = filtered_noise(len(PLAYED), seed=9)
    for direct, target in ((tone, late(np.tanh(3 * tone), 7.37)), (PLAYED, noise), (PLAYED, np.zeros_like(noise))):
        assert not timing([(direct, target)], RATE).clear


def test_the_first_of_two_microphones_counts_where_both_are_loud():
    away = round(RATE / 343)
    both = LOUD + 0.7 * np.concatenate([np.zeros(away, np.float32), LOUD[:-away]])
    assert timing([(PLAYED, late(both, 7.0))], RATE).delay == pytest.approx(7.0, abs=0.5)


@pytest.mark.parametrize("delay", [-40.5, 0.0, 0.126, 9.0, 33.333])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_delay_of_least_error_is_found_to_a_thousandth(delay: float, sign: int):
    prediction = sign * late(LOUD, delay).astype(np.float32)
    assert least_error(LOUD, prediction, timing([(LOUD, prediction)], RATE)) == pytest.approx(delay, abs=0.002)


def test_least_error_takes_what_a_filter_delays_for_delay():
    """Of a symmetric filter, which delays all by as much, the whole; of a recursive one, what leaves the least error."""
    prediction = np.convolve(LOUD, np.hanning(9)[1:-1] / np.hanning(9).sum())[: len(LOUD)]
    assert least_error(LOUD, prediction, timing([(LOUD, prediction)], RATE)) == pytest.approx(3, abs=0.01)
    dark = dsp.sosfilt(dsp.butter(2, 5000, fs=RATE, output="sos"), LOUD)
    found = least_error(LOUD, dark, timing([(LOUD, dark)], RATE))
    inner = slice(1000, -1000)
    errors = {step: np.sum((LOUD - late(dark, -found - step))[inner] ** 2) for step in (-0.1, -0.01, 0, 0.01, 0.1)}
    assert min(errors, key=errors.__getitem__) == 0


@pytest.mark.parametrize("delay", [5, -5, 3.4, -3.4, 300.5])
def test_what_comes_earlier_lies_where_it_says(delay: float):
    smooth = dsp.sosfiltfilt(dsp.butter(8, 0.8, output="sos"), LOUD)
    start, samples = advanced(late(smooth, delay), delay)
    inner = slice(1000, len(samples) - 1000)
    assert_allclose(samples[inner], smooth[start : start + len(samples)][inner], atol=1e-4)
    assert start >= 0


def test_too_little_to_interpolate_is_nothing():
    assert advanced(np.ones(100), 0.5)[1].size == 0
