"""When a fit is over, counted by hand: no net is trained here."""

import math

import pytest

from ampsim import AmpsimError
from ampsim.training.budget import Budget
from ampsim.training.schedules import Constant, Exponential
from ampsim.training.state import State


def budget(**arguments: object) -> Budget:
    return Budget(**{"epoch_steps": 10, "learning_rate": 0.5, "schedule": Constant(), **arguments})


def test_epochs_are_steps_and_at_least_one():
    assert budget(epochs=1.5).total_steps == 15
    assert budget(epochs=0.001).total_steps == 1
    assert budget(seconds=1).total_steps == math.inf


@pytest.mark.parametrize(("step", "elapsed_s", "done"), [(5, 0, 0.25), (5, 3, 0.3), (20, 3, 1), (5, 30, 1)])
def test_what_is_nearer_to_its_end_counts(step: int, elapsed_s: float, done: float):
    both, state = budget(epochs=2, seconds=10), State(step=step, elapsed_s=elapsed_s)
    assert both.done(state) == pytest.approx(done)
    assert both.finished(state) == (done == 1)


def test_the_rate_of_a_step_yet_to_come_is_that_of_its_share():
    falling = budget(epochs=1, schedule=Exponential(final=0.01))
    assert [falling.rate(State(), step=step) for step in (0, 5, 10)] == pytest.approx([0.5, 0.05, 0.005])
    assert budget(epochs=1, learning_rate=None).rate(State(), step=5) == 0


def test_a_pace_replaces_the_clock_and_ends_with_its_last_call():
    replaying, state = budget(seconds=100, pace=[0.5, 2.0]), State()
    replaying.spend(state, 70.0)
    assert (state.elapsed_s, replaying.finished(state)) == (0.5, False)
    replaying.spend(state, 80.0)
    assert (state.elapsed_s, state.pace, replaying.finished(state)) == (2.0, [0.5, 2.0], True)


def test_a_budget_in_epochs_keeps_no_pace_and_replays_none():
    counting, state = budget(epochs=1, pace=[0.5]), State()
    counting.spend(state, 7.0)
    assert (state.elapsed_s, state.pace, counting.finished(state)) == (7.0, [], False)


def test_patience_is_lost_after_so_many_validations():
    patient = budget(epochs=9, patience=2)
    assert [patient.finished(State(stale=stale)) for stale in (0, 1, 2)] == [False, False, True]


def test_no_budget_is_refused():
    with pytest.raises(AmpsimError, match=r"training\.epochs or training\.seconds"):
        budget()
