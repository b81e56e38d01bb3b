"""Where a store and its artifacts are, and what shows it: known without loading MLflow, which takes seconds."""

import http.client
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from ampsim import AmpsimError

PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
ANSWER_S = 5.0  # for a server to take a connection; MLflow itself would try for minutes


def database_uri(folder: str | Path) -> str:
    """SQLite's address of the store in a folder; absolute, since MLflow resolves a relative one anew in each folder."""
    return f"sqlite:///{(Path(folder).absolute() / 'mlflow.db').as_posix()}"


def artifacts_of(folder: str | Path) -> Path:
    """Where a store of this machine keeps the artifacts of its runs."""
    return Path(folder).absolute() / "artifacts"


def in_a_store(uri: str, run_id: str) -> bool:
    """Whether an address is that of a run's artifacts in a store's folder, be it where that folder was before."""
    return uri.startswith("file:") and uri.endswith(f"/artifacts/{run_id}/artifacts")


def mend_moved(folder: str | Path, experiment: str = "") -> None:
    """Have the database of a folder that was moved or copied name the artifacts that lie in it now.

    MLflow keeps absolute addresses: of a moved folder they name nothing, of a copied one the other's files. Those of runs
    that lie in no store's folder stay as they are, and `TrackedRun` refuses them. A database that cannot be written or
    read is left to whoever opens it.

    Args:
        experiment: gets its artifacts here whatever its address was, since new runs are made from that.
    """
    here, database = artifacts_of(folder), Path(folder).absolute() / "mlflow.db"
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=30)) as opened:
        query = "SELECT artifact_location FROM experiments WHERE artifact_location LIKE 'file:%/artifacts' OR name = ?"
        if all(same_place(uri, here) for (uri,) in opened.execute(query, [experiment])):
            return
        with opened:
            for statement in MENDING:
                opened.execute(statement, {"here": here.as_uri(), "experiment": experiment})


def same_place(uri: Any, folder: Path) -> bool:
    """Whether an address names a folder, be it by another path (a link, a mount)."""
    if uri == folder.as_uri():
        return True
    with suppress(OSError, ValueError, AttributeError):
        parts = urlsplit(uri)
        return parts.scheme == "file" and Path(url2pathname(parts.path)).samefile(folder)
    return False


MENDING = (
    "UPDATE experiments SET artifact_location = :here "
    "WHERE artifact_location LIKE 'file:%/artifacts' OR name = :experiment",
    "UPDATE runs SET artifact_uri = :here || '/' || run_uuid || '/artifacts' "
    "WHERE artifact_uri LIKE 'file:%/artifacts/' || run_uuid || '/artifacts'",
    # Of models in the registry, whose files are among their runs' artifacts.
    *(
        f"UPDATE model_versions SET {column} = :here || substr({column}, instr({column}, '/' || run_id || '/artifacts/')) "
        f"WHERE {column} LIKE 'file:%/artifacts/' || run_id || '/artifacts/%'"
        for column in ("source", "storage_location")
    ),
)


def refuse_empty(folder: str | Path, uri: str | None) -> None:
    """Raises AmpsimError where runs are asked for in a folder that has none."""
    if not uri and not (Path(folder) / "mlflow.db").exists():
        raise AmpsimError(
            f"{Path(folder).absolute()} holds no runs yet: make one with `ampsim train`, or say folder=..."
        )


def refuse_unreachable(uri: str | None) -> None:
    """Raises AmpsimError if the server of a store takes no connection; an address without a server passes."""
    try:
        parts = urlsplit(uri or "")
        port = parts.port or PORTS.get(parts.scheme.partition("+")[0])
    except ValueError as error:
        raise AmpsimError(f"tracking.uri={uri}: {error}") from error
    if not parts.hostname or not port:
        return
    try:
        socket.create_connection((parts.hostname, port), timeout=ANSWER_S).close()
    except OSError as error:
        raise AmpsimError(
            f"the MLflow store {uri} does not answer ({error.strerror or error}): is its server running there? "
            "Without tracking.uri the runs are kept in tracking.folder"
        ) from error


def serve_page(folder: str | Path, uri: str | None, port: int) -> int:
    """Serve MLflow's page of a store on loopback until it is interrupted; returns its exit code."""
    # One worker serves one person, and starts in a quarter of the time of the usual four.
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri or database_uri(folder), *where]
    # Neither telemetry nor the workers for jobs that ampsim has none of.
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return subprocess.call(command, env={**os.environ, **quiet})
