"""Everything MLflow: one SQLite file with the artifacts beside it, or any server. Nothing else imports mlflow."""

import logging
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from ampsim import AmpsimError
from ampsim.config.run_config import current_names
from ampsim.config.targets import nearest
from ampsim.runs.locations import database_uri, refuse_unreachable
from ampsim.runs.locks import alone
from ampsim.runs.outbox import FOLDER, Outbox, waiting

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before the import: nothing is sent behind the user's back
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
# A server that went away is asked for seconds: MLflow itself would hold training up for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

import numpy as np
from mlflow import pyfunc
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec
from sqlalchemy.exc import SQLAlchemyError

BATCH = 100  # params or tags in one request, which is what the server takes
VALUE_LENGTH = 6000  # of a param; longer ones are whole in config.yaml
PARENT = "mlflow.parentRunId"  # the tag by which its page groups the runs of a sweep
SWEEP = "sweep_hash"  # the tag of a sweep's parent run, which is no model
# Tags of how a run ended that MLflow has no status for; a run that is resumed loses them.
ENDS = ("diverged", "pruned", "timed_out")
NOTE = "mlflow.note.content"
FAULTS = (MlflowException, SQLAlchemyError, OSError)  # of a store that is away, full or read-only


class Store:
    """Where runs are kept.

    Args:
        folder: holds `mlflow.db`, `artifacts/` and what unfinished runs resume from.
        uri: another MLflow store to keep runs in, or None.
        experiment: the name of the MLflow experiment.
    """

    def __init__(self, folder: str | Path, *, uri: str | None = None, experiment: str = "ampsim") -> None:
        self.folder, self.experiment = Path(folder), experiment
        self.uri = uri or database_uri(self.folder)
        # Its log lines tell of table migrations; its Alembic configures the root logger.
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        # What these would trace is said in a sentence.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        refuse_unreachable(uri)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Two processes that both make the tables of a fresh store would break each other's.
            with alone(self.folder), answering(self.uri):
                if self.uri == database_uri(self.folder):
                    make_database(self.folder / "mlflow.db")
                self.client = MlflowClient(self.uri)
                self.experiment_id = self.find_experiment()
        except OSError as error:
            raise AmpsimError(f"{self.folder} cannot be written to ({error.strerror}): set tracking.folder") from error

    def find_experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.experiment)
        if found:
            return found.experiment_id
        local = self.uri == database_uri(self.folder)
        location = (self.folder.absolute() / "artifacts").as_uri() if local else None
        # Its page then opens on runs and charts, and not on traces of language models.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        return self.client.create_experiment(self.experiment, artifact_location=location, tags=kind)

    def start(self, name: str, *, params: Mapping[str, Any], tags: Mapping[str, str]) -> "TrackedRun":
        """A new run, named `name` or, where that is taken, `name-2` and so on."""
        alike = "" if "'" in name else f"attributes.run_name LIKE '{name}%'"
        taken = {run.info.run_name for run in self.runs(alike)}
        number = next(n for n in range(1, len(taken) + 2) if numbered(name, n) not in taken)
        with answering(self.uri):  # with its tags, by which one that is cut off right here is found again
            run = self.client.create_run(self.experiment_id, tags=dict(tags), run_name=numbered(name, number))
        tracked = self.tracked(run)
        tracked.log_params(params)
        return tracked

    def tracked(self, run: Run) -> "TrackedRun":
        # On this machine's own disk, what keeps the store from writing would keep a copy beside it from being written.
        away = self.uri != database_uri(self.folder)
        return TrackedRun(self.client, run, outbox=Outbox(self.folder, run.info.run_id) if away else None)

    def resume(self, run_id: str) -> "TrackedRun | None":
        """An interrupted run, to go on with; None if it is not there any more."""
        try:
            self.tracked(self.client.get_run(run_id)).sync()
            self.client.set_terminated(run_id, "RUNNING")
            for tag in {*ENDS, NOTE} & set(self.client.get_run(run_id).data.tags):
                self.client.delete_tag(run_id, tag)
            return self.tracked(self.client.get_run(run_id))
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):  # gone, or in the bin
                return None
            raise AmpsimError(f"the MLflow store {self.uri} does not answer: {first_line(error)}") from error

    def begun(self, tags: Mapping[str, str]) -> list[str]:
        """The ids of runs with these tags that did not come to an end, newest first."""
        conditions = ["attributes.status = 'RUNNING'", *(f"tags.{key} = '{value}'" for key, value in tags.items())]
        return [run.info.run_id for run in self.runs(" and ".join(conditions))]

    def runs(self, condition: str = "") -> list[Run]:
        """Runs of the experiment, newest first; `condition` is in MLflow's filter language."""
        found, page = [], None
        while page != "":
            with answering(self.uri):
                runs = self.client.search_runs([self.experiment_id], condition, max_results=1000, page_token=page)
            found += runs
            page = runs.token or ""
        return found

    def find(self, wanted: str) -> "TrackedRun":
        """A run by id, by name or as `last` (the newest that finished).

        Raises:
            AmpsimError: no such run; the nearest names are given.
        """
        runs = self.runs()
        if wanted == "last":
            runs = [run for run in runs if run.info.status == "FINISHED" and SWEEP not in run.data.tags]
            if not runs:
                raise AmpsimError(f"{self.folder} holds no finished run yet: make one with `ampsim train`")
            return self.tracked(runs[0])
        for run in runs:
            if wanted in (run.info.run_id, run.info.run_name):
                return self.tracked(run)
        names = [run.info.run_name for run in runs[:50]]
        if get_close_matches(wanted, ids := [run.info.run_id for run in runs], n=1):
            names = ids  # an id with a slip in it
        raise AmpsimError(f"there is no run `{wanted}` in {self.folder}{nearest(wanted, names)}")

    def find_sweep(self, wanted: str) -> "TrackedRun":
        """The parent run of a sweep, by id, by name or as `last`.

        Raises:
            AmpsimError: no such run, or it is no sweep's.
        """
        parents = {run.data.tags[PARENT]: None for run in self.runs() if PARENT in run.data.tags}
        if wanted == "last" and parents:
            wanted = next(iter(parents))
        elif wanted == "last":
            raise AmpsimError(f"{self.folder} holds no sweep yet: make one with `ampsim train -m seed=0,1,2`")
        found = self.find(wanted)
        if found.id not in parents:
            raise AmpsimError(f"run {found.name} is no sweep: no run belongs to it; runs=a,b,c compares single runs")
        return found

    def sweeps(self, mark: str) -> list[Run]:
        """The parent runs of the sweeps with this hash, newest first."""
        return self.runs(f"tags.{SWEEP} = '{mark}'")

    def children(self, parent_id: str) -> list[Run]:
        """The runs of a sweep, oldest first."""
        return self.runs(f"tags.`{PARENT}` = '{parent_id}'")[::-1]

    def end_running(self, parent_id: str, *, host: str | None = None) -> None:
        """Mark the runs of a sweep, or those of one machine, that were cut off before they could say so."""
        try:
            running = [run for run in self.children(parent_id) if run.info.status == "RUNNING"]
        except AmpsimError:
            return  # the store itself is what failed
        for run in running:
            if host in (None, run.data.tags.get("host")):
                self.tracked(run).finish("KILLED")

    def mark_failed(self, attempt: str, name: str, tags: Mapping[str, str], *, note: str, mark: str) -> None:
        """See that the run of an attempt at a job is marked as failed, be it that it was never begun or left running."""
        begun = self.runs(f"tags.attempt = '{attempt}'")
        if not begun:
            self.start(name, params={}, tags=tags).finish("FAILED", note=note, mark=mark)
        elif begun[0].info.status == "RUNNING":
            self.tracked(begun[0]).finish("FAILED", note=note, mark=mark)


class TrackedRun:
    """One run in the store.

    Args:
        outbox: where to keep what a store that went away could not be told, for `sync`, or None.
    """

    def __init__(self, client: MlflowClient, run: Run, *, outbox: Outbox | None = None) -> None:
        self.client, self.outbox = client, outbox
        # Once it is away, all that follows waits too, so that nothing overtakes and training is held up once.
        self.away = False
        self.notice: Callable[[str], None] | None = None  # nothing is kept for later unless somebody is told
        self.id, self.name = run.info.run_id, run.info.run_name
        self.artifacts = run.info.artifact_uri
        self.params, self.tags, self.metrics = current_names(run.data.params), run.data.tags, run.data.metrics
        self.status = run.info.status
        self.logged_step = int(run.data.metrics.get("step", 0))

    def send(self, tell: Callable[[], None], keep: Callable[[Outbox], None]) -> None:
        """Tell the store; while a server is away, have what it was to be told kept on disk instead.

        Raises:
            AmpsimError: the store of this machine cannot be written, or the disk neither.
        """
        if not self.away:
            try:
                return tell()
            except FAULTS as error:
                if self.outbox is None or self.notice is None:
                    raise AmpsimError(
                        f"run {self.name} cannot be recorded ({first_line(error)}): see to the disk or server of the store; "
                        "training.resume=true goes on from the last checkpoint"
                    ) from error
                self.away = True
                self.notice(
                    f"warning: the MLflow store does not answer ({first_line(error)}); what it misses is kept in "
                    f"{self.outbox.folder}, and the run goes on"
                )
        assert self.outbox is not None
        keep(self.outbox)

    def log(self, **entry: Any) -> None:
        # The time goes with it: MLflow takes the same value of the same step and time once, however often it is sent.
        entry["time"] = int(time.time() * 1000)
        self.send(lambda: self.tell(**entry), lambda outbox: outbox.keep_entry(self.client.tracking_uri, entry))

    def tell(
        self,
        *,
        time: int,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        step: int = 0,
        status: str = "",
    ) -> None:
        if status:
            return self.client.set_terminated(self.id, status, end_time=time)
        self.client.log_batch(
            self.id,
            metrics=[Metric(key, value, time, step) for key, value in (metrics or {}).items()],
            params=[Param(key, value) for key, value in (params or {}).items()],
            tags=[RunTag(key, value) for key, value in (tags or {}).items()],
        )

    def sync(self) -> bool:
        """Send what is kept on disk, if anything is; what was sent before and only lost its answer is not doubled."""
        if self.outbox is None or not self.outbox.deliver(lambda entry: self.tell(**entry), self.send_artifacts):
            return False
        self.away = False
        return True

    def send_artifacts(self, folder: Path) -> None:
        self.client.log_artifacts(self.id, str(folder))

    def log_params(self, params: Mapping[str, Any]) -> None:
        entries = [(key, str(value)[:VALUE_LENGTH]) for key, value in params.items()]
        for start in range(0, len(entries), BATCH):
            self.log(params=dict(entries[start : start + BATCH]))

    def log_tags(self, tags: Mapping[str, str]) -> None:
        self.log(tags={key: str(value) for key, value in tags.items()})

    def log_round(self, row: Mapping[str, float]) -> None:
        """One point of the training curves; a resumed run does not log a point twice."""
        step = int(row["step"])
        if step > self.logged_step:
            self.log_metrics(row, step=step)
            self.logged_step = step

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        # MLflow stores infinity as 1.8e308, which ruins every chart; a run that diverged is tagged so.
        finite = {key: float(value) for key, value in values.items() if math.isfinite(value)}
        self.log(metrics=finite, step=step)

    def log_folder(self, folder: Path) -> None:
        """Every file in a folder, under the same relative path."""
        uri = self.client.tracking_uri
        self.send(lambda: self.send_artifacts(folder), lambda outbox: outbox.keep_artifacts(uri, folder))

    def file(self, path: str) -> Path:
        """The artifact itself where the store is on this machine, else a copy of it."""
        if self.outbox and (kept := self.outbox.artifact(path)):
            return kept
        if self.artifacts.startswith("file:"):
            found = Path(url2pathname(urlparse(self.artifacts).path)) / path
            if not found.exists():
                raise AmpsimError(f"run {self.name} holds no {path}: did it finish?")
            return found
        try:
            return Path(self.client.download_artifacts(self.id, path))
        except (MlflowException, OSError) as error:
            reason = first_line(error)
            raise AmpsimError(f"run {self.name}: {path} cannot be fetched ({reason}); did the run finish?") from error

    def register(self, name: str, file: Path, *, loader: str, example: np.ndarray, requirements: list[str]) -> str:
        """Put a model file into the registry as the next version of `name`; returns the version.

        `loader` is the module whose `_load_pyfunc` reads the file, so that no code is pickled; `example` is one input,
        (signals, num_samples), of which any number and length is taken.
        """
        signals = Schema([TensorSpec(np.dtype(np.float32), (-1, -1))])
        try:
            with tempfile.TemporaryDirectory() as folder:
                pyfunc.save_model(
                    Path(folder) / "registered",
                    loader_module=loader,
                    data_path=str(file),
                    signature=ModelSignature(signals, signals),
                    input_example=example,
                    pip_requirements=requirements,  # given, as MLflow takes half a minute to infer them
                )
                self.client.log_artifacts(self.id, folder)
            try:
                self.client.create_registered_model(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            source = f"{self.artifacts}/registered"
            return str(self.client.create_model_version(name, source, run_id=self.id).version)
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise AmpsimError(f"{name} could not be registered: {first_line(error)}") from error

    def finish(self, status: str = "FINISHED", *, note: str = "", mark: str = "") -> None:
        """Mark the run as ended, with a tag `mark` (diverged, pruned, ...) if it has one; where the store itself is what
        failed, that has been said already."""
        tags = {NOTE: note} if note else {}
        try:
            self.log_tags(tags | ({mark: "true"} if mark else {}))
            self.log(status=status)
        except AmpsimError:
            if status == "FINISHED":
                raise
        if self.away and self.notice:
            try:
                refuse_unreachable(self.client.tracking_uri)
                self.sync()
            except (AmpsimError, *FAULTS):
                self.notice(f"the MLflow store has not got all of {self.name}: `ampsim sync` sends it once it answers")


def sync(folder: Path, *, notice: Callable[[str], None]) -> None:
    """Send what the runs of a folder kept on disk while their server was away.

    Raises:
        AmpsimError: a server does not answer, or does not take it; what was not taken stays.
    """
    unsent, left = waiting(folder), ""
    if not unsent:
        notice(f"{folder / FOLDER} holds nothing that waits to be sent")
    for outbox, uri in unsent:
        try:
            refuse_unreachable(uri)
            client = MlflowClient(uri)
            run = TrackedRun(client, client.get_run(outbox.folder.name), outbox=outbox)
            run.sync()
            notice(f"sent: {run.name} to {uri}")
        except (AmpsimError, *FAULTS) as error:  # another server may answer
            left = f"{outbox.folder} is not sent: {first_line(error)}"
    if left:
        raise AmpsimError(left)


def make_database(path: Path) -> None:
    """A database with MLflow's tables, whole or not at all: it never mends the half of one that a kill would leave."""
    # Not by `atomic`, whose names differ each time: what a kill leaves, SQLite's journal too, is found by this one.
    if not path.exists():
        part = path.with_suffix(".part")
        for left in path.parent.glob(f"{part.name}*"):
            left.unlink()
        MlflowClient(f"sqlite:///{part.absolute().as_posix()}").search_experiments(max_results=1)
        part.replace(path)


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """Say it in a sentence if the store fails inside."""
    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        raise AmpsimError(f"the MLflow store {uri} does not answer: {first_line(error)}") from error


def ended_as(run: Run) -> str:
    """What became of a run: finished, diverged, pruned, timed out, failed, interrupted or running."""
    if run.info.status == "FAILED" or run.info.status == "KILLED":
        marks = [tag.replace("_", " ") for tag in ENDS if run.data.tags.get(tag) == "true"]
        return [*marks, "failed" if run.info.status == "FAILED" else "interrupted"][0]
    return {"FINISHED": "finished"}.get(run.info.status, "running")


def numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def first_line(error: BaseException) -> str:
    """What went wrong at the bottom of it: the disk that is full, and not the query that was made on it."""
    while inner := getattr(error, "orig", None) or error.__cause__:
        error = inner
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
