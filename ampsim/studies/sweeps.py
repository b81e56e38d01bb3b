"""A sweep, from its jobs to a parent run in MLflow that holds them together: what finished, what failed, a table."""

import _thread
import hashlib
import json
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ampsim import AmpsimError, DivergedError, counted
from ampsim.comparing import comparison, outcomes
from ampsim.comparing.outcomes import Row
from ampsim.config.run_config import RunConfig
from ampsim.runs.isolated import Outcome, isolated, start_warm
from ampsim.runs.provenance import origin
from ampsim.runs.tracking import NOTE, PARENT, SWEEP, Run, Store, TrackedRun, ended_as, recorded
from ampsim.signals.audio import sha256
from ampsim.studies.jobs import Job, Limits, Report, Task, buildable, draw
from ampsim.studies.search import Search

Notice = Callable[[str], None]
Keep = Callable[[Store, TrackedRun, list[Row]], None]
Launcher = Callable[[Task, Report], list[Outcome]]  # see `launchers.Launcher`

KEY, STUDY = "job_hash", "optuna_study"  # tags of a job and of the sweep of a search
HEARTBEAT = "heartbeat"  # the tag of a sweep by which others see that its process lives: who, and when
BEAT_S, LEASE_S = 10.0, 60.0  # between two of these, and without any until the sweep is free to be gone on with
LONG_AGO_S = 10 * LEASE_S  # further than clocks of two machines are apart
SETTLED = ("finished", "diverged", "pruned")  # nothing would come of trying these again
POLL_S = 1.0
IDLE = 20  # times as long as a look at the store took, so that looking takes little from training


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
        first = f"{failed[0].name} {failed[0].status}" + (f": {failed[0].note}" if failed[0].note else "")
        return kind(f"{len(failed)} of {counted(len(self.rows), 'job')} did not finish; the first, {first}")


def key_of(config: dict[str, Any]) -> str:
    """A hash of all in a config that decides what a run comes to."""
    return RunConfig(config).identity()


def run(
    jobs: list[Job],
    *,
    launcher: Launcher,
    limits: Limits,
    name: str,
    command: str,
    tracking: dict[str, Any],
    resume: bool | None,
    notice: Notice,
    progress: Callable[["Standing"], None],
    search: Search | None = None,
    export: str = "",
    keep: Keep | None = None,
    figures: int | None = None,
) -> Result:
    """Train the jobs, each as a child of one parent run; those that an unfinished sweep of the same jobs has are skipped.

    Args:
        jobs: of a search, one that stands for all.
        launcher, progress: called with the jobs that are left, or with each batch of a search; and with how it stands.
        resume: None goes on with the newest unfinished sweep of these jobs, True with a finished one too, False with none.
        export, keep: see `jobs.Task`; what puts the outcome on the parent run, in place of a comparison of all jobs.
        figures: configs, the best, whose best run is drawn at the end; None draws in every job.

    Raises:
        AmpsimError: the store does not answer, a job cannot be built, the sweep is running now, or the launcher failed.
    """
    start_warm(limits.threads)  # it imports TensorFlow while this process imports MLflow
    store = Store(**tracking)
    jobs = once_each(jobs, limits.threads, export)
    lease = Lease(store, notice, shared=search is not None)
    identity = search.identity(jobs[0].key) if search else hashed([job.key for job in jobs])
    parent, earlier = begin(store, identity, name, command, resume, lease)
    with closing(store, parent, lease):
        if search:
            parent.log_tags({STUDY: search.open(identity, earlier.get(STUDY), parent.id, alone=not lease.joined)})
        left = [] if search else unsettled(jobs, store, parent, earlier, notice)
        watch = Watch(store, parent, *tally(jobs, left, search), progress)

        def train(batch: Sequence[Job]) -> list[Outcome]:
            own = tuple(continued(batch) if earlier else batch), {PARENT: parent.id}, limits
            return launcher(Task(*own, search.judge() if search else None, export, figures is None), watch.training)

        broken = carried_out(watch, train, left, search, limits.deadline)
        draw = partial(draw_best, tracking, figures, limits.threads, notice)
        result = conclude(store, parent, search.jobs if search else jobs, search, notice, keep, draw)
        refuse_broken(broken, parent.name)
        parent.finish(outcome(result, search))
    return result


def tally(jobs: list[Job], left: list[Job], search: Search | None) -> tuple[int, int]:
    """How many jobs there are, and how many are done."""
    return (search.options.n_trials, search.done) if search else (len(jobs), len(jobs) - len(left))


def outcome(result: Result, search: Search | None) -> str:
    """The parent's status; trials of a search may fail, which the search makes the best of."""
    failed = not search and any(row.status not in SETTLED for row in result.rows)
    return "FAILED" if failed else "FINISHED"


def continued(jobs: Sequence[Job]) -> list[Job]:
    """Jobs of which one that was interrupted goes on from its checkpoint."""
    return [replace(job, config=with_resume(job.config)) for job in jobs]


def carried_out(
    watch: "Watch",
    train: Callable[[Sequence[Job]], list[Outcome]],
    left: Sequence[Job],
    search: Search | None,
    deadline: float | None,
) -> Exception | None:
    """Train what is left, or what a search asks for; what broke the engine, since what has finished is not lost by that."""
    try:
        with watching(watch):
            if search:
                search.run(train, deadline=deadline)
            elif left:
                train(left)
    except Exception as error:
        return error
    return None


def once_each(jobs: Sequence[Job], threads: int | None, export: str) -> list[Job]:
    """The jobs without repetitions.

    Raises:
        AmpsimError: the parts of one cannot be built; TensorFlow is loaded in another process for that.
    """
    built = isolated(buildable, [job.config for job in jobs], export, threads=threads)
    if built.status != "finished":
        raise AmpsimError(f"{built.note} (no job was begun)")
    return [*{job.key: job for job in jobs}.values()]


def unsettled(
    jobs: list[Job], store: Store, parent: TrackedRun, earlier: Mapping[str, str], notice: Notice
) -> list[Job]:
    """The jobs that are still to be trained, once the sweep that this one goes on with is known."""
    if not earlier:
        return jobs
    settled = settled_before(store, parent, notice)
    notice(f"going on with {parent.name}: {len(settled)} of {counted(len(jobs), 'job')} have finished and are skipped")
    return [job for job in jobs if job.key not in settled]


def refuse_broken(error: Exception | None, name: str) -> None:
    """Raises AmpsimError for what stopped a sweep, if anything did, which tells how to go on."""
    if isinstance(error, AmpsimError):
        raise error
    if error:
        raise AmpsimError(
            f"the sweep ended early ({type(error).__name__}: {error}); the table of what finished is kept with {name}, "
            "and the same command goes on"
        ) from error


def hashed(keys: Sequence[str]) -> str:
    return hashlib.sha256(" ".join(sorted(keys)).encode()).hexdigest()[:12]


def with_resume(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "training": {**config["training"], "resume": True}}


# ---- The parent run -------------------------------------------------------------------------------------------------


class Lease:
    """The right to carry a sweep on, for as long as its heartbeat in the store goes on; no host or process number tells that.

    Args:
        shared: several processes may hold it, as those of a search that others joined.
    """

    def __init__(self, store: Store, notice: Notice, *, shared: bool) -> None:
        self.store, self.notice, self.shared = store, notice, shared
        self.owner, self.over = uuid.uuid4().hex, threading.Event()
        self.joined = False  # another process holds it too
        self.lost = False  # another process has taken it

    @property
    def beat(self) -> dict[str, str]:
        return {HEARTBEAT: f"{self.owner} {time.time():.0f}"}

    def held_elsewhere(self, run: Run) -> bool:
        """Whether the process of a sweep that is marked as running lives: its heartbeat is waited for."""
        seen, name = run.data.tags.get(HEARTBEAT, ""), run.info.run_name
        told = seen.partition(" ")[2]
        heard_of = int(told) if told.isdecimal() else run.info.start_time / 1000
        if run.info.status != "RUNNING" or time.time() - heard_of > LONG_AGO_S:
            return False
        self.notice(f"{name} is the same sweep and has not ended: waiting up to {LEASE_S:.0f} s for a sign of life")
        for _ in range(round(LEASE_S)):
            time.sleep(1)
            now = self.store.run(run.info.run_id)
            if now.info.status != "RUNNING":
                return False
            if now.data.tags.get(HEARTBEAT, "") != seen:
                return True
        return False

    def keep(self, parent: TrackedRun) -> None:
        """Until it is over, tell the store now and then; whoever finds another owner there has been away too long."""
        while not self.over.wait(BEAT_S):
            try:
                tags = self.store.run(parent.id).data.tags
                if self.shared or tags.get(HEARTBEAT, "").startswith(self.owner):
                    self.store.tag(parent.id, self.beat)
                    continue
            except AmpsimError:  # a store that is busy or away for a moment is told again
                continue
            self.lost = True
            self.notice(f"{parent.name} was not heard of for {LEASE_S:.0f} s, and another process has gone on with it")
            _thread.interrupt_main()
            return


def begin(
    store: Store, identity: str, name: str, command: str, resume: bool | None, lease: Lease
) -> tuple[TrackedRun, dict[str, str]]:
    """The parent run, and the tags of the earlier sweep that it goes on with, if any."""
    newest = store.newest_sweep(identity) if resume is not False else None
    if newest and newest.info.status == "FINISHED" and not resume:
        lease.notice(
            f"{newest.info.run_name} was the same sweep and finished (sweep.resume=true goes on with it); a new one"
        )
        newest = None
    if newest and lease.held_elsewhere(newest):
        lease.joined = lease.shared and bool(resume)
        if not lease.joined:
            raise AmpsimError(
                f"the same sweep is running as {newest.info.run_name} ({newest.data.tags.get('host')}); sweep.resume=false "
                "begins another"
            )
    found = store.resume(newest.info.run_id) if newest else None
    if resume and not found:
        lease.notice("no sweep of these jobs to resume; starting a new one")
    tags = {
        SWEEP: identity,
        "command": command,
        "host": platform.node(),
        NOTE: f"`{command}`",
        **lease.beat,
        **origin(),
    }
    if newest and found:
        if not lease.joined:
            store.end_running(found.id)  # what died before it could say so
        found.log_tags(tags)
        return found, newest.data.tags
    return store.start(name, params={}, tags=tags), {}


@contextmanager
def closing(store: Store, parent: TrackedRun, lease: Lease) -> Iterator[None]:
    """Inside, the lease is kept; however a sweep ends, its parent and whatever runs were cut off say so."""
    beating = threading.Thread(target=lease.keep, args=[parent], daemon=True)
    beating.start()
    try:
        yield
    except BaseException as error:
        if not lease.lost:
            store.end_running(parent.id, host=platform.node() if lease.shared else None)
            parent.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", note=str(error))
        raise
    finally:
        lease.over.set()


def settled_before(store: Store, parent: TrackedRun, notice: Notice) -> set[str]:
    """The keys of jobs that need no second try: those that settled, on recordings that are as they were."""
    settled: set[str] = set()
    hashes: dict[str, str] = {}
    for child in store.children(parent.id):
        if ended_as(child) not in SETTLED:
            continue
        there = [(path, sha) for path, sha in recorded(child.data.params) if Path(path).is_file()]
        if changed := [path for path, sha in there if sha != hash_of(path, hashes)]:
            notice(f"{changed[0]} has changed since {child.info.run_name}, which is trained again")
            continue
        settled.add(child.data.tags.get(KEY, ""))
    return settled


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
    current: tuple[str, Any] | None  # the job that runs here, and what it is `doing` or its `training.Progress`


@contextmanager
def watching(watch: "Watch") -> Iterator[None]:
    """Meanwhile, ask the store who has ended: it knows, whichever engine and machine trains."""
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
        rows = [outcomes.of_run(run) for run in new]
        if rows:
            self.last_end = time.monotonic()
        if self.current and self.current[0] in {run.info.run_name for run in new}:
            self.current = None  # the next one is being prepared
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


def conclude(
    store: Store,
    parent: TrackedRun,
    jobs: list[Job],
    search: Search | None,
    notice: Notice,
    keep: Keep | None,
    drawing: Callable[[list[str]], None] | None = None,
) -> Result:
    """Put the sweep's table, figures and comparison on its parent run."""
    store.end_running(parent.id, host=platform.node() if search else None)
    runs: dict[str, Any] = {}
    for child in store.children(parent.id):
        key = child.data.tags.get(KEY, "")
        if key not in runs or ended_as(runs[key]) != "finished" or ended_as(child) == "finished":
            runs[key] = child  # the newest attempt that finished, or the newest
    if search:  # an earlier command, or another machine, may have made some
        made = [
            Job(run.info.run_name, json.loads(run.data.tags["job_overrides"]), {}, key) for key, run in runs.items()
        ]
        jobs = list({job.key: job for job in [*made, *jobs]}.values())
    rows = [
        outcomes.of_run(runs[job.key], job.overrides, name=job.name)
        if job.key in runs
        else Row(job.name, job.overrides)
        for job in jobs
    ]
    best = search.best([row.metrics if row.finished else {} for row in rows]) if search else []
    outcomes.keep(parent, rows)
    if keep:
        keep(store, parent, rows)
    else:
        compare(store, parent, [row.run_id for row in rows if row.finished], notice, drawing)
    return Result(parent.name, parent.id, rows, outcomes.differing_keys(rows), best, searched=search is not None)


def compare(
    store: Store, parent: TrackedRun, finished: list[str], notice: Notice, drawing: Callable[[list[str]], None] | None
) -> None:
    """Put a comparison of the runs that finished on their parent, and have the best of them drawn."""
    ranking = None
    try:
        if len(finished) > 1:
            ranking = comparison.of_sweep(store, parent)
            finished = [comparison.best_of(group, ranking.metric).id for group in ranking.groups]
    except AmpsimError as error:
        notice(f"the jobs are not compared: {error}")
    if drawing and finished:
        drawing(finished)
    if ranking and find_spec("ampsim.pages"):
        from ampsim.pages import study

        try:
            study.keep(store, parent, ranking)
        except AmpsimError as error:
            notice(f"the study page is missing: {error}")


def draw_best(
    tracking: dict[str, Any], most: int | None, threads: int | None, notice: Notice, run_ids: list[str]
) -> None:
    """Have the first runs drawn, in a process that has TensorFlow; none where each job drew its own."""
    if most is None:
        return
    outcome = isolated(draw, tracking, run_ids[:most], threads=threads)
    if outcome.status != "finished":
        notice(f"figures are missing: {outcome.note}; ampsim figures run=... draws those of a run")
