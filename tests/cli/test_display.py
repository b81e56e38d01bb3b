"""The table of a run's scores: what it opens with, and what of it is shown."""

import io
import math
from types import SimpleNamespace

import pytest
from rich.console import Console

from ampsim.cli import display
from ampsim.metrics.scores import verdict

SCORED = {"esr": 0.003, "a_weighted_esr": 0.01, "predicted_mushra": 79.4, "hiss_db": -1.0, "real_time_factor": 30.0}
SCORED |= {"fluctuation_db": 0.1, "linear_floor_esr": 0.3, "parameters": 5000.0}


def printed(table: object, *, width: int = 80) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_scores_open_with_a_verdict_and_show_the_foremost_in_80_columns():
    lines = printed(display.score_table(SCORED, "my amp on the test split"))
    assert lines[0] == "my amp on the test split: good, a rating of 79 of 100 is predicted"
    assert [line.split("  ")[0] for line in lines[1:] if not line.startswith(" ")] == [
        *("ESR", "A-weighted ESR", "predicted MUSHRA", "hiss", "real time")
    ]
    assert max(map(len, lines)) <= 80
    everything = printed(display.score_table(SCORED, "x", verbose=True), width=200)
    assert {"fluctuation", "linear floor", "parameters"} <= {line.split("  ")[0] for line in everything}


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        ({"predicted_mushra": 79.6}, "excellent, a rating of 80 of 100 is predicted"),
        ({"predicted_mushra": 0.0, "esr": 0.4}, "bad, a rating of 0 of 100 is predicted"),
        ({"esr": 0.4, "linear_floor_esr": 0.3}, "no better than a filter"),
        ({"esr": 0.2, "linear_floor_esr": 0.3, "predicted_mushra": math.nan}, ""),
        ({}, ""),
    ],
)
def test_a_verdict_says_how_it_is_rated_and_whether_a_filter_would_do(scores: dict[str, float], told: str):
    assert verdict(scores) == told


def test_nets_that_were_trained_together_stand_side_by_side():
    others = {f"lite_{name}": 2 * value for name, value in SCORED.items()}
    header, row = printed(display.score_table(SCORED | others, "x"), width=120)[1:3]
    assert header.split() == ["lite", "model"]
    assert row.split()[:3] == ["ESR", "0.0060", "0.0030"]


def test_intervals_of_all_that_can_be_are_not_known():
    assert (display.shares(0.0, 1.0), display.shares(0.025, 1.0)) == ("not known", "2% to 100%")
    assert (display.ratings(-3.0, 120.0), display.ratings(-3.0, 55.2)) == ("not known", "0 to 55")
    assert (display.ratings(-140, 140, "+"), display.ratings(-5.1, 140, "+")) == ("not known", "-5 to +100")


def test_a_sweep_says_what_its_job_is_doing():
    standing = SimpleNamespace(done=1, total=3, failed=0, remaining_s=90.0)
    standing.current = ("lr=0.1", SimpleNamespace(doing="", done=0.5, loss=0.0123, remaining_s=30.0))
    assert display.standing_line(standing) == "1 of 3 jobs, 1:30 left | lr=0.1 50%  loss 0.0123  0:30"
    standing.current = ("lr=0.1", SimpleNamespace(doing="rendering and scoring the test split"))
    assert display.standing_line(standing) == "1 of 3 jobs, 1:30 left | lr=0.1 rendering and scoring the test split ..."
