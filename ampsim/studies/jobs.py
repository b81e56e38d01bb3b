"""One job of a sweep, from its config to what became of it, in a process of its own (see `runs.isolated`)."""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

from ampsim import AmpsimError, DivergedError, PrunedError, printable
from ampsim.config.targets import BASES, build
from ampsim.runs.isolated import Outcome, isolated
from ampsim.runs.machine import on_termination
from ampsim.training.observer import Observer
from ampsim.training.state import Progress

REPORT_EVERY_S = 0.25


@dataclass(frozen=True)
class Job:
    """One run to make: its resolved config, the overrides that led there, and what is its own in the sweep."""

    name: str
    overrides: list[str]
    config: dict[str, Any]
    key: str  # the hash of what it is; a job of the same key need not be trained twice
    trial: int | None = None  # in the study of a search


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


# ---- In the process of the job --------------------------------------------------------------------------------------


class JobObserver(Observer):
    """Prints notices, sends progress to the process that watches, and lets `judge` prune the run."""

    def __init__(self, sender: Connection, judge: Callable[[dict[str, float]], None] | None) -> None:
        self.sender, self.judge, self.reported = sender, judge, 0.0

    def notice(self, text: str) -> None:
        print(printable(text), flush=True)

    def doing(self, what: str) -> None:
        self.sender.send({"doing": what})

    def progress(self, progress: Progress) -> None:
        if time.monotonic() - self.reported > REPORT_EVERY_S:
            self.reported = time.monotonic()
            self.sender.send({"doing": "", **asdict(progress)})

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
    """Build what the configs name, each part once, which finds what only TensorFlow can tell: a wrong type, an argument too
    many."""
    from ampsim.recordings.sources import DEFAULT_RATE

    if export and export != "auto":
        from ampsim.export import formats_named

        formats_named(export)
    for part in BASES:
        known = {"sample_rate": DEFAULT_RATE} if part == "model" else {}
        for section in {json.dumps(config[part], sort_keys=True): config[part] for config in configs}.values():
            build(section, part, **known)
    return Outcome("finished")
