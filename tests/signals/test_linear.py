"""Linear relations between signals: whitening, and responses at other rates."""

import numpy as np
import pytest
from scipy import linalg
from scipy import signal as dsp

from ampsim.signals.linear import resampled_response, solved_toeplitz, whitening

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


def spectrum(response: np.ndarray, rate: int, frequencies_hz: np.ndarray) -> np.ndarray:
    """By the definition, so that a delay counts as much as a level."""
    return np.exp(-2j * np.pi * np.outer(frequencies_hz, np.arange(len(response))) / rate) @ response


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("new_rate", [44100, 48000, 88200, 96000])
@pytest.mark.parametrize("kind", ["impulse", "noise"])
def test_a_response_for_another_rate_does_the_same_in_the_band_and_begins_at_once(kind: str, rate: int, new_rate: int):
    response = np.zeros(200)
    response[0] = 1
    if kind == "noise":
        response += random.normal(size=200) * np.exp(-np.arange(200) / 30)
    found = resampled_response(response, rate, new_rate, longest=1000)
    assert len(found) == np.ceil(200 * new_rate / rate)
    frequencies_hz = np.linspace(0, 0.9 * min(rate, new_rate) / 2, 500)
    expected = spectrum(response, rate, frequencies_hz)
    error = np.abs(spectrum(found, new_rate, frequencies_hz) - expected)
    # Towards a lower rate what the filter does beyond its end, which interpolation spreads, has no place.
    assert error.max() < (1e-2 if new_rate < rate else 1e-3) * np.sqrt(np.mean(np.abs(expected) ** 2))


def test_a_response_that_would_be_too_long_is_cut():
    response = random.normal(size=100) * np.exp(-np.arange(100) / 10)
    assert len(resampled_response(response, 44100, 96000, longest=150)) == 150
    np.testing.assert_array_equal(resampled_response(response, 44100, 44100, longest=60), response[:60])


@pytest.mark.parametrize("size", [1, 2, 300])
def test_many_right_sides_are_solved_as_the_whole_matrix_would(size: int):
    random = np.random.default_rng(4)
    noise = dsp.lfilter(
        [1.0], [1.0, -0.98], random.normal(size=4000)
    )  # nearly as ill-conditioned as what a guitar plays
    automatic = np.correlate(noise, noise, "full")[3999 : 3999 + size]
    wanted = random.normal(size=(size, 3))
    expected = np.linalg.solve(linalg.toeplitz(automatic), wanted)
    np.testing.assert_allclose(
        solved_toeplitz(automatic, wanted), expected, rtol=1e-8, atol=1e-10 * np.abs(expected).max()
    )
