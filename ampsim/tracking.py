"""Everything MLflow: one SQLite file with the artifacts beside it, or any server. Nothing else imports mlflow."""

import logging
import math
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from ampsim import AmpsimError
from ampsim.locations import database_uri
from ampsim.targets import nearest

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before the import: nothing is sent behind the user's back
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

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
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.client = MlflowClient(self.uri)
            self.experiment_id = self.find_experiment()
        except OSError as error:
            raise AmpsimError(f"{self.folder} cannot be written to ({error.strerror}): set tracking.folder") from error
        except (MlflowException, SQLAlchemyError) as error:
            raise AmpsimError(f"the MLflow store {self.uri} does not answer: {first_line(error)}") from error

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
        taken = {run.info.run_name for run in self.runs()}
        number = next(n for n in range(1, len(taken) + 2) if numbered(name, n) not in taken)
        run = self.client.create_run(self.experiment_id, run_name=numbered(name, number))
        tracked = TrackedRun(self.client, run)
        tracked.log_params(params)
        tracked.log_tags(tags)
        return tracked

    def resume(self, run_id: str) -> "TrackedRun | None":
        """An interrupted run, to go on with; None if it is not there any more."""
        try:
            self.client.set_terminated(run_id, "RUNNING")
            return TrackedRun(self.client, self.client.get_run(run_id))
        except MlflowException:
            return None

    def runs(self) -> list[Run]:
        """Runs of the experiment, newest first."""
        found, page = [], None
        while page != "":
            runs = self.client.search_runs([self.experiment_id], max_results=1000, page_token=page)
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
            runs = [run for run in runs if run.info.status == "FINISHED"]
            if not runs:
                raise AmpsimError(f"{self.folder} holds no finished run yet: make one with `ampsim train`")
            return TrackedRun(self.client, runs[0])
        for run in runs:
            if wanted in (run.info.run_id, run.info.run_name):
                return TrackedRun(self.client, run)
        names = [run.info.run_name for run in runs[:50]]
        raise AmpsimError(f"there is no run `{wanted}` in {self.folder}{nearest(wanted, names)}")


class TrackedRun:
    """One run in the store."""

    def __init__(self, client: MlflowClient, run: Run) -> None:
        self.client = client
        self.id, self.name = run.info.run_id, run.info.run_name
        self.artifacts = run.info.artifact_uri
        self.metrics = dict(run.data.metrics)
        self.logged_step = int(self.metrics.get("step", 0))

    def log_params(self, params: Mapping[str, Any]) -> None:
        entries = [Param(key, str(value)[:VALUE_LENGTH]) for key, value in params.items()]
        for start in range(0, len(entries), BATCH):
            self.client.log_batch(self.id, params=entries[start : start + BATCH])

    def log_tags(self, tags: Mapping[str, str]) -> None:
        self.client.log_batch(self.id, tags=[RunTag(key, str(value)) for key, value in tags.items()])

    def log_round(self, row: Mapping[str, float]) -> None:
        """One point of the training curves; a resumed run does not log a point twice."""
        step = int(row["step"])
        if step > self.logged_step:
            self.log_metrics(row, step=step)
            self.logged_step = step

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        now = int(time.time() * 1000)
        # MLflow stores infinity as 1.8e308, which ruins every chart; a run that diverged is tagged so.
        finite = {key: float(value) for key, value in values.items() if math.isfinite(value)}
        self.client.log_batch(self.id, metrics=[Metric(key, value, now, step) for key, value in finite.items()])

    def log_folder(self, folder: Path) -> None:
        """Every file in a folder, under the same relative path."""
        self.client.log_artifacts(self.id, str(folder))

    def file(self, path: str) -> Path:
        """The artifact itself where the store is on this machine, else a copy of it."""
        if self.artifacts.startswith("file:"):
            found = Path(url2pathname(urlparse(self.artifacts).path)) / path
            if not found.exists():
                raise AmpsimError(f"run {self.name} holds no {path}: did it finish?")
            return found
        try:
            return Path(self.client.download_artifacts(self.id, path))
        except (MlflowException, OSError) as error:
            raise AmpsimError(f"run {self.name} holds no {path}: did it finish?") from error

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
            if not any(model.name == name for model in self.client.search_registered_models(f"name = '{name}'")):
                self.client.create_registered_model(name)
            source = f"{self.artifacts}/registered"
            return str(self.client.create_model_version(name, source, run_id=self.id).version)
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise AmpsimError(f"{name} could not be registered: {first_line(error)}") from error

    def finish(self, status: str = "FINISHED", *, note: str = "", diverged: bool = False) -> None:
        """Mark the run as ended; where the store itself is what failed, that has been said already."""
        tags = {"mlflow.note.content": note} if note else {}
        try:
            self.log_tags(tags | ({"diverged": "true"} if diverged else {}))
            self.client.set_terminated(self.id, status)
        except (MlflowException, SQLAlchemyError):
            if status == "FINISHED":
                raise


def numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
