"""Fluctuation on volumes that are known to fluctuate: the founding text's artefact, which its MSE did not show."""

import numpy as np
import pytest
from scipy import signal as dsp

from ampsim.metrics import esr, fluctuation

RATE = 44100
TIME = np.arange(8 * RATE) / RATE
random = np.random.default_rng(0)


def playing() -> np.ndarray:
    """Notes of changing pitch that decay, through tanh."""
    notes = [82.4, 110.0, 146.8, 196.0, 246.9, 329.6, 110.0, 82.4]
    strings = [
        sum(np.sin(2 * np.pi * k * note * TIME[:RATE]) / k for k in range(1, 12)) * np.exp(-2 * TIME[:RATE])
        for note in notes
    ]
    return np.tanh(2 * np.concatenate(strings))


AMP = playing()


@pytest.mark.parametrize("depth", [0.05, 0.1, 0.2])
def test_a_volume_that_fluctuates_at_8_hz_is_heard_where_esr_hardly_shows_it(depth):
    fluctuating = AMP * (1 + depth * np.sin(2 * np.pi * 8 * TIME))
    assert esr(AMP, fluctuating) == pytest.approx(depth**2 / 2, rel=0.1)
    assert fluctuation([(AMP, fluctuating)], RATE) == pytest.approx(20 / np.log(10) * depth / np.sqrt(2), rel=0.12)


def test_it_is_nothing_for_equal_signals_for_a_gain_and_for_polarity():
    for prediction in (AMP, 0.5 * AMP, -2 * AMP):
        assert fluctuation([(AMP, prediction)], RATE) == pytest.approx(0, abs=1e-6)


def test_errors_of_the_same_size_that_do_not_fluctuate_have_little_of_it():
    depth = 0.2
    fluctuating = AMP * (1 + depth * np.sin(2 * np.pi * 8 * TIME))
    noise = random.normal(size=len(AMP)) * np.sqrt(esr(AMP, fluctuating) * np.mean(AMP**2))
    delayed = np.roll(AMP, 1)
    low_passed = dsp.sosfilt(dsp.butter(1, 5000, fs=RATE, output="sos"), AMP)
    heard = fluctuation([(AMP, fluctuating)], RATE)
    for steady in (AMP + noise, delayed, low_passed):
        assert esr(AMP, steady) > 0.004
        assert fluctuation([(AMP, steady)], RATE) < heard / 10


@pytest.mark.parametrize(
    ("hertz", "low", "high"), [(0.3, 0, 0.3), (2, 0.45, 0.6), (5, 0.9, 1), (12, 0.8, 1), (45, 0, 0.1)]
)
def test_it_hears_from_2_to_20_hz(hertz, low, high):
    depth = 0.1
    found = fluctuation([(AMP, AMP * (1 + depth * np.sin(2 * np.pi * hertz * TIME)))], RATE)
    assert low <= found / (20 / np.log(10) * depth / np.sqrt(2)) <= high


def test_it_hears_as_much_of_each_rate_as_it_says():
    """In shares of a fluctuation of 4 Hz."""
    said = {1: 0.05, 2: 0.51, 4: 1.0, 12: 0.86, 20: 0.34, 25: 0.10, 30: 0.03}
    carrier = np.sin(2 * np.pi * 1000 * TIME)
    found = {
        hertz: fluctuation([(carrier, carrier * (1 + 0.1 * np.sin(2 * np.pi * hertz * TIME)))], RATE) for hertz in said
    }
    for hertz, share in said.items():
        assert found[hertz] / found[4] == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(
    ("hertz", "low", "high"), [(31, 0.1, 0.25), (41.2, 0.02, 0.08), (55, 0, 0.08), (82.4, 0, 0.08)]
)
def test_a_steady_tone_bent_asymmetrically_has_as_little_of_it_as_is_said(hertz, low, high):
    tone = np.sin(2 * np.pi * hertz * TIME)
    for bent in (np.maximum(tone, 0), np.tanh(2 * tone + 0.8) - np.tanh(0.8)):
        assert low <= fluctuation([(tone, bent)], RATE) <= high


def test_pauses_do_not_count():
    pause = np.zeros(4 * RATE)
    noisy = pause + 1e-4 * random.normal(size=len(pause)) * (1 + np.sin(2 * np.pi * 8 * TIME[: len(pause)]))
    fluctuating = AMP * (1 + 0.1 * np.sin(2 * np.pi * 8 * TIME))
    whole = fluctuation([(np.concatenate([AMP, pause]), np.concatenate([fluctuating, noisy]))], RATE)
    assert whole == pytest.approx(fluctuation([(AMP, fluctuating)], RATE), rel=0.1)


def test_signals_are_taken_as_one():
    fluctuating = AMP * (1 + 0.1 * np.sin(2 * np.pi * 8 * TIME))
    one, two = fluctuation([(AMP, fluctuating)], RATE), fluctuation([(AMP, fluctuating), (AMP, AMP)], RATE)
    assert two == pytest.approx(one / np.sqrt(2), rel=0.02)
