"""Everything MLflow: one SQLite file with the artifacts beside it, or any server. Nothing else imports mlflow."""

import functools
import json
import logging
import math
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from ampsim import AmpsimError, without_passwords
from ampsim.config.run_config import current_names
from ampsim.config.targets import nearest
from ampsim.runs.databases import FAULTS, answering, first_line, make_database, one_makes_tables, told
from ampsim.runs.locations import artifacts_of, database_uri, in_a_store, mend_moved, refuse_unreachable
from ampsim.runs.locks import alone
from ampsim.runs.outbox import FOLDER, Outbox, waiting

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before the import: nothing is sent behind the user's back
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
# With a server, a bar for each file and the address of each run, passwords and all, between ampsim's own lines.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# A server that went away is asked for seconds: MLflow itself would hold training up for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

import numpy as np
from mlflow import pyfunc
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.entities import Run as Run  # by this name for the floors above, which do not know MLflow
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

BATCH = 100  # params or tags in one request, which is what the server takes
VALUE_LENGTH = 6000  # of a param; longer ones are whole in config.yaml
PARENT = "mlflow.parentRunId"  # the tag by which its page groups the runs of a sweep
SWEEP = "sweep_hash"  # the tag of a sweep's parent run, which is no model
# Tags of how a run ended that MLflow has no status for; a run that is resumed loses them.
ENDS = ("diverged", "pruned", "timed_out")
NOTE = "mlflow.note.content"
LONGEST_NAME, DIGEST = 500, 36  # letters that MLflow takes of a dataset
MOST_CONDITIONS = 12  # of a query, each of which joins a table of the store with itself
PAGE = 1000  # runs in one answer, where all are asked for
LONG_S = 60.0  # after which a run tells of the machine's load too
OFFERED = 10  # names of runs, the newest, where none is like what was typed
NEAR = 50  # runs, the newest, among which a name that there is not is looked for


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
        self.local = self.uri.startswith("sqlite:") and self.uri == database_uri(self.folder)
        self.place = str(self.folder) if self.local else self.uri  # as messages name it
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
            with alone(self.folder), answering(self.uri), one_makes_tables(self.uri):
                if self.local:
                    make_database(self.folder / "mlflow.db")
                    mend_moved(self.folder, experiment)
                self.client = MlflowClient(self.uri)
                self.experiment_id = self.find_experiment()
        except OSError as error:
            raise AmpsimError(f"{self.folder} cannot be written to ({error.strerror}): say folder=...") from error

    def find_experiment(self) -> str:
        """The id of the experiment, which is made if need be.

        Raises:
            AmpsimError: it was deleted, and its name is taken until it is restored.
        """
        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            location = artifacts_of(self.folder).as_uri() if self.local else None
            # Its page then opens on runs and charts, and not on traces of language models.
            kind = {"mlflow.experimentKind": "custom_model_development"}
            try:
                return self.client.create_experiment(self.experiment, artifact_location=location, tags=kind)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self.client.get_experiment_by_name(self.experiment)  # another process was first
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            command = ["mlflow", "experiments", "restore", "--experiment-id", found.experiment_id]
            raise AmpsimError(
                f"the experiment {self.experiment} was deleted in MLflow's page, with its runs. To have it back: "
                f"MLFLOW_TRACKING_URI={shlex.quote(self.uri)} {shlex.join(command)}; or name another experiment"
            )
        return found.experiment_id

    def start(self, name: str, *, params: Mapping[str, Any], tags: Mapping[str, str]) -> "TrackedRun":
        """A new run, named `name` or, where that is taken, `name-2` and so on."""
        with answering(self.uri):  # with its tags, by which one that is cut off right here is found again
            run = self.client.create_run(self.experiment_id, tags=as_kept(tags), run_name=self.free_name(name))
        tracked = self.tracked(run)
        tracked.log_params(params)
        return tracked

    def free_name(self, name: str) -> str:
        """`name`, or with a number that is free while the one before is taken; asks for a few runs and never for all."""
        if not self.named(name):
            return name
        taken, free = 1, 2
        while self.named(f"{name}-{free}"):
            taken, free = free, 2 * free
        while free - taken > 1:
            middle = (taken + free) // 2
            taken, free = (middle, free) if self.named(f"{name}-{middle}") else (taken, middle)
        return f"{name}-{free}"

    def named(self, name: str) -> Run | None:
        """The newest run of this name, if there is one."""
        # A filter has no way to write every quote; `_` stands for any character, and the names are compared below.
        pattern = re.sub(r"[^\w .,+=@/-]", "_", name)
        condition = f"attributes.run_name {'=' if pattern == name else 'LIKE'} '{pattern}'"
        return next((run for run in self.each(condition, first=1) if run.info.run_name == name), None)

    def tracked(self, run: Run) -> "TrackedRun":
        """A run of this store, to read and to write.

        Raises:
            AmpsimError: its id would be a path to elsewhere; the store may come from someone else.
        """
        if not re.fullmatch(r"\w+", run.info.run_id):
            raise AmpsimError(f"{self.uri} holds a run whose id is none: {run.info.run_id}")
        if self.local:
            # On this machine's own disk, what keeps the store from writing would keep a copy beside it from being written.
            place = artifacts_of(self.folder) / run.info.run_id / "artifacts"
            return TrackedRun(self.client, run, place=place)
        return TrackedRun(self.client, run, outbox=Outbox(self.folder, run.info.run_id))

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
            raise AmpsimError(told(self.uri, error)) from error

    def begun(self, tags: Mapping[str, str]) -> list[str]:
        """The ids of runs with these tags that did not come to an end, newest first."""
        conditions = ["attributes.status = 'RUNNING'", *(f"tags.{key} = '{value}'" for key, value in tags.items())]
        return [run.info.run_id for run in self.runs(" and ".join(conditions))]

    def runs(self, condition: str = "") -> list[Run]:
        """Runs of the experiment, newest first; `condition` is in MLflow's filter language."""
        return list(self.each(condition, first=PAGE))

    def each(self, condition: str = "", *, first: int) -> Iterator[Run]:
        """The same one by one: `first` of them are asked for, and ten times as many each time that these do not do.

        A run comes with all its params, tags and metrics, so that a thousand take seconds.
        """
        page, size = None, first
        while page != "":
            with answering(self.uri):
                runs = self.client.search_runs([self.experiment_id], condition, max_results=size, page_token=page)
            yield from runs
            page, size = runs.token or "", min(10 * size, PAGE)

    def find(self, wanted: str) -> "TrackedRun":
        """A run by id, by name or as `last` (the newest that finished).

        Raises:
            AmpsimError: no such run; the nearest names are given.
        """
        if wanted == "last":
            finished = self.each("attributes.status = 'FINISHED'", first=2)
            run = next((run for run in finished if SWEEP not in run.data.tags), None)
            if run is None:
                remedy = self.elsewhere("attributes.status = 'FINISHED'") or ": make one with `ampsim train`"
                raise AmpsimError(f"{self.place} holds no finished run yet{remedy}")
            return self.tracked(run)
        if run := self.with_id(wanted) or self.named(wanted):
            return self.tracked(run)
        newest = list(islice(self.each(first=NEAR), NEAR))
        names, ids = [run.info.run_name for run in newest], [run.info.run_id for run in newest]
        if get_close_matches(wanted, ids, n=1):
            names = ids  # an id with a slip in it
        offered = get_close_matches(wanted, names, n=1, cutoff=0.5) or names[:OFFERED]
        raise AmpsimError(f"there is no run `{wanted}` in {self.place}{nearest(wanted, offered)}")

    def offered(self) -> str:
        """The words that compare what the experiment holds newest, a sweep and single runs."""
        newest = islice(self.each("attributes.status = 'FINISHED'", first=NEAR), NEAR)
        names = [run.info.run_name for run in newest if SWEEP not in run.data.tags][:3]
        sweep = "<its parent run>"
        with suppress(AmpsimError):
            sweep = shlex.quote(self.find_sweep("last").name)
        return f"sweep={sweep} or runs={shlex.quote(','.join(names)) if len(names) > 1 else 'a,b,c'}"

    def elsewhere(self, condition: str) -> str:
        """Which other experiments of the store hold such runs, to follow a sentence that says that this one does not."""
        with answering(self.uri):
            others = [each for each in self.client.search_experiments() if each.experiment_id != self.experiment_id]
            names = [
                each.name for each in others if self.client.search_runs([each.experiment_id], condition, max_results=1)
            ]
        if not names:
            return ""
        words = [shlex.quote(f"mlflow_experiment={name}") for name in names]
        return f" in the MLflow experiment `{self.experiment}`; add {' or '.join(words)}"

    def with_id(self, run_id: str) -> Run | None:
        """The run of this id, if the experiment has it and it is not in the bin."""
        if not re.fullmatch(r"[0-9a-f]{32}", run_id):
            return None
        return next(iter(self.each(f"attributes.run_id = '{run_id}'", first=1)), None)

    def find_sweep(self, wanted: str) -> "TrackedRun":
        """The parent run of a sweep, by id, by name or as `last`.

        Raises:
            AmpsimError: no such run, or it is no sweep's.
        """
        if wanted == "last":
            jobs, gone = f"tags.`{PARENT}` LIKE '%'", set[str]()
            for job in self.each(jobs, first=1):
                parent = job.data.tags[PARENT]
                if parent not in gone and (run := self.with_id(parent)):
                    return self.tracked(run)
                gone.add(parent)  # deleted in MLflow's page, which leaves the jobs
            remedy = self.elsewhere(jobs) or ": make one with `ampsim train -m seed=0,1,2`"
            raise AmpsimError(f"{self.place} holds no sweep yet{remedy}")
        found = self.find(wanted)
        if next(self.each(child_of(found.id), first=1), None) is None:
            raise AmpsimError(f"run {found.name} is no sweep: no run belongs to it; runs=a,b,c compares single runs")
        return found

    def newest_sweep(self, mark: str) -> Run | None:
        """The parent run of the newest sweep with this hash, if there is one."""
        return next(self.each(f"tags.{SWEEP} = '{mark}'", first=1), None)

    def run(self, run_id: str) -> Run:
        """A run as it is now."""
        with answering(self.uri):
            return self.client.get_run(run_id)

    def history(self, run_id: str, key: str) -> list[tuple[int, float]]:
        """(step, value) of a metric of a run, in the order of the steps."""
        with answering(self.uri):
            found = self.client.get_metric_history(run_id, key)
        return sorted({each.step: each.value for each in found}.items())

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run at once or not at all: unlike what `TrackedRun` tells, they are not kept for later."""
        with answering(self.uri):
            self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def children(self, parent_id: str) -> list[Run]:
        """The runs of a sweep, oldest first."""
        return self.runs(child_of(parent_id))[::-1]

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
        elif begun[0].info.status in ("RUNNING", "KILLED"):  # by what ended its process
            self.tracked(begun[0]).finish("FAILED", note=note, mark=mark)


def like(params: Mapping[str, str]) -> str:
    """MLflow's filter for finished runs that may have these parameters, so that a store of thousands is not read whole: by
    numbers alone, which no version of ampsim wrote differently and which hold no quotes. Who asks looks at the rest."""
    numbers = [(key, value) for key, value in params.items() if re.fullmatch(r"-?\d+(\.\d+)?", value)]
    numbers.sort(key=lambda number: (not number[0].startswith("model."), not number[0].startswith("training.")))
    chosen = [f"params.`{key}` = '{value}'" for key, value in numbers[:MOST_CONDITIONS] if re.fullmatch(r"[\w.]+", key)]
    return " and ".join(["attributes.status = 'FINISHED'", *chosen])


def recorded(params: Mapping[str, str]) -> list[tuple[str, str]]:
    """Path and SHA-256 of each file that a run with these parameters learnt from: sound, captures, sheets."""
    numbers = [key.split(".")[1] for key in params if re.fullmatch(r"recording\.\d+\.path", key)]
    return [
        (params[f"recording.{each}.path"], params.get(f"recording.{each}.sha256", ""))
        for each in sorted(numbers, key=int)
    ]


class TrackedRun:
    """One run in the store.

    Args:
        outbox: where to keep what a store that went away could not be told, for `sync`, or None.
        place: the folder of its artifacts, where the store is one of this machine.
    """

    def __init__(
        self, client: MlflowClient, run: Run, *, outbox: Outbox | None = None, place: Path | None = None
    ) -> None:
        self.client, self.outbox, self.place = client, outbox, place
        # Once it is away, all that follows waits too, so that nothing overtakes and training is held up once.
        self.away = False
        self.notice: Callable[[str], None] | None = None  # nothing is kept for later unless somebody is told
        self.id, self.name = run.info.run_id, run.info.run_name
        self.artifacts, self.experiment_id = run.info.artifact_uri, run.info.experiment_id
        self.params, self.tags, self.metrics = current_names(run.data.params), run.data.tags, run.data.metrics
        self.status = run.info.status
        self.logged_step = int(run.data.metrics.get("step", 0))

    @property
    def delay(self) -> int | None:
        """What was taken out of its recording, in samples; None where the run does not say."""
        stated = self.params.get("recording.delay", "")
        return int(stated) if stated.lstrip("-").isdecimal() and len(stated) < 12 else None

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
                    raise AmpsimError(self.unrecorded(error)) from error
                self.away = True
                self.notice(
                    f"warning: the MLflow store does not answer ({first_line(error)}); what it misses is kept in "
                    f"{self.outbox.folder}, and the run goes on"
                )
        assert self.outbox is not None
        keep(self.outbox)

    def unrecorded(self, error: Exception) -> str:
        """Why nothing more can be told, and what to do."""
        why, remedy = f"cannot be recorded ({first_line(error)})", "see to the disk or server of the store"
        with suppress(*FAULTS):
            if self.client.get_run(self.id).info.lifecycle_stage == "deleted":
                why, remedy = "was deleted in MLflow's page", "restore it there"
        return f"run {self.name} {why}: {remedy}; training.resume=true goes on from the last checkpoint"

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
        dataset: Mapping[str, str] | None = None,
    ) -> None:
        if dataset:
            use = InputTag("mlflow.data.context", "training")
            return self.client.log_inputs(self.id, [DatasetInput(Dataset(**dataset), [use])])
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
        if self.place is None:
            return self.client.log_artifacts(self.id, str(folder))
        # Not by MLflow, which goes by the address in the database.
        for source in sorted(path for path in folder.rglob("*") if path.is_file()):
            target = self.inside(source.relative_to(folder).as_posix())
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def inside(self, path: str) -> Path:
        """Where an artifact of a store of this machine lies, which may be one of someone else.

        Raises:
            AmpsimError: the database names another place than the store's folder, or a link leads there.
        """
        assert self.place is not None
        folder = self.place.parents[2]
        if not in_a_store(self.artifacts, self.id):
            raise AmpsimError(
                f"run {self.name} names {self.artifacts} as the place of its artifacts, and ampsim reads and writes them "
                f"in {folder} only: copy them to {self.place} if you know what they are, then correct the database"
            )
        found = (self.place / path).resolve()
        if not found.is_relative_to(folder.resolve() / self.place.relative_to(folder)):
            raise AmpsimError(
                f"{self.place / path} leads out of {folder}, to {found}: ampsim reads and writes artifacts inside only"
            )
        return self.place / path

    def log_params(self, params: Mapping[str, Any]) -> None:
        entries = [(key, str(value)[:VALUE_LENGTH]) for key, value in params.items()]
        for start in range(0, len(entries), BATCH):
            self.log(params=dict(entries[start : start + BATCH]))

    def log_dataset(self, name: str, digest: str, *, source: Mapping[str, Any], profile: Mapping[str, Any]) -> None:
        """What the run learns from, as MLflow's page shows it: where it is, and how much there is."""
        told = {"source_type": "local", "source": json.dumps(source), "profile": json.dumps(profile)}
        self.log(dataset={"name": name[:LONGEST_NAME], "digest": digest[:DIGEST], **told})

    def log_tags(self, tags: Mapping[str, str]) -> None:
        self.log(tags=as_kept(tags))

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

    @property
    def here(self) -> bool:
        """Whether its artifacts lie on this machine."""
        return self.place is not None or self.artifacts.startswith("file:")

    def file(self, path: str) -> Path:
        """The artifact itself where the store is on this machine, else a copy of it, which this process takes with it."""
        if self.outbox and (kept := self.outbox.artifact(path)):
            return kept
        if self.here:
            found = self.inside(path) if self.place else Path(url2pathname(urlparse(self.artifacts).path)) / path
            if not found.exists():
                why = (
                    f"`ampsim figures run={self.name}` draws it"
                    if path in ("figures", "listen.html")
                    else "did it finish?"
                )
                raise AmpsimError(f"run {self.name} holds no {path}: {why}")
            return found
        try:
            folder = Path(copies().name) / self.id
            folder.mkdir(exist_ok=True)
            return Path(self.client.download_artifacts(self.id, path, str(folder)))
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
                self.send_artifacts(Path(folder))
            try:
                self.client.create_registered_model(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            source = f"{self.artifacts}/registered"
            return str(self.client.create_model_version(name, source, run_id=self.id).version)
        except FAULTS as error:
            raise AmpsimError(f"{name} could not be registered: {first_line(error)}") from error

    def finish(self, status: str = "FINISHED", *, note: str = "", mark: str = "") -> None:
        """Mark the run as ended, with a tag `mark` (diverged, pruned, ...) if it has one; where the store itself is what
        failed, that has been said already."""
        tags = {NOTE: note} if note else {}
        try:
            self.log_tags(tags | ({mark: "true"} if mark else {}))
            self.log(status=status)
            self.status = status
        except AmpsimError:
            if status == "FINISHED":
                raise
        if self.away and self.notice:
            try:
                refuse_unreachable(self.client.tracking_uri)
                self.sync()
            except (AmpsimError, *FAULTS):
                self.notice(f"the MLflow store has not got all of {self.name}: `ampsim sync` sends it once it answers")


class Load:
    """How busy the machine is, as MLflow's system metrics: processor, memory, disk, network, and GPUs where nvidia-ml-py is
    installed. A run's first minute costs nothing and tells nothing.
    """

    def __init__(self, tracked: TrackedRun) -> None:
        self.tracked, self.begun = tracked, time.monotonic()
        self.monitor: Any = None

    def since_last(self) -> dict[str, float]:
        """Since it was last asked, by MLflow's names."""
        if time.monotonic() - self.begun < LONG_S:
            return {}
        first = self.monitor is None
        if self.monitor is None:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            self.monitor = SystemMetricsMonitor(self.tracked.id, tracking_uri=self.tracked.client.tracking_uri)
        self.monitor.collect_metrics()
        found = self.monitor.aggregate_metrics()
        for each in self.monitor.monitors:
            each.clear_metrics()
        return {} if first else {f"system/{name}": value for name, value in found.items()}


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
            left = f"{outbox.folder} is not sent: {error if isinstance(error, AmpsimError) else first_line(error)}"
    if left:
        raise AmpsimError(left)


def ended_as(run: Run) -> str:
    """What became of a run: finished, diverged, pruned, timed out, failed, interrupted or running."""
    if run.info.status == "FAILED" or run.info.status == "KILLED":
        marks = [tag.replace("_", " ") for tag in ENDS if run.data.tags.get(tag) == "true"]
        return [*marks, "failed" if run.info.status == "FAILED" else "interrupted"][0]
    return {"FINISHED": "finished"}.get(run.info.status, "running")


def as_kept(tags: Mapping[str, object]) -> dict[str, str]:
    """Tags as everybody may read them who reads the store: commands in them name servers."""
    return {key: without_passwords(str(value)) for key, value in tags.items()}


@functools.cache
def copies() -> tempfile.TemporaryDirectory[str]:
    """Where copies of artifacts lie that came from a server, until this process ends."""
    return tempfile.TemporaryDirectory(prefix="ampsim-copies-")


def child_of(parent_id: str) -> str:
    return f"tags.`{PARENT}` = '{parent_id}'"
