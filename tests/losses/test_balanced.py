"""A balanced loss against its formula in NumPy, in whatever unit its terms count."""

import numpy as np
import pytest
import tensorflow as tf
from loss_signals import PREDICTION, TARGET

from ampsim.losses import ESR, MAE, MFCC, MSE, Balanced

RMS = float(np.sqrt(np.mean(TARGET**2)))
SLOPES = [-2 * (TARGET - PREDICTION) / TARGET.size, -np.sign(TARGET - PREDICTION) / TARGET.size]  # of MSE and MAE


class InPercent(MAE):
    def __call__(self, target, prediction):
        return 100 * super().__call__(target, prediction)


def prepared(loss, target=TARGET):
    return loss.prepare(sample_rate=44100, segment_length=4096, target=tf.constant(target, tf.float32))


def gradient(loss, target=TARGET, prediction=PREDICTION):
    return loss.gradient(tf.constant(target, tf.float32), tf.constant(prediction, tf.float32))[2].numpy()


def test_each_term_has_its_share_of_the_gradient_over_the_average_of_its_norm():
    loss = prepared(Balanced(terms={"mse": MSE(weight=3), "logged": ESR(weight=0), "mae": MAE(weight=1)}, decay=0.9))
    gradient(loss, TARGET, TARGET + 2 * (PREDICTION - TARGET))  # a step before, at twice the distance
    found = gradient(loss)
    norms = [np.linalg.norm(slope) for slope in SLOPES]
    averages = [(0.9 * 2 * norms[0] + norms[0]) / 1.9, norms[1]]  # an error twice as large has twice the slope of MSE
    parts = [share * slope / norm for share, slope, norm in zip((0.75, 0.25), SLOPES, averages, strict=True)]
    expected = sum(parts) / (RMS * np.sqrt(TARGET.size))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_the_unit_of_a_term_does_not_count():
    one, other = (prepared(Balanced(terms={"esr": ESR(), "mae": kind()})) for kind in (MAE, InPercent))
    np.testing.assert_allclose(gradient(one), gradient(other), rtol=1e-4, atol=1e-9)


def test_nor_does_the_level_of_the_recording():
    """Of a prediction that is a gain times quieter, the slope is as much steeper."""
    quiet = prepared(Balanced(terms={"esr": ESR(), "mfcc": MFCC()}), 0.01 * TARGET)
    loud = prepared(Balanced(terms={"esr": ESR(), "mfcc": MFCC()}))
    expected = gradient(loud)
    found = 0.01 * gradient(quiet, 0.01 * TARGET, 0.01 * PREDICTION)
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_its_value_is_the_geometric_mean_by_shares():
    loss = prepared(Balanced(terms={"mse": MSE(weight=3), "mae": MAE(weight=1)}))
    target, prediction = (tf.constant(x, tf.float32) for x in (TARGET, PREDICTION))
    error = TARGET - PREDICTION
    expected = np.mean(error**2) ** 0.75 * np.mean(np.abs(error)) ** 0.25
    for total in (loss(target, prediction)[0], loss.gradient(target, prediction)[0]):
        assert float(total) == pytest.approx(expected, rel=1e-4)
    assert float(loss(target, target)[0]) < 1e-9


def test_a_single_term_is_left_as_it_is():
    loss = prepared(Balanced(terms={"mse": MSE(weight=0.3), "mae": MAE(weight=0)}))
    np.testing.assert_allclose(gradient(loss), SLOPES[0], rtol=1e-3, atol=1e-9)
    assert loss.variables == []


def test_silence_and_a_perfect_prediction_leave_it_finite():
    loss = prepared(Balanced(terms={"esr": ESR(), "mfcc": MFCC()}))
    for target, prediction in ((0 * TARGET, 0 * TARGET), (TARGET, TARGET), (TARGET, PREDICTION), (TARGET, 0 * TARGET)):
        assert np.all(np.isfinite(gradient(loss, target, prediction)))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="decay=1"):
        Balanced(terms={"esr": ESR()}, decay=1.0)
    with pytest.raises(RuntimeError, match=r"call prepare\(\)"):
        gradient(Balanced(terms={"esr": ESR(), "mae": MAE()}))
