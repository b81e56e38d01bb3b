"""Bounds of the noise, on recordings into which a known noise was mixed, or none."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import signal as dsp
from synthetic import guitar

from ampsim.metrics import noise_floor
from ampsim.recordings.pairs import aligned, estimate_delay
from ampsim.recordings.sources import Stereo

RATE = 16_000
TIME_S = np.arange(20 * RATE) / RATE
HISS = 10 ** (-80 / 20) * np.random.default_rng(1).normal(size=len(TIME_S))
NOISE = 0.01 * np.random.default_rng(2).normal(size=len(TIME_S))
HUM = 0.01 * sum(np.sin(2 * np.pi * 50 * k * TIME_S + k) / k for k in (1, 2, 3, 6))
CABINET = np.random.default_rng(3).normal(size=600) * np.exp(-np.arange(600) / 60) / 6


@cache
def strings() -> np.ndarray:
    return guitar(len(TIME_S), sample_rate=RATE, seed=4).astype(float)


def played(*, rest: bool = True) -> np.ndarray:
    """A guitar that rests from 5 to 7 s."""
    samples = strings().copy()
    if rest:
        samples[5 * RATE : 7 * RATE] = 0
    return samples


def twice(samples: np.ndarray) -> np.ndarray:
    """With three seconds of the beginning again towards the end."""
    again = samples.copy()
    start = 14 * RATE + 123
    again[start : start + 3 * RATE] = samples[RATE : 4 * RATE]
    return again


def through(samples: np.ndarray, gain: float) -> np.ndarray:
    return np.convolve(np.tanh(gain * samples), CABINET)[: len(samples)]


def power(samples: np.ndarray) -> float:
    return float(np.mean(np.square(samples)))


@pytest.mark.parametrize("gain", [3, 30, 300])
def test_hiss_and_hum_that_the_amp_amplifies_are_no_noise(gain: float):
    for direct in (played() + HISS, played() + 0.03 * HUM):
        target = through(direct, gain)
        rest = power(target[round(5.3 * RATE) : 7 * RATE])
        found = noise_floor([(direct, target)], RATE)
        assert found.source == "rests"
        assert found.low == 0
        assert found.high < 0.02 * rest


@pytest.mark.parametrize("noise", [NOISE, HUM, NOISE + HUM])
@pytest.mark.parametrize("gain", [3, 30])
def test_noise_of_the_amp_lies_between_the_bounds(noise: np.ndarray, gain: float):
    for direct in (played(), played() + HISS):
        found = noise_floor([(direct, through(direct, gain) + noise)], RATE)
        assert 0.5 * power(noise) < found.low < 1.02 * power(noise)
        assert 0.98 * power(noise) < found.high < 1.5 * power(noise)
    assert found.esr(4.0) == (found.low / 4, found.high / 4)


def test_noise_below_what_the_amp_makes_of_the_hiss_is_bounded_and_not_claimed():
    direct = played() + HISS
    quiet = 0.01 * NOISE
    found = noise_floor([(direct, through(direct, 100) + quiet)], RATE)
    assert found.low <= power(quiet) <= found.high


def test_what_rings_is_no_noise():
    """A room that rings on for longer than a rest lasts to settle, and the short tail of a note."""
    for decay_s in (0.02, 0.3):
        room = np.random.default_rng(5).normal(size=2 * RATE) * np.exp(-np.arange(2 * RATE) / (decay_s * RATE))
        direct = played()
        assert noise_floor([(direct, dsp.oaconvolve(direct, room)[: len(direct)])], RATE).low == 0


def test_a_rest_that_was_cut_out_of_both_signals_tells_nothing():
    direct = played()
    target = through(direct, 3) + NOISE
    target[5 * RATE : 7 * RATE] = 0.001
    assert noise_floor([(direct, target)], RATE).source == ""


@pytest.mark.parametrize("rest_s", [0, 0.2, 0.6])
def test_without_a_rest_that_is_long_enough_nothing_is_known(rest_s: float):
    direct = played(rest=False)
    direct[5 * RATE : round((5 + rest_s) * RATE)] = 0
    found = noise_floor([(direct, through(direct, 3) + NOISE)], RATE)
    assert (found.source, found.low, found.high) == ("", 0, np.inf)


@pytest.mark.parametrize("gain", [3, 300])
@pytest.mark.parametrize("level", [0, 1, 0.01])
def test_an_input_that_repeats_tells_the_noise_whatever_the_amp(gain: float, level: float):
    direct = twice(played(rest=False) + HISS)
    found = noise_floor([(direct, through(direct, gain) + level * NOISE)], RATE)
    assert (found.source, found.differs_db) == ("repeats", -np.inf)
    assert 0.95 * power(level * NOISE) <= found.low <= 1.02 * power(level * NOISE)
    assert 0.98 * power(level * NOISE) <= found.high + 1e-20 <= 1.05 * power(level * NOISE) + 2e-20


def test_two_takes_of_one_input_tell_it_too():
    direct = played(rest=False)
    takes = [(direct[: 4 * RATE], (through(direct, 9) + sign * NOISE)[: 4 * RATE]) for sign in (1, 0)]
    assert noise_floor(takes, RATE).high == pytest.approx(power(NOISE) / 2, rel=0.05)


def test_an_input_that_nearly_repeats_bounds_the_noise_from_above():
    direct = twice(played(rest=False)) + HISS
    found = noise_floor([(direct, through(direct, 3) + NOISE)], RATE)
    assert (found.source, found.low) == ("repeats", 0)
    assert 0.98 * power(NOISE) < found.high < 1.2 * power(NOISE)
    assert found.differs_db == pytest.approx(-80 + 3 - 10 * np.log10(power(direct[RATE : 4 * RATE])), abs=1)


def test_hum_that_has_the_same_phase_in_both_passages_is_heard_in_the_rest():
    direct = played()
    direct[14 * RATE : 17 * RATE] = direct[RATE : 4 * RATE]  # 13 s are 650 periods of the mains
    found = noise_floor([(direct, through(direct, 3) + HUM)], RATE)
    assert found.source == "rests"
    assert found.low > 0.9 * power(HUM)


def test_a_recording_that_is_empty_short_or_silent_tells_nothing():
    for samples in (np.zeros(0), np.zeros(RATE), NOISE[:100], NOISE[: RATE // 4]):
        assert noise_floor([(samples, samples)], RATE).source == ""


@pytest.mark.slow
def test_captures_without_noise_are_not_said_to_have_any(real_recordings: Path):
    """And one with white noise of -72 dBFS, which was added by hand, has that."""
    files = sorted((real_recordings / "rigs").glob("*.flac"))
    if not files:
        pytest.skip(f"{real_recordings} holds no rigs")
    for file in files:
        (take,) = Stereo(path=str(file)).load()
        take = aligned(take, estimate_delay([take]).samples)
        found = noise_floor([(take.input, take.target)], take.sample_rate)
        true = 10 ** (-72 / 10) if file.name.startswith("bad_cat") else 0.0
        assert found.low <= 1.02 * true, file
        assert found.high >= 0.98 * true, file
