"""Losses on the waveform against four lines of NumPy, and against auraloss 0.4.0 (PyPI).

The stored values were made by auraloss on torch 2.13.0 in float64, each example by itself, on the arrays below:
`ESRLoss()`, `DCLoss()` and `ESRLoss()` behind `FIRFilter("hp", coef=0.85)`. auraloss takes the mean of the examples'
ratios, ampsim divides once, so that a near-silent example does not outweigh the playing: they agree on a batch of one.
"""

import numpy as np
import pytest
import tensorflow as tf
from loss_signals import PREDICTION, TARGET, value

from ampsim.losses import DC, ESR, MAE, MSE, PreEmphasized

AURALOSS = {ESR: [0.0551012735, 0.0553456272], DC: [0.0003659360, 0.0001231873]}
AURALOSS_HIGH_PASSED = [0.0546364584, 0.0553888750]


def test_mse_and_mae():
    assert value(MSE(), TARGET, PREDICTION) == pytest.approx(np.mean((TARGET - PREDICTION) ** 2), rel=1e-5)
    assert value(MAE(), TARGET, PREDICTION) == pytest.approx(np.mean(np.abs(TARGET - PREDICTION)), rel=1e-5)


def test_esr_and_dc_divide_once_over_the_batch():
    energy = np.mean(TARGET**2)
    offsets = np.mean(TARGET - PREDICTION, axis=1)
    assert value(ESR(), TARGET, PREDICTION) == pytest.approx(np.mean((TARGET - PREDICTION) ** 2) / energy, rel=1e-5)
    assert value(DC(), TARGET, PREDICTION) == pytest.approx(np.mean(offsets**2) / energy, rel=1e-5)


@pytest.mark.parametrize("kind", [ESR, DC])
@pytest.mark.parametrize("example", [0, 1])
def test_esr_and_dc_are_auralosses_on_one_example(kind, example):
    found = value(kind(), TARGET[example : example + 1], PREDICTION[example : example + 1])
    assert found == pytest.approx(AURALOSS[kind][example], rel=1e-4)


@pytest.mark.parametrize("example", [0, 1])
def test_pre_emphasised_esr_is_auralosses_backwards_in_time(example):
    """auraloss' filter is a cross-correlation, x[n - 1] - 0.85 x[n] with a zero before the signal: ours in reverse."""
    backwards = [np.pad(signal[example : example + 1, ::-1], ((0, 0), (0, 1))) for signal in (TARGET, PREDICTION)]
    loss = PreEmphasized(ESR(), coefficient=0.85)
    loss.prepare(sample_rate=44100, segment_length=4097)
    assert value(loss, *backwards) == pytest.approx(AURALOSS_HIGH_PASSED[example], rel=1e-4)


def test_esr_of_silence_is_bounded_by_the_floor():
    silence, hum = np.zeros((1, 100)), np.full((1, 100), 1e-3)
    assert value(ESR(floor_db=-60), silence, hum) == pytest.approx(1.0, rel=1e-5)
    assert tf.math.is_finite(value(ESR(), silence, silence))


def test_the_floor_is_relative_to_what_is_trained_on_behind_a_filter_too():
    loud, silence, hum = np.full((3, 100), 0.5), np.zeros((1, 100)), np.full((1, 100), 1e-3)
    loss = ESR(floor_db=-20)
    loss.prepare(sample_rate=44100, segment_length=100, target=tf.constant(loud, tf.float32))
    assert value(loss, silence, hum) == pytest.approx(1e-6 / (0.01 * 0.25), rel=1e-5)
    filtered = PreEmphasized(ESR(floor_db=-20), coefficient=0.85)
    filtered.prepare(sample_rate=44100, segment_length=100, target=tf.constant(loud, tf.float32))
    assert value(filtered, silence, hum) == pytest.approx(1e-6 / (0.01 * 0.25), rel=1e-4)  # both lose as much
