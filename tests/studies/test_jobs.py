"""A job of a sweep, before it has a process."""

import time
from typing import Any

import pytest

from ampsim.config.targets import BASES
from ampsim.studies import jobs


def test_a_job_whose_sweep_has_spent_its_time_does_not_begin():
    task = jobs.Task((jobs.Job("late", [], {}, "0"),), {}, jobs.Limits(deadline=time.time() - 1))
    assert task.run(0).status == "not begun"


def test_what_many_jobs_have_in_common_is_built_once(monkeypatch: pytest.MonkeyPatch):
    """A sweep of 200 begins when all is built: models take longest, and most sweeps have few."""
    built: list[tuple[str, Any]] = []
    monkeypatch.setattr(jobs, "build", lambda section, part, **more: built.append((part, section["n"])))
    configs = [{part: {"n": 0} for part in BASES} | {"optimizer": {"n": number}} for number in range(200)]
    assert jobs.buildable(None, configs, "").status == "finished"  # type: ignore[arg-type]
    assert sorted(built) == sorted(
        [(part, 0) for part in BASES if part != "optimizer"] + [("optimizer", n) for n in range(200)]
    )
