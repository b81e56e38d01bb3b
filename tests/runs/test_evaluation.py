"""Scores of a model on held-out spans against the model run over the whole take by hand."""

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import RATE, pair

from ampsim import AmpsimError
from ampsim.models import Dense, Fir
from ampsim.recordings.pairs import Span
from ampsim.runs.evaluation import doubts, evaluate
from ampsim.training.budget import Budget
from ampsim.training.state import State

TAKES = [pair(2.0, seed=1), pair(1.0, seed=2)]
SPANS = [Span(TAKES[0], 3000, 9000), Span(TAKES[1], 0, 8000)]


@pytest.fixture(scope="module")
def model() -> Dense:
    keras.utils.set_random_seed(0)
    net = Dense(window=40, future=6, layers=1, units=5)
    net.build()
    return net


def test_scores_are_those_of_the_spans_taken_as_one_signal(model: Dense):
    found = evaluate(model, SPANS)
    predictions = []
    for span in SPANS:
        heard = np.pad(span.take.input, (model.history, model.lookahead))
        predictions.append(model(heard[None]).numpy()[0, span.start : span.stop])
    prediction = np.concatenate(predictions).astype(float)
    target = np.concatenate([TAKES[0].target[3000:9000], TAKES[1].target]).astype(float)
    assert_allclose(found.signals["prediction"], prediction, atol=1e-5)
    assert_array_equal(found.signals["amp"], target.astype(np.float32))
    assert_array_equal(found.signals["direct"], np.concatenate([TAKES[0].input[3000:9000], TAKES[1].input]))
    error = target - prediction
    assert found.scores["esr"] == pytest.approx(error @ error / (target @ target), rel=1e-4)
    assert found.scores["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-4)
    assert found.scores["parameters"] == 40 * 5 + 5 + 5 + 1


def test_the_real_time_factor_is_seconds_of_audio_per_second(model: Dense, monkeypatch: pytest.MonkeyPatch):
    ticks = iter([100.0, 100.5])
    monkeypatch.setattr("ampsim.runs.evaluation.time.perf_counter", lambda: next(ticks))
    assert evaluate(model, SPANS).scores["real_time_factor"] == pytest.approx((14_000 / RATE) / 0.5)


def test_a_model_that_plays_no_numbers_is_not_scored():
    net = Fir(taps=4)
    net.build()
    net.set_weights([np.full(4, 3e38, np.float32)])
    net.input_gain = 1e3
    with pytest.raises(AmpsimError, match=r"the model, given .*, plays NaN or infinity from 0:0\d\.\d on"):
        evaluate(net, SPANS)


def doubted(
    *,
    esr: float = 0.1,
    steps: int = 5000,
    losses: tuple[float, ...] = (0.5, 0.3, 0.2),
    rate: float = 0.01,
    stopped: bool = False,
    stale: int = 0,
    **limits: float,
) -> str:
    """What is doubted of a run on a direct signal and an amp that is 0.8 times it, and a part as strong that is not in it."""
    direct, other = np.array([1.0, 0, 1, 0], np.float32), np.array([0, 0.8, 0, 0.8], np.float32)
    state = State(steps, stale=stale, elapsed_s=30.0, intervals=[{"validation_loss": loss} for loss in losses])
    rates: dict[str, Any] = {"learning_rate": rate, "schedule": lambda progress: 1.0}
    budget = Budget(epoch_steps=10, **limits or {"seconds": 30.0}, **rates)
    signals = {"direct": direct, "amp": 0.8 * direct + other}
    trainer = SimpleNamespace(state=state, budget=budget, stopped=stopped)
    return " | ".join(doubts(trainer, SimpleNamespace(scores={"esr": esr}, signals=signals)))


def test_a_run_that_learnt_is_not_doubted():
    assert doubted(esr=0.02) == doubted(esr=0.49) == doubted(esr=float("nan")) == ""  # a silent target has no ESR


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"esr": 0.92, "steps": 2},
            "training.seconds=30 ended it after 2 optimizer steps, too few to learn an amp: raise that, choose",
        ),
        ({"steps": 1}, "after 1 optimizer step, too few"),
        ({"steps": 2, "seconds": 30.0, "epochs": 5.0}, "training.seconds=30 ended it"),
        ({"steps": 50, "seconds": 60.0, "epochs": 5.0}, "training.epochs=5 ended it after 50 optimizer steps"),
        ({"steps": 20, "epochs": 5.0, "patience": 1, "stale": 1}, "training.patience=1 ended it after 20 optimizer"),
        (
            {"steps": 3, "seconds": 60.0, "stopped": True},
            "it was interrupted after 3 optimizer steps, too few to learn",
        ),
        ({"esr": 0.1, "rate": 0}, "the learning rate was 0"),
        ({"esr": 0.1, "losses": (0.2, 0.3, 0.4)}, "no validation was better than the first"),
        ({"esr": 1.0}, "an ESR of 1 is no better than silence"),
        ({"esr": 7.3}, "an ESR of 7.3 is no better than silence"),
        ({"esr": 0.51}, "an ESR of 0.51 is no better than the direct signal at another volume (0.5)"),
    ],
)
def test_a_run_that_may_have_learnt_nothing_is_doubted_with_what_to_do(arguments: dict, sentence: str):
    assert sentence in doubted(**arguments)
