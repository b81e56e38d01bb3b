"""Linear relations between signals."""

import numpy as np
import pytest

from ampsim.signals.linear import resampled_response

random = np.random.default_rng(0)


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
