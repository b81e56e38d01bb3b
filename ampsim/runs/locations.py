"""Where a store and its artifacts are, and what shows it: known without loading MLflow, which takes seconds."""

import errno
import http.client
import json
import os
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
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from ampsim import AmpsimError

PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
ANSWER_S = 5.0  # for a server to take a connection; MLflow itself would try for minutes


def database_uri(folder: str | Path) -> str:
    """SQLite's address of the store in a folder; absolute, since MLflow resolves a relative one anew in each folder.

    Raises:
        AmpsimError: the path has a sign that means something else in an address, and the database would lie elsewhere.
    """
    path = (Path(folder).absolute() / "mlflow.db").as_posix()
    if "?" in path or unquote(path) != path:
        raise AmpsimError(
            f"{Path(folder).absolute()} has a `?` or a `%` with a number in its path, which MLflow reads as something else: "
            "say folder=..."
        )
    return f"sqlite:///{path}"


def artifacts_of(folder: str | Path) -> Path:
    """Where a store of this machine keeps the artifacts of its runs."""
    return Path(folder).absolute() / "artifacts"


def point_to(place: Path) -> None:
    """Let `last` in a store's folder lead to the artifacts of a run; nothing where the system has no links, or something else
    has that name."""
    folder = place.parents[2]
    link = folder / "last"
    if link.exists() and not link.is_symlink():
        return
    made = link.with_name(f"last.{os.getpid()}.part")
    with suppress(OSError, NotImplementedError):
        made.symlink_to(os.path.relpath(place, folder), target_is_directory=True)
        made.replace(link)  # at once, so that jobs beside each other leave one of theirs


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
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=30)) as opened,
    ):
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
    if str(uri).startswith("postgres://"):
        raise AmpsimError(f"tracking.uri={uri}: it begins with postgresql://")
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
            "Without uri= the runs are kept in folder="
        ) from error


# ---- MLflow's page --------------------------------------------------------------------------------------------------


def serve_page(folder: str | Path, uri: str | None, port: int, *, ready: Callable[[], None] = lambda: None) -> int:
    """Serve MLflow's page of a store on loopback until it is interrupted; returns its exit code.

    Args:
        ready: called once the page answers.

    Raises:
        AmpsimError: the port is taken, or this user may not have it.
    """
    refuse_taken(folder, uri, port)
    if not uri:
        mend_moved(folder)
    # One worker serves one person, and starts in a quarter of the time of the usual four.
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri or database_uri(folder), *where]
    # Neither telemetry nor the workers for jobs that ampsim has none of.
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    # In a session of its own, so that whatever ends this process ends the server with its workers, and once.
    server = subprocess.Popen(command, env={**os.environ, **quiet}, start_new_session=True)
    try:
        while server.poll() is None and asked(port, "/health") is None:
            time.sleep(0.2)
        if server.poll() is None:
            ready()
        return server.wait()
    finally:
        end_group(server)


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """End a process that leads a group, and the group with it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group that is gone
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)


def refuse_taken(folder: str | Path, uri: str | None, port: int) -> None:
    """Raises AmpsimError where a port of loopback is not to be had; it says whose it is."""
    if not 0 < port < 65536:
        raise AmpsimError(f"port={port}: it is between 1 and 65535")
    fault = bound(port)
    if fault is None:
        return
    free = next((other for other in range(port + 1, min(port + 100, 65536)) if bound(other) is None), None)
    other = f"say port={free}" if free else "say port=..."
    if fault.errno != errno.EADDRINUSE:
        raise AmpsimError(f"port {port} cannot be used ({fault.strerror}): {other}")
    if asked(port, "/version") is None or asked(port, "/health") != b"OK":
        raise AmpsimError(f"port {port} is taken by another program, which is no MLflow: {other}")
    if not uri and serves(port, folder):
        raise AmpsimError(
            f"the page of {folder} is served already: open http://127.0.0.1:{port}, or {other} for a second"
        )
    raise AmpsimError(f"port {port} is taken by an MLflow server of another store: {other}")


def bound(port: int) -> OSError | None:
    """What keeps a server from a port of loopback, or None."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, for one that ended just now
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            return error
    return None


def serves(port: int, folder: str | Path) -> bool:
    """Whether the MLflow server at a port shows the store of a folder, told by where its experiments keep artifacts."""
    answer = asked(port, "/api/2.0/mlflow/experiments/search?max_results=100") or b""
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        places = [each.get("artifact_location") for each in json.loads(answer)["experiments"]]
        return any(same_place(place, artifacts_of(folder)) for place in places)
    return False


def asked(
    port: int, path: str, body: Any = None, *, timeout_s: float = ANSWER_S, most: int = 1_000_000
) -> bytes | None:
    """What a server at a port of loopback answers with 200, in its first `most` bytes; None where it does not.

    Args:
        body: is posted as JSON; None gets.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        text = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.read(most) if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
