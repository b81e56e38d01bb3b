"""The disagreements on runs whose quarrel is plain."""

import numpy as np
import pytest
from scipy import stats

from ampsim.metrics import disagreements

RUNS = {
    "rmsprop": {"mse": 0.0100, "fluctuation_db": 0.5, "a_weighted_esr": 0.20, "parameters": 7.0},
    "sgd": {"mse": 0.0084, "fluctuation_db": 2.0, "a_weighted_esr": 0.19, "parameters": 7.0},
    "adam": {"mse": 0.0050, "fluctuation_db": 0.4, "a_weighted_esr": 0.10, "parameters": 7.0},
}


def test_a_run_that_wins_by_mse_and_fluctuates_is_named():
    verdict = disagreements(RUNS)
    assert verdict.sentences == [
        "sgd has the lower mse than rmsprop (0.0084 against 0.01), yet the higher fluctuation_db (2 against 0.5)"
    ]


def test_the_correlation_is_spearmans():
    verdict = disagreements(RUNS)
    assert verdict.metrics == ["mse", "a_weighted_esr", "fluctuation_db"]
    columns = [[run[name] for run in RUNS.values()] for name in verdict.metrics]
    for row, first in enumerate(columns):
        for column, second in enumerate(columns):
            expected = stats.spearmanr(first, second).statistic
            assert verdict.correlation[row, column] == pytest.approx(expected)


def test_a_metric_that_a_run_lacks_is_left_out_and_a_level_difference_counts_by_its_size():
    runs = {
        "a": {"mse": 1.0, "loudness_difference_lu": -3.0, "fluctuation_db": float("nan")},
        "b": {"mse": 2.0, "loudness_difference_lu": 0.1, "fluctuation_db": 1.0},
    }
    verdict = disagreements(runs)
    assert verdict.metrics == ["mse", "loudness_difference_lu"]
    assert len(verdict.sentences) == 1
    assert np.all(np.isnan(verdict.correlation))
