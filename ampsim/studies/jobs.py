"""One job of a sweep, in a process of its own: no state or memory passes from one to the next, and it can be ended.

Where the system forks, the processes are forked from a server that has imported TensorFlow and MLflow and used neither,
so that a job starts at once and yet in a clean process. Elsewhere each imports them anew.
"""

import gc
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from types import SimpleNamespace
from typing import Any

from ampsim import AmpsimError, DivergedError, PrunedError, printable
from ampsim.config.targets import build
from ampsim.runs.machine import ENDING, TerminatedError, on_termination, quiet_stderr
from ampsim.training.observer import Observer
from ampsim.training.state import Progress

# What the server imports: the story, and what MLflow itself would import at the first connection to a database.
PRELOADED = ["ampsim.runs.experiment", "mlflow.store.tracking.sqlalchemy_store", "matplotlib.backends.backend_agg"]
REPORT_EVERY_S = 0.25
GRACE_S = 10.0  # for a job to end by itself once it is told to


@dataclass(frozen=True)
class Job:
    """One run to make: its resolved config, the overrides that led there, and what is its own in the sweep."""

    name: str
    overrides: list[str]
    config: dict[str, Any]
    key: str  # the hash of what it is; a job of the same key need not be trained twice
    trial: int | None = None  # in the study of a search


@dataclass(frozen=True)
class Outcome:
    """What became of a job: finished, diverged, pruned, failed, timed out or not begun."""

    status: str
    note: str = ""
    values: dict[str, float] = field(default_factory=dict)  # scores and what a search may choose by


Report = Callable[[Job, Any], None]  # told of a job's `training.Progress` while it is trained


@dataclass(frozen=True)
class Limits:
    """What each job of a sweep may take.

    Args:
        threads: of a job, or None for what TensorFlow takes.
        timeout_s: for a job.
        deadline: in seconds since 1970, after which no job begins.
    """

    threads: int | None = None
    timeout_s: float | None = None
    deadline: float | None = None

    @property
    def spent(self) -> bool:
        return self.deadline is not None and time.time() > self.deadline


@dataclass(frozen=True)
class Task:
    """What travels to a launcher's processes: each sees one of `jobs` through, in a process below its own.

    Args:
        tags: of every run, which make them children of the sweep.
        export: formats that the model is exported to, with commas between them; "auto" is what plugins play it from.
        pictures: whether each job draws its figures and page.
        judge: makes, in the job's process, the function that may prune it; see `experiment.run`.
    """

    jobs: tuple[Job, ...]
    tags: Mapping[str, str]
    limits: Limits = Limits()
    judge: Callable[[int], Callable[[dict[str, float]], None]] | None = None
    export: str = ""
    pictures: bool = True

    def run(self, number: int, report: Report | None = None) -> Outcome:
        """Train one of the jobs, and see that the store tells of it however it ended."""
        job, limits = self.jobs[number], self.limits
        if limits.spent:
            return Outcome("not begun", "the time of the sweep was spent")
        # By the tag of an attempt, the run of a process that died is found again.
        tags = {"job_hash": job.key, "job_overrides": json.dumps(job.overrides), "attempt": uuid.uuid4().hex}
        task = replace(self, jobs=(), tags={**self.tags, **tags})

        def pass_on(progress: dict[str, Any]) -> None:
            if report:
                report(job, SimpleNamespace(**progress))

        with on_termination():
            outcome = isolated(train_job, job, task, threads=limits.threads, timeout_s=limits.timeout_s, report=pass_on)
        if outcome.status in ("failed", "timed out"):
            isolated(record_failure, job, task, outcome, threads=1, timeout_s=60.0)
        return outcome


# ---- In the process that watches ------------------------------------------------------------------------------------


def isolated(
    function: Callable[..., Outcome],
    *arguments: Any,
    threads: int | None = None,
    timeout_s: float | None = None,
    report: Callable[[Any], None] = lambda progress: None,
) -> Outcome:
    """Call a function in a clean process; what it returns, or how it failed."""
    start_warm(threads)
    context: Any = multiprocessing.get_context("forkserver" if forks() else "spawn")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile(prefix="ampsim-job-") as log:
        process = context.Process(target=enter, args=(sender, log.name, threads, function, arguments))
        process.start()
        sender.close()
        ends = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            outcome = followed(receiver, process, ends, report)
        except KeyboardInterrupt as error:
            if isinstance(error, TerminatedError):  # which came to this process alone, unlike Ctrl-C
                process.terminate()
            process.join(GRACE_S)  # it marks its run
            raise
        finally:
            stop(process)
        if outcome is not None:
            return outcome
        if ends is not None and time.monotonic() >= ends:
            return Outcome("timed out", f"ended after the {timeout_s:g} s that sweep.job_timeout_s gives a job")
        return Outcome("failed", last_words(process.exitcode, log.read().decode(errors="replace")))


def followed(receiver: Connection, process: Any, ends: float | None, report: Callable[[Any], None]) -> Outcome | None:
    """Pass on what a process tells until it has told its outcome; None if it died or its time is over."""
    while True:
        left = None if ends is None else max(0.0, ends - time.monotonic())
        if not wait([receiver, process.sentinel], left):
            return None
        try:
            while receiver.poll():
                message = receiver.recv()
                if isinstance(message, Outcome):
                    process.join(GRACE_S)
                    return message
                report(message)
        except EOFError:
            return None
        if not process.is_alive() and not receiver.poll():
            return None


def stop(process: Any) -> None:
    if process.is_alive():
        process.terminate()
        process.join(GRACE_S)
    if process.is_alive():
        process.kill()
        process.join()


def last_words(code: int | None, log: str) -> str:
    """Why a process died, for whoever reads the sweep's table."""
    said = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")
    if code is not None and code < 0:
        why = ": was the machine out of memory?" if code == -9 else ""
        return f"its process was ended by signal {-code}{why} {said}".strip()[:500]
    return f"its process ended with exit code {code}: {said or 'it left no word'}"[:500]


def forks() -> bool:
    return sys.platform == "linux"  # elsewhere the system's own libraries do not survive a fork


def start_warm(threads: int | None = None) -> None:
    """Have the server that jobs are forked from import what they need; returns at once."""
    if not forks():
        return
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    # Its processes ask it how they ended, so that it must outlive them: what ends them all does not reach it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        with quiet_stderr(), environment(thread_limits(threads)):
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def thread_limits(threads: int | None) -> dict[str, str]:
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    # Jobs that share a GPU must not take all of its memory each.
    return {} if threads is None else {"TF_FORCE_GPU_ALLOW_GROWTH": "true", **dict.fromkeys(names, str(threads))}


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# ---- In the process of the job --------------------------------------------------------------------------------------


def enter(sender: Connection, log: str, threads: int | None, function: Callable[..., Outcome], arguments: Any) -> None:
    """Where the process begins: what it prints goes to a log, and it ends when its parent does."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(thread_limits(threads))
    threading.Thread(target=die_with_parent, daemon=True).start()
    gc.freeze()  # what the server imported is no garbage, and need not be looked through again
    try:
        with on_termination():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            sender.send(function(sender, *arguments))
    except KeyboardInterrupt:
        sys.exit(130)
    except AmpsimError as error:
        sender.send(Outcome("failed", str(error)))
    except BaseException as error:
        traceback.print_exc()
        sender.send(Outcome("failed", f"{type(error).__name__}: {error}"[:500]))


def die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)  # a checkpoint is written, the run is marked
    time.sleep(GRACE_S)
    os._exit(1)


class JobObserver(Observer):
    """Prints notices, sends progress to the process that watches, and lets `judge` prune the run."""

    def __init__(self, sender: Connection, judge: Callable[[dict[str, float]], None] | None) -> None:
        self.sender, self.judge, self.reported = sender, judge, 0.0

    def notice(self, text: str) -> None:
        print(printable(text), flush=True)

    def progress(self, progress: Progress) -> None:
        if time.monotonic() - self.reported > REPORT_EVERY_S:
            self.reported = time.monotonic()
            self.sender.send(asdict(progress))

    def interval(self, row: dict[str, float]) -> None:
        if self.judge and "loss" in row:  # pruning saves no time once a model solves for weights after its training
            self.judge(row)


def train_job(sender: Connection, job: Job, task: Task) -> Outcome:
    """Train a job; its run is marked in the store as what it came to."""
    from ampsim.config.run_config import RunConfig
    from ampsim.runs import experiment

    judge = task.judge(job.trial) if task.judge and job.trial is not None else None
    try:
        result = experiment.run(
            RunConfig(job.config, tuple(job.overrides)),
            name=job.name,
            observer=JobObserver(sender, judge),
            tags=task.tags,
            pictures=task.pictures,
        )
    except PrunedError as error:
        return Outcome("pruned", str(error))
    except DivergedError as error:
        return Outcome("diverged", str(error))
    except AmpsimError as error:
        return Outcome("failed", str(error))
    if task.export and not result.stopped:
        from ampsim.runs.exporting import keep

        keep(result.tracked, task.export)
    return Outcome("finished", values=result.scores | result.validated)


def draw(sender: Connection, tracking: dict[str, Any], run_ids: list[str]) -> Outcome:
    """Draw the figures and the page of runs that have none yet; one that cannot be drawn stops no other."""
    from ampsim.runs.pictures import complete
    from ampsim.runs.tracking import Store

    store, faults = Store(**tracking), list[str]()
    for run in [store.tracked(store.run(each)) for each in run_ids]:
        try:
            run.file("listen.html")
        except AmpsimError:
            try:
                complete(store, run)
            except AmpsimError as error:
                faults.append(f"{run.name}: {error}")
    return Outcome("failed", "; ".join(faults)) if faults else Outcome("finished")


def record_failure(sender: Connection, job: Job, task: Task, outcome: Outcome) -> Outcome:
    """See that the store tells of a job that failed, or whose process died before it could."""
    from ampsim.runs.tracking import Store

    ended = "timed_out" if outcome.status == "timed out" else ""
    store = Store(**job.config["tracking"])
    store.mark_failed(task.tags["attempt"], job.name, task.tags, note=outcome.note, mark=ended)
    return outcome


def buildable(sender: Connection, configs: list[dict[str, Any]], export: str) -> Outcome:
    """Build what the configs name, which finds what only TensorFlow can tell: a wrong type, an argument too many."""
    from ampsim.recordings.sources import DEFAULT_RATE

    if export and export != "auto":
        from ampsim.export import formats_named

        formats_named(export)
    for config in configs:
        for section in ("data", "loss", "optimizer", "schedule"):
            build(config[section], section)
        build(config["model"], "model", sample_rate=DEFAULT_RATE)
    return Outcome("finished")
