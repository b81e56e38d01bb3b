"""A process of its own: clean, ended in time, and heard when it dies."""

import os
import signal
import time
from multiprocessing import forkserver
from typing import Any

import pytest

from ampsim import AmpsimError
from ampsim.runs import isolated as processes
from ampsim.runs.isolated import Outcome, isolated

STATE: dict[str, int] = {}


@pytest.fixture(autouse=True, scope="module")
def _light() -> Any:
    """No need of TensorFlow here: the server starts at once."""
    before = processes.PRELOADED
    processes.PRELOADED = []
    yield
    processes.PRELOADED = before
    forkserver._forkserver._stop()  # what comes after wants one that is warm


def remembers(sender: Any) -> Outcome:
    STATE["calls"] = STATE.get("calls", 0) + 1
    return Outcome("finished", values={"calls": STATE["calls"], "pid": os.getpid()})


def reports(sender: Any, what: dict) -> Outcome:
    sender.send(what)
    return Outcome("finished")


def sleeps(sender: Any) -> Outcome:
    time.sleep(600)
    return Outcome("finished")


def dies(sender: Any) -> Outcome:
    print("out of luck", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    return Outcome("finished")


def leaves(sender: Any) -> Outcome:
    print("goodbye", flush=True)
    os._exit(7)


def fails(sender: Any, error: Exception) -> Outcome:
    raise error


def threads(sender: Any) -> Outcome:
    return Outcome("finished", values={"threads": int(os.environ["TF_NUM_INTRAOP_THREADS"])})


def test_every_job_has_a_process_without_the_state_of_another():
    first, second = isolated(remembers), isolated(remembers)
    assert first.values["calls"] == second.values["calls"] == 1
    assert len({first.values["pid"], second.values["pid"], os.getpid()}) == 3
    assert STATE == {}


def test_what_a_job_reports_arrives():
    heard: list[dict] = []
    assert isolated(reports, {"done": 0.5}, report=heard.append).status == "finished"
    assert heard == [{"done": 0.5}]


def test_a_job_over_its_time_is_ended():
    outcome = isolated(sleeps, timeout_s=0.5)
    assert outcome.status == "timed out"
    assert "sweep.job_timeout_s" in outcome.note


def test_a_job_that_is_killed_or_leaves_is_heard_with_its_last_words():
    killed, left = isolated(dies), isolated(leaves)
    assert (killed.status, left.status) == ("failed", "failed")
    assert killed.note == "its process was ended by signal 9: was the machine out of memory? out of luck"
    assert left.note == "its process ended with exit code 7: goodbye"


def test_an_error_is_told():
    assert isolated(fails, AmpsimError("mend this")).note == "mend this"
    assert isolated(fails, ZeroDivisionError("by 0")).note == "ZeroDivisionError: by 0"


def test_a_job_has_its_share_of_the_threads_and_this_process_keeps_its_own():
    before = dict(os.environ)
    assert isolated(threads, threads=3).values == {"threads": 3}
    assert dict(os.environ) == before
