"""What a sweep's table says of jobs that finished and of those that did not."""

import csv
from types import SimpleNamespace

import pytest

from ampsim.comparing import outcomes
from ampsim.comparing.outcomes import NOTE, Row


def row(*overrides: str, **known: object) -> Row:
    return Row("name", list(overrides), **known)  # type: ignore[arg-type]


def test_jobs_differ_in_the_keys_whose_values_are_not_all_the_same():
    rows = [row("model=dense", "model.layers=1", "seed=0"), row("model=dense", "model.layers=2", "seed=0")]
    assert outcomes.differing_keys(rows) == ["model.layers"]
    assert outcomes.label(rows[1], ["model.layers"]) == "layers=2"
    assert outcomes.differing_keys(rows[:1]) == []
    assert outcomes.label(rows[0], []) == "name"


def test_keys_of_one_last_word_are_told_apart():
    keys = ["model.rate", "optimizer.rate"]
    assert outcomes.label(row("model.rate=1", "optimizer.rate=2"), keys) == "model.rate=1 optimizer.rate=2"


@pytest.mark.parametrize(("status", "note"), [("FINISHED", "2 steps"), ("FAILED", "no file"), ("RUNNING", "no file")])
def test_a_job_that_finished_tells_why_it_may_have_learnt_nothing(status: str, note: str):
    tags = {"doubts": "2 steps", NOTE: "no file"}
    info = SimpleNamespace(run_name="a", run_id="0", status=status, start_time=0, end_time=1500)
    made = outcomes.of_run(SimpleNamespace(info=info, data=SimpleNamespace(tags=tags, metrics={})))  # type: ignore[arg-type]
    assert (made.note, made.duration_s) == (note, 1.5)


def test_the_table_keeps_every_digit_and_leaves_what_is_not_known_empty():
    esr = 0.1 + 0.2
    rows = [
        row("x=a,b", status="finished", run_id="7", duration_s=1.26, metrics={"test_esr": esr, "epoch": 3.0}),
        row("x=c", status="failed", note='a "quoted" note,\nof two lines', metrics={}),
    ]
    header, first, second = csv.reader(outcomes.table(rows, ["x"]).splitlines(keepends=True))
    assert header == ["run", "x", "status", "duration_s", "epoch", "test_esr", "run_id", "note"]
    assert first == ["name", "a,b", "finished", "1.3", "3.0", repr(esr), "7", ""]
    assert second == ["name", "c", "failed", "0.0", "", "", "", 'a "quoted" note,\nof two lines']
