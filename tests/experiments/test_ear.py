"""The study of losses: nets side by side play as each by itself, and its statistics agree with SciPy's."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy import stats

from ampsim.models import Lstm

FOLDER = Path(__file__).parents[2] / "experiments" / "ear"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ear_{name}", FOLDER / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_lstms_side_by_side_play_and_learn_as_each_by_itself():
    random = np.random.default_rng(3)
    models = [Lstm(units=3, burn_in=20, input_gain=2.0, output_gain=0.5) for _ in range(2)]
    for seed, model in enumerate(models):
        model.build()
        model.set_weights([np.random.default_rng(seed).normal(size=part.shape) for part in model.get_weights()])
    heard = tf.constant(random.normal(size=(2, 4, 60)).astype(np.float32))
    variables = [variable for model in models for variable in model.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        together = loaded("study").played(models, heard)
        apart = tf.stack([model(part) for model, part in zip(models, heard, strict=True)])
        sums = [tf.reduce_sum(tf.square(each)) for each in (together, apart)]
    np.testing.assert_allclose(together, apart, atol=1e-5)
    for one, other in zip(*(tape.gradient(each, variables) for each in sums), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_the_largest_t_of_one_loss_is_a_sign_flip_test():
    found = np.random.default_rng(5).normal(0.4, 1, (30, 1))
    mean, half, p = loaded("analysis").max_t(found)
    oracle = stats.permutation_test(
        (found[:, 0],),
        lambda x, axis: np.mean(x, axis=axis) / stats.sem(x, axis=axis),
        permutation_type="samples",
        n_resamples=5000,
        rng=np.random.default_rng(0),
    )
    assert p[0] == pytest.approx(oracle.pvalue, abs=0.02)
    assert mean[0] == pytest.approx(found.mean())
    assert half[0] == pytest.approx(stats.t.ppf(0.975, 29) * stats.sem(found[:, 0]), rel=0.1)


def test_differences_are_of_pairs_that_all_losses_have():
    rows = pd.DataFrame(
        [
            {"recording": "a", "family": "f", "seed": seed, "loss": loss, "validation_esr": 0.01 * (seed + 1) * factor}
            for loss, factor, seeds in (("esr_treble", 1, 3), ("better", 0.5, 3), ("short", 2, 2))
            for seed in range(seeds)
        ]
    )
    found = loaded("analysis").differences(rows, "esr", "validation")
    assert len(found) == 2
    assert found["better"].to_numpy() == pytest.approx(np.log(0.5))
    assert found["short"].to_numpy() == pytest.approx(np.log(2))
