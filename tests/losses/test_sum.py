"""Losses against NumPy, and their gradients against the formula's derivative."""

import numpy as np
import pytest
import tensorflow as tf
from synthetic import amp, guitar

from ampsim import AmpsimError
from ampsim.losses import ESR, MAE, MSE, Sum
from ampsim.training.fit import sum_of

TARGET = np.stack([amp(guitar(2000, seed=seed)) for seed in (0, 1)])
PREDICTION = np.stack([amp(guitar(2000, seed=seed), gain=3) for seed in (0, 1)])
ERROR = TARGET.astype(float) - PREDICTION


def test_values_against_numpy():
    assert float(MSE()(TARGET, PREDICTION)) == pytest.approx(np.mean(ERROR**2), rel=1e-5)
    assert float(MAE()(TARGET, PREDICTION)) == pytest.approx(np.mean(np.abs(ERROR)), rel=1e-5)
    assert float(ESR()(TARGET, PREDICTION)) == pytest.approx(
        np.sum(ERROR**2) / np.sum(TARGET.astype(float) ** 2), rel=1e-5
    )


@pytest.mark.parametrize(
    ("loss", "slope"),
    [
        (MSE(), -2 * ERROR / ERROR.size),
        (MAE(), -np.sign(ERROR) / ERROR.size),
        (ESR(), -2 * ERROR / np.sum(TARGET.astype(float) ** 2)),
    ],
    ids=["mse", "mae", "esr"],
)
def test_gradients_against_the_derivative(loss, slope: np.ndarray):
    prediction = tf.constant(PREDICTION)
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        value = loss(tf.constant(TARGET), prediction)
    found = tape.gradient(value, prediction).numpy()
    np.testing.assert_allclose(found, slope, atol=1e-5 * np.abs(slope).max())


def test_esr_of_a_batch_is_its_energy_ratio_and_not_the_mean_of_ratios():
    target = np.stack([np.ones(100), 0.1 * np.ones(100)]).astype(np.float32)
    prediction = np.stack([0.9 * np.ones(100), np.zeros(100)]).astype(np.float32)
    assert float(ESR()(target, prediction)) == pytest.approx((0.01 + 0.01) / (1 + 0.01), rel=1e-5)


def test_esr_on_silence_stays_as_small_as_the_floor_says():
    silence, whisper = np.zeros((1, 1000), np.float32), np.full((1, 1000), 1e-4, np.float32)
    assert float(ESR(floor_db=-60)(silence, whisper)) == pytest.approx(1e-8 / 1e-6, rel=1e-4)
    assert float(ESR(floor_db=-40)(silence, whisper)) == pytest.approx(1e-8 / 1e-4, rel=1e-4)
    assert float(ESR()(silence, silence)) == 0


def test_the_floor_leaves_what_is_louder_alone():
    quiet = np.full((1, 1000), 2e-3, np.float32)  # -54 dB
    assert float(ESR(floor_db=-60)(quiet, 0 * quiet)) == pytest.approx(1, rel=1e-5)


def test_a_sum_adds_its_terms_by_their_weights():
    total, terms = Sum(terms={"mse": MSE(weight=3), "mae": MAE(weight=0.5)})(TARGET, PREDICTION)
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(
        {"mse": np.mean(ERROR**2), "mae": np.mean(np.abs(ERROR))}, rel=1e-5
    )
    assert float(total) == pytest.approx(3 * np.mean(ERROR**2) + 0.5 * np.mean(np.abs(ERROR)), rel=1e-5)


def test_a_term_of_weight_0_is_shown_and_does_not_count():
    total, terms = Sum(terms={"mae": MAE(weight=0), "mse": MSE()})(TARGET, PREDICTION)
    assert list(terms) == ["mae", "mse"]
    assert float(terms["mae"]) == pytest.approx(np.mean(np.abs(ERROR)), rel=1e-5)
    assert float(total) == pytest.approx(np.mean(ERROR**2), rel=1e-5)


def test_a_term_of_weight_0_cannot_spoil_the_sum_with_nan():
    class Broken(MSE):
        def __call__(self, target, prediction):
            return super().__call__(target, prediction) * float("nan")

    total, _ = Sum(terms={"broken": Broken(weight=0), "mse": MSE()})(TARGET, PREDICTION)
    assert float(total) == pytest.approx(np.mean(ERROR**2), rel=1e-5)


@pytest.mark.parametrize("weight", [-1, -1e-9, float("nan"), float("inf")])
def test_a_weight_below_0_or_without_measure_is_refused(weight: float):
    with pytest.raises(ValueError, match="weight is 0"):
        MSE(weight=weight)


def test_a_sum_that_weighs_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one term"):
        Sum(terms={"mse": MSE(weight=0)})
    with pytest.raises(ValueError, match="at least one term"):
        Sum(terms={})


def test_a_config_whose_loss_is_a_single_term_is_told_what_to_write():
    with pytest.raises(AmpsimError, match=r"names a single term, ampsim\.losses\.ESR, .* ampsim\.losses\.Sum"):
        sum_of({"loss": {"_target_": "ampsim.losses.ESR"}})
