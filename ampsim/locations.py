"""Where a store is and what shows it: known without loading MLflow, which takes seconds."""

import os
import subprocess
import sys
from pathlib import Path


def database_uri(folder: str | Path) -> str:
    """SQLite's address of the store in a folder; absolute, since MLflow resolves a relative one anew in each folder."""
    return f"sqlite:///{(Path(folder).absolute() / 'mlflow.db').as_posix()}"


def serve_page(folder: str | Path, uri: str | None, port: int) -> int:
    """Serve MLflow's page of a store on loopback until it is interrupted; returns its exit code."""
    # One worker serves one person, and starts in a quarter of the time of the usual four.
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri or database_uri(folder), *where]
    # Neither telemetry nor the workers for jobs that ampsim has none of.
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return subprocess.call(command, env={**os.environ, **quiet})
