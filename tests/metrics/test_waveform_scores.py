"""Scores against a few lines of NumPy."""

import numpy as np
import pytest
from synthetic import amp, guitar, noise

from ampsim.metrics import esr, waveform_scores


def test_scores_against_numpy():
    target, prediction = amp(guitar(4000)), amp(guitar(4000), gain=4)
    wide, guess = target.astype(float), prediction.astype(float)
    found = waveform_scores([(target, prediction)])
    assert found["esr"] == pytest.approx(np.sum((wide - guess) ** 2) / np.sum(wide**2), rel=1e-12)
    assert found["mse"] == pytest.approx(np.mean((wide - guess) ** 2), rel=1e-12)
    assert found["mae"] == pytest.approx(np.mean(np.abs(wide - guess)), rel=1e-12)
    assert esr(target, prediction) == found["esr"]


def test_esr_of_known_predictions():
    target = guitar(4000)
    assert esr(target, target) == 0
    assert esr(target, np.zeros_like(target)) == 1  # silence scores 1
    assert esr(target, -target) == pytest.approx(4)
    assert esr(target, 0.9 * target) == pytest.approx(0.01, rel=1e-4)


def test_esr_does_not_depend_on_the_level():
    target, prediction = guitar(4000), amp(guitar(4000))
    # a power of two, so that scaling is exact; at -120 dB an epsilon in the ratio would show
    assert esr(target * 2**-20, prediction * 2**-20) == pytest.approx(esr(target, prediction), rel=1e-12)


def test_sums_of_several_spans_are_divided_once():
    loud, quiet = guitar(4000), 0.01 * guitar(1000, seed=1)
    pairs = [(loud, 0.9 * loud), (quiet, -quiet)]
    found = waveform_scores(pairs)
    joined = waveform_scores([tuple(np.concatenate(side) for side in zip(*pairs, strict=True))])
    for name, value in joined.items():
        assert found[name] == pytest.approx(value, rel=1e-9)
    mean_of_ratios = np.mean([esr(*pair) for pair in pairs])
    assert mean_of_ratios > 2  # what a mean would have said of a quiet, inverted moment
    assert found["esr"] < 0.011


def test_level_differences_in_decibels():
    target = guitar(4000)
    found = waveform_scores([(target, 2 * target)])
    assert found["peak_difference_db"] == pytest.approx(6.0206, abs=1e-4)
    assert found["rms_difference_db"] == pytest.approx(6.0206, abs=1e-4)
    found = waveform_scores([(target, np.zeros_like(target))])
    assert found["peak_difference_db"] == found["rms_difference_db"] == -200


def test_peaks_are_those_of_all_spans():
    loud, quiet = np.array([1.0, -1.0], np.float32), np.array([0.1, -0.1], np.float32)
    found = waveform_scores([(loud, quiet), (quiet, loud)])
    assert found["peak_difference_db"] == pytest.approx(0)
    assert found["rms_difference_db"] == pytest.approx(0)


def test_a_silent_target_has_no_ratio_but_an_error():
    found = waveform_scores([(np.zeros(4, np.float32), np.full(4, 0.5, np.float32))])
    assert np.isnan(found["esr"])
    assert np.isnan(found["peak_difference_db"])
    assert np.isnan(found["rms_difference_db"])
    assert (found["mse"], found["mae"]) == (0.25, 0.5)


def test_a_silent_span_beside_a_loud_one_does_no_harm():
    target, silence = guitar(4000), np.zeros(4000, np.float32)
    assert esr(target, 0.9 * target) == pytest.approx(
        waveform_scores([(target, 0.9 * target), (silence, silence)])["esr"]
    )


def test_squares_of_a_long_signal_are_summed_in_double_precision():
    target = np.full(20_000_000, 0.1, np.float32)
    assert waveform_scores([(target, 0 * target)])["mse"] == pytest.approx(float(np.float32(0.1)) ** 2, rel=1e-9)


def test_no_signal_has_no_score():
    with pytest.raises(ValueError, match="no signal"):
        waveform_scores([])
    with pytest.raises(ValueError, match="no signal"):
        waveform_scores([(noise(0), noise(0))])
