"""Whitening against the process that was made."""

import numpy as np
import pytest
from scipy import signal as dsp

from ampsim.signals.linear import whitening

random = np.random.default_rng(0)


def test_a_process_of_known_poles_is_whitened_by_its_own_polynomial():
    poles = np.real(np.poly([0.95 * np.exp(0.3j), 0.95 * np.exp(-0.3j), 0.6]))
    signals = [dsp.lfilter([1], poles, random.normal(size=50_000)) for _ in range(2)]
    found = whitening(signals, order=3, floor=1e-9)
    np.testing.assert_allclose(found, poles, atol=0.02)
    _, power = dsp.welch(np.convolve(signals[0], whitening(signals, order=32, floor=1e-9), "valid"), nperseg=256)
    assert 10 * np.log10(power[2:-2].max() / power[2:-2].min()) < 3


@pytest.mark.parametrize("floor", [1e-3, 1e-5])
def test_what_lies_below_the_floor_is_not_raised_to_the_rest(floor: float):
    """A low-pass that leaves nothing above a quarter of the rate: gains differ by no more than the floor allows."""
    dull = dsp.sosfilt(dsp.cheby2(8, 120, 0.5, output="sos"), random.normal(size=100_000))
    _, response = dsp.freqz(whitening([dull], floor=floor))
    assert 20 * np.log10(np.abs(response).max() / np.abs(response).min()) == pytest.approx(
        -10 * np.log10(floor), abs=10
    )


def test_silence_is_left_alone():
    np.testing.assert_array_equal(whitening([np.zeros(100)], order=4), [1, 0, 0, 0, 0])
