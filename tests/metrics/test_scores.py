"""The table of scores: old names are read as new ones, and a stranger's metric is a row like any other."""

import numpy as np
import pytest

from ampsim.metrics import Score, register, registered_scores
from ampsim.metrics.scores import SCORES, current, of_test, renamed

TARGET = np.linspace(-1, 1, 100, dtype=np.float32)
BUZZ = Score("buzz", "buzz", "{:.1f}", "largest error", compared=True)


def largest(pairs, sample_rate: int) -> float:
    assert sample_rate == 44100
    return max(float(np.abs(target - prediction).max()) for target, prediction in pairs)


def test_a_registered_metric_is_computed_over_all_signals():
    register(BUZZ, largest)
    register(BUZZ, largest)  # a cell of a notebook that runs again
    assert registered_scores([(TARGET, TARGET), (TARGET, 0 * TARGET)], 44100) == {"buzz": 1.0}


def test_a_metric_that_fails_loses_its_own_score_only():
    register(BUZZ, largest)
    register(Score("broken", "broken", "{:.1f}", ""), lambda pairs, sample_rate: 1 / 0)
    with pytest.warns(RuntimeWarning, match=r"the metric `broken` of .* failed.*ZeroDivisionError"):
        found = registered_scores([(TARGET, TARGET)], 44100)
    assert found["buzz"] == 0
    assert np.isnan(found["broken"])


@pytest.mark.parametrize(
    ("name", "form", "reason"),
    [
        ("esr", "{:.1f}", "ampsim has a score of this name"),
        ("flutter_db", "{:.1f}", "ampsim has a score of this name"),
        ("Buzz!", "{:.1f}", "lower-case"),
        ("buzz", "{:d}", "does not write a number"),
    ],
)
def test_a_row_that_would_not_work_is_refused(name: str, form: str, reason: str):
    with pytest.raises(ValueError, match=reason):
        register(Score(name, "buzz", form, ""), largest)
    assert "buzz" not in SCORES


def test_scores_of_old_runs_are_read_by_their_new_names():
    assert (current("flutter_db"), current("test_flutter_db")) == ("fluctuation_db", "test_fluctuation_db")
    assert renamed({"esr": 0.1, "flutter_db": 2.0}) == {"esr": 0.1, "fluctuation_db": 2.0}
    assert renamed({"fluctuation_db": 1.0, "flutter_db": 2.0}) == {"fluctuation_db": 1.0}
    assert of_test({"test_flutter_db": 2.0, "step": 7.0}) == {"fluctuation_db": 2.0}


@pytest.mark.parametrize(
    ("name", "low", "high", "apart", "vague"),
    [
        ("esr", 0.000019, 2499.9, False, True),
        ("esr", 0.001, 0.9, False, False),
        ("esr", -0.1, 0.3, False, False),  # of values among which is a 0, and so no logarithms
        ("predicted_mushra", -20, 130, False, True),
        ("predicted_mushra", -20, 80, False, False),
        ("predicted_mushra", -101, 101, True, True),
        ("predicted_mushra", -90, 110, True, False),
        ("loudness_difference_lu", -40, 40, True, True),
        ("fluctuation_db", 0.1, 4, False, False),
        ("zimtohrli_mos", 0.5, 7, False, True),
    ],
)
def test_an_interval_of_all_that_can_be_says_nothing(name: str, low: float, high: float, apart: bool, vague: bool):
    assert SCORES[name].vague(low, high, apart=apart) == vague
