"""A sweep, from its jobs to a parent run in MLflow that holds them together: what finished, what failed, a table."""

import csv
import hashlib
import io
import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ampsim import AmpsimError, DivergedError
from ampsim.comparing import comparison
from ampsim.config.targets import NOT_OF_THE_RUN, assignments, without
from ampsim.metrics.scores import renamed
from ampsim.report import plots
from ampsim.runs.tracking import NOTE, PARENT, SWEEP, Store, TrackedRun, ended_as
from ampsim.signals.audio import sha256
from ampsim.studies.jobs import Job, Task, buildable, isolated, start_warm
from ampsim.studies.search import Seeker

Notice = Callable[[str], None]
Launcher = Callable[..., Sequence[Any]]  # of Hydra: called with the overrides of jobs and the number of the first

KEY, STUDY = "job_hash", "optuna_study"  # tags of a job and of the sweep of a search
SETTLED = ("finished", "diverged", "pruned")  # nothing would come of trying these again
POLL_S = 1.0
IDLE = 20  # times as long as a look at the store took, so that looking takes little from training


@dataclass(frozen=True)
class Row:
    """One job of a sweep as the store tells of it."""

    job: Job
    status: str = "not begun"
    note: str = ""
    run_id: str = ""
    duration_s: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What a sweep came to: its parent run and its jobs, in the order of the sweep."""

    name: str
    run_id: str
    rows: list[Row]
    keys: list[str]  # of the overrides in which the jobs differ
    best: list[int] = field(default_factory=list)  # rows that a search found no better than
    searched: bool = False

    @property
    def failure(self) -> AmpsimError | None:
        """The error that a command ends with, if a job failed or, where each was asked for by itself, diverged."""
        fine = {"finished", "pruned", "not begun", "running"} | ({"diverged"} if self.searched else set())
        failed = [row for row in self.rows if row.status not in fine]
        if not failed:
            return None
        kind = DivergedError if all(row.status == "diverged" for row in failed) else AmpsimError
        first = f"{failed[0].job.name} {failed[0].status}" + (f": {failed[0].note}" if failed[0].note else "")
        return kind(f"{len(failed)} of {len(self.rows)} jobs did not finish; the first, {first}")


def key_of(config: dict[str, Any]) -> str:
    """A hash of all in a config that decides what a run comes to."""
    return hashlib.sha256(json.dumps(without(config, NOT_OF_THE_RUN), sort_keys=True).encode()).hexdigest()[:12]


def run(
    jobs: list[Job],
    *,
    name: str,
    command: str,
    tracking: dict[str, Any],
    resume: bool | None,
    task: Task,
    launch: Callable[[Task], Any],
    notice: Notice,
    progress: Callable[["Standing"], None],
    seeker: Seeker | None = None,
) -> Result:
    """Train the jobs, each as a child of one parent run; those that an unfinished sweep of the same jobs has are skipped.

    Args:
        jobs: of a search, one that stands for all.
        resume: None goes on with the newest unfinished sweep of the same jobs, True with a finished one too, False
            with none.
        task: what a launcher gets, without jobs and tags; `launch` hands it to Hydra.
        progress: told now and then how the sweep stands.

    Raises:
        AmpsimError: the store does not answer, a job cannot be built, or the same sweep is running now.
    """
    start_warm(task.threads)  # it imports TensorFlow while this process imports MLflow
    store = Store(**tracking)
    task.conduct = lambda launcher: launcher([job.overrides for job in task.jobs], initial_job_idx=0)
    checked = isolated(buildable, [job.config for job in jobs], threads=task.threads)
    if checked.status != "finished":
        raise AmpsimError(f"{checked.note} (no job was begun)")
    jobs = list({job.key: job for job in jobs}.values())
    mark = seeker.mark(jobs[0].key) if seeker else hashed([job.key for job in jobs])
    parent, earlier = begin(store, mark, name, command, resume, notice, joined=seeker is not None)
    with closing(store, parent, shared=seeker is not None):
        settled: set[str] = set()
        if seeker:
            jobs = []
            parent.log_tags({STUDY: seeker.open(mark, earlier.get(STUDY))})
            task.conduct, task.judge = partial(seeker.seek, task), seeker.judge()
        elif earlier:
            settled = settled_before(store, parent, notice)
            notice(f"going on with {parent.name}: {len(settled)} of {len(jobs)} jobs have finished and are skipped")
        left = [job for job in jobs if job.key not in settled]
        if earlier:  # a job that was interrupted goes on from its checkpoint
            left = [replace(job, config=with_resume(job.config)) for job in left]
        task.jobs, task.tags = left, {PARENT: parent.id}
        total, done = (seeker.search.n_trials, seeker.done) if seeker else (len(jobs), len(settled))
        broken: Exception | None = None
        if left or seeker:
            with watching(Watch(store, parent, total, done, progress), task):
                try:
                    launch(task)
                except Exception as error:  # of the engine: what has finished is not lost by that
                    broken = error
        store.end_running(parent.id, host=platform.node() if seeker else None)
        result = conclude(store, parent, jobs or task.jobs, seeker, notice)
        if isinstance(broken, AmpsimError):
            raise broken
        if broken:
            raise AmpsimError(
                f"the sweep ended early ({type(broken).__name__}: {broken}); the table of what finished is kept with "
                f"{parent.name}, and the same command goes on"
            ) from broken
        unfinished = [row for row in result.rows if row.status not in SETTLED]
        parent.finish("FAILED" if unfinished and not seeker else "FINISHED")
    return result


def hashed(keys: Sequence[str]) -> str:
    return hashlib.sha256(" ".join(sorted(keys)).encode()).hexdigest()[:12]


def with_resume(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "training": {**config["training"], "resume": True}}


# ---- The parent run -------------------------------------------------------------------------------------------------


def begin(
    store: Store, mark: str, name: str, command: str, resume: bool | None, notice: Notice, *, joined: bool
) -> tuple[TrackedRun, dict[str, str]]:
    """The parent run, and the tags of the earlier sweep that it goes on with, if any."""
    earlier = store.sweeps(mark)[:1] if resume is not False else []
    for run in earlier:
        if run.info.status == "RUNNING" and elsewhere(run.data.tags) and not (joined and resume):
            where = f"{run.data.tags.get('host')}, process {run.data.tags.get('pid')}"
            raise AmpsimError(
                f"the same sweep is running as {run.info.run_name} ({where}); sweep.resume=false begins another"
            )
        if run.info.status == "FINISHED" and not resume:
            notice(
                f"{run.info.run_name} was the same sweep and finished (sweep.resume=true goes on with it); a new one"
            )
            earlier = []
    found = store.resume(earlier[0].info.run_id) if earlier else None
    if resume and not found:
        notice("no sweep of these jobs to resume; starting a new one")
    tags = {SWEEP: mark, "command": command, "host": platform.node(), "pid": str(os.getpid()), NOTE: f"`{command}`"}
    if found:
        if not elsewhere(earlier[0].data.tags):
            store.end_running(found.id)  # what died before it could say so
        found.log_tags(tags)
        return found, earlier[0].data.tags
    return store.start(name, params={}, tags=tags), {}


def elsewhere(tags: Mapping[str, str]) -> bool:
    """Whether the process of a sweep may be alive: on another machine it may, on this one its number tells."""
    if tags.get("host") != platform.node():
        return True
    try:
        pid = int(tags.get("pid", "0"))
        if pid and pid != os.getpid():
            os.kill(pid, 0)
            return True
    except PermissionError:
        return True
    except (ValueError, OSError):
        pass
    return False


@contextmanager
def closing(store: Store, parent: TrackedRun, *, shared: bool) -> Iterator[None]:
    """However a sweep ends, its parent and whatever runs were cut off say so."""
    try:
        yield
    except BaseException as error:
        store.end_running(parent.id, host=platform.node() if shared else None)
        parent.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", note=str(error))
        raise


def settled_before(store: Store, parent: TrackedRun, notice: Notice) -> set[str]:
    """The keys of jobs that need no second try: those that settled, on recordings that are as they were."""
    settled: set[str] = set()
    hashes: dict[str, str] = {}
    for child in store.children(parent.id):
        if ended_as(child) not in SETTLED:
            continue
        if changed := [path for path, sha in recordings(child.data.params) if sha != hash_of(path, hashes)]:
            notice(f"{changed[0]} has changed since {child.info.run_name}, which is trained again")
            continue
        settled.add(child.data.tags.get(KEY, ""))
    return settled


def recordings(params: Mapping[str, str]) -> list[tuple[str, str]]:
    taken = [key for key in params if key.startswith("recording.") and key.endswith(".path")]
    paths = {key.split(".")[1]: params[key] for key in taken}
    return [(path, params[f"recording.{number}.sha256"]) for number, path in paths.items() if Path(path).is_file()]


def hash_of(path: str, known: dict[str, str]) -> str:
    if path not in known:
        known[path] = sha256(Path(path))
    return known[path]


# ---- How it stands and what it came to ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """How far a sweep has come, for whoever shows it."""

    ended: list[Row]  # since the one before
    done: int
    failed: int
    total: int
    remaining_s: float | None  # None before the first job has ended
    current: tuple[str, Any] | None  # the job that is trained here, and its `training.Progress`


@contextmanager
def watching(watch: "Watch", task: Task) -> Iterator[None]:
    """Meanwhile, ask the store who has ended: it knows, whichever engine and machine trains."""
    task.report = watch.training
    thread = threading.Thread(target=watch.until_over, daemon=True)
    thread.start()
    try:
        yield
    finally:
        watch.over.set()
        thread.join()


class Watch:
    """Looks at a sweep of `total` jobs, of which `done` had ended before it began."""

    def __init__(
        self, store: Store, parent: TrackedRun, total: int, done: int, progress: Callable[[Standing], None]
    ) -> None:
        self.store, self.parent, self.progress = store, parent, progress
        self.total, self.earlier, self.done, self.failed = total, done, 0, 0
        self.over, self.started = threading.Event(), time.monotonic()
        self.last_end = self.started
        self.seen = {attempt(run) for run in store.children(parent.id) if ended_as(run) != "running"}
        self.current: tuple[str, Any] | None = None

    def training(self, job: Job, progress: Any) -> None:
        self.current = (job.name, progress)
        self.progress(self.standing([]))

    def until_over(self) -> None:
        took = 0.0
        while not self.over.wait(max(POLL_S, IDLE * took)):
            began = time.monotonic()
            self.look()
            took = time.monotonic() - began
        self.look()

    def look(self) -> None:
        try:
            children = self.store.children(self.parent.id)
        except Exception:  # a store that is busy or away for a moment is asked again
            return
        new = [run for run in children if attempt(run) not in self.seen and ended_as(run) != "running"]
        self.seen |= {attempt(run) for run in new}
        rows = [row_of(Job(run.info.run_name, [], {}, ""), run) for run in new]
        if rows:
            self.last_end = time.monotonic()
        self.done += len(rows)
        self.failed += sum(row.status not in ("finished", "pruned") for row in rows)
        self.progress(self.standing(rows))

    def standing(self, ended: list[Row]) -> Standing:
        done, remaining = self.earlier + self.done, None
        if self.done:  # by the pace until the last job ended, less the time since then
            pace = (self.last_end - self.started) / self.done
            remaining = max(0.0, pace * (self.total - done) - (time.monotonic() - self.last_end))
        return Standing(ended, done, self.failed, self.total, remaining, self.current)


def attempt(run: Any) -> tuple[str, int]:
    """What tells the end of a run from that of the same run, gone on with."""
    return run.info.run_id, run.info.end_time


def row_of(job: Job, run: Any) -> Row:
    """A job with what its run in the store tells."""
    until = run.info.end_time or run.info.start_time
    return Row(
        job,
        ended_as(run),
        run.data.tags.get(NOTE, ""),
        run.info.run_id,
        (until - run.info.start_time) / 1000,
        renamed(run.data.metrics),
    )


def conclude(store: Store, parent: TrackedRun, jobs: list[Job], seeker: Seeker | None, notice: Notice) -> Result:
    """Put the sweep's table, figures and comparison on its parent run."""
    runs: dict[str, Any] = {}
    for child in store.children(parent.id):
        key = child.data.tags.get(KEY, "")
        if key not in runs or ended_as(runs[key]) != "finished" or ended_as(child) == "finished":
            runs[key] = child  # the newest attempt that finished, or the newest
    if seeker:  # an earlier command, or another machine, may have made some
        made = [
            Job(run.info.run_name, json.loads(run.data.tags["job_overrides"]), {}, key) for key, run in runs.items()
        ]
        jobs = list({job.key: job for job in [*made, *jobs]}.values())
    rows = [row_of(job, runs[job.key]) if job.key in runs else Row(job) for job in jobs]
    keys = differing(jobs)
    best = seeker.best([row.metrics if row.status == "finished" else {} for row in rows]) if seeker else []
    result = Result(parent.name, parent.id, rows, keys, best, searched=seeker is not None)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sweep.csv").write_text(table(result), encoding="utf-8")
        (Path(folder) / "figures").mkdir()
        for title, figure in drawn(result).items():
            plots.save(figure, Path(folder) / "figures" / f"{title}.png")
        parent.log_folder(Path(folder))
    if sum(row.status == "finished" for row in rows) > 1:
        try:
            comparison.of_sweep(store, parent)
        except AmpsimError as error:
            notice(f"the jobs are not compared: {error}")
    return result


def drawn(result: Result) -> dict[str, Any]:
    """The figures of a sweep by name."""
    labels = [label(row.job, result.keys) for row in result.rows]
    scores = {
        name: [row.metrics.get(metric) if row.status == "finished" else None for row in result.rows]
        for name, metric in (("test", "test_esr"), ("validation", "best_validation_esr"))
    }
    figures = {"sweep": plots.sweep(labels, scores, [row.status for row in result.rows])}
    # Ear-weighted error on the validation split, speed, size.
    names = ("best_validation_a_weighted_esr", "test_real_time_factor", "test_parameters")
    complete = [n for n, row in enumerate(result.rows) if row.status == "finished" and set(names) <= set(row.metrics)]
    if complete:
        columns = [[result.rows[n].metrics[name] for n in complete] for name in names]
        figures["pareto"] = plots.trade_off([labels[n] for n in complete], *columns)
    return figures


def differing(jobs: Sequence[Job]) -> list[str]:
    """The keys of the overrides whose values are not the same in all jobs."""
    found = [assignments(job.overrides) for job in jobs]
    keys = list(dict.fromkeys(key for one in found for key in one))
    return [key for key in keys if len({one.get(key) for one in found}) > 1]


def label(job: Job, keys: Sequence[str]) -> str:
    values = assignments(job.overrides)
    return " ".join(f"{key.rpartition('.')[2]}={values[key]}" for key in keys if key in values) or job.name


def table(result: Result) -> str:
    """The sweep as CSV: what differs, what became of each job, every metric."""
    metrics = sorted({name for row in result.rows for name in row.metrics})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *result.keys, "status", "duration_s", *metrics, "run_id", "note"])
    for row in result.rows:
        values = assignments(row.job.overrides)
        writer.writerow(
            [row.job.name, *(values.get(key, "") for key in result.keys), row.status, f"{row.duration_s:.1f}"]
            + [row.metrics.get(name, "") for name in metrics]
            + [row.run_id, row.note]
        )
    return text.getvalue()
