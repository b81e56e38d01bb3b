"""Where a store is and what shows it: known without loading MLflow, which takes seconds."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from ampsim import AmpsimError

PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
ANSWER_S = 5.0  # for a server to take a connection; MLflow itself would try for minutes


def database_uri(folder: str | Path) -> str:
    """SQLite's address of the store in a folder; absolute, since MLflow resolves a relative one anew in each folder."""
    return f"sqlite:///{(Path(folder).absolute() / 'mlflow.db').as_posix()}"


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
