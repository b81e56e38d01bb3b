"""Filters against the curve that the standard prints, SciPy's responses and TensorFlow's mel matrix."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import signal as dsp

from ampsim.signals import filters

# IEC 61672-1:2013, table 3, exact frequencies 10**(n/10): the printed A-weights in dB, rounded to a tenth.
PRINTED = {31.5: -39.4, 63: -26.2, 125: -16.1, 250: -8.6, 500: -3.2, 1000: 0.0, 2000: 1.2, 4000: 1.0, 8000: -1.1}
NOMINAL = {
    31.5: 31.623,
    63: 63.096,
    125: 125.893,
    250: 251.189,
    500: 501.187,
    2000: 1995.26,
    4000: 3981.07,
    8000: 7943.28,
}


@pytest.mark.parametrize(("nominal_hz", "weight_db"), PRINTED.items())
def test_the_a_weight_is_the_printed_one(nominal_hz, weight_db):
    assert filters.a_weight_db(NOMINAL.get(nominal_hz, nominal_hz)) == pytest.approx(weight_db, abs=0.06)


def test_the_a_weight_is_the_standards_analog_filter():
    zeros, poles = [0, 0, 0, 0], [20.598997, 20.598997, 107.65265, 737.86223, 12194.217, 12194.217]
    frequency = np.array([1000.0, 50, 440, 3000, 15000])
    _, response = dsp.freqs_zpk(zeros, [-2 * np.pi * pole for pole in poles], 1.0, 2 * np.pi * frequency)
    expected = 20 * np.log10(np.abs(response / response[0]))
    np.testing.assert_allclose(filters.a_weight_db(frequency), expected, atol=1e-9)


@pytest.mark.parametrize("sample_rate", [8000, 22050, 44100, 48000, 96000, 192000])
def test_the_a_weighting_filter_keeps_to_the_curve_at_any_rate(sample_rate):
    octaves = 1000 * 2.0 ** np.arange(-5, 5)
    frequency = np.append(octaves[octaves < 0.45 * sample_rate], 0.45 * sample_rate)
    _, response = dsp.freqz(filters.a_weighting(sample_rate), worN=frequency, fs=sample_rate)
    np.testing.assert_allclose(20 * np.log10(np.abs(response)), filters.a_weight_db(frequency), atol=0.1)


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100, 48000, 96000, 192000])
def test_the_a_weighting_filter_is_as_near_to_the_standard_as_it_says(sample_rate):
    """IEC 61672-1, equation E.6, at 2,000 frequencies."""
    frequency = np.geomspace(20, 0.49 * sample_rate, 2000)
    square = frequency**2
    expected = 12194.217**2 * square**2 / ((square + 20.598997**2) * (square + 12194.217**2))
    expected /= np.sqrt((square + 107.65265**2) * (square + 737.86223**2))
    _, response = dsp.freqz(filters.a_weighting(sample_rate), worN=frequency, fs=sample_rate)
    error = 20 * np.log10(np.abs(response) / expected) - 2.0  # 2.0 dB: the standard's gain at 1 kHz
    assert np.abs(error[frequency >= 80]).max() < 0.025
    assert np.abs(error[frequency >= 31.5]).max() < 0.19
    assert np.interp([40, 25, 20], frequency, error) == pytest.approx([-0.18, 0.81, 2.2], abs=0.03)


def test_the_low_pass_is_the_papers_first_order_filter():
    frequency = np.array([100.0, 1000, 5000, 15000])
    _, weighted = dsp.freqz(filters.a_weighting(44100), worN=frequency, fs=44100)
    _, both = dsp.freqz(filters.a_weighting(44100, low_pass=0.85), worN=frequency, fs=44100)
    _, low_pass = dsp.freqz([1, 0.85], worN=frequency, fs=44100)
    np.testing.assert_allclose(both, weighted * low_pass / 1.85, atol=1e-12)


def test_pre_emphasis_is_a_difference_with_the_sample_before():
    signal = np.random.default_rng(0).normal(size=100)
    expected = dsp.lfilter([1, -0.85], [1], signal)
    np.testing.assert_allclose(filters.filtered(signal, filters.pre_emphasis(0.85)), expected, atol=1e-12)


def test_mel_bands_are_tensorflows():
    found = filters.mel_bands(40, 2048, 44100, low_hz=60, high_hz=16000)
    expected = tf.signal.linear_to_mel_weight_matrix(40, 1025, 44100, 60.0, 16000.0).numpy()
    np.testing.assert_allclose(found[1:], expected[1:], atol=1e-4)
