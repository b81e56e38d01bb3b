"""The database under a store: made whole, opened by many at once, and what fails in it told in a sentence."""

import re
import shlex
import sqlite3
import textwrap
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import mlflow.store
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from ampsim import AmpsimError

FAULTS = (MlflowException, SQLAlchemyError, OSError)  # of a store that is away, full or read-only
TABLES_LOCK = 2204_2000  # a number that PostgreSQL's advisory locks go by, ampsim's own
# What SQLite and PostgreSQL say of a table or a column that a query names and the database lacks.
LACKING = re.compile(
    r'no such (?P<kind>table|column): (\w+\.)?(?P<name>\w+)|(relation|column) "?(?P<other>[\w.]+)"? does not exist'
)
DRIVERS = {"postgresql": "pip install 'ampsim[postgres]'"}
ADDRESS = "{kind}://user:***@host/database, with %40 for an @ in the password; the database has to be there"


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
def one_makes_tables(uri: str) -> Iterator[None]:
    """In a PostgreSQL database one process at a time is inside, whichever its machine: MLflow itself, opening a fresh
    one twice at once, breaks off with "already exists"."""
    if not uri.startswith("postgresql"):
        yield
        return
    with create_engine(uri, poolclass=NullPool).connect() as connection:  # which ends the lock as it closes
        connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": TABLES_LOCK})
        yield


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """Say it in a sentence if the store fails inside, however it does: a damaged database fails in many ways."""
    try:
        yield
    except AmpsimError:
        raise
    except Exception as error:
        raise AmpsimError(told(uri, error)) from error


def told(uri: str, error: Exception) -> str:
    """What is wrong with a store, and what to do."""
    kind = uri.partition(":")[0].partition("+")[0]
    if isinstance(error, ImportError):
        install = DRIVERS.get(kind, f"install the Python package that reads {kind} databases")
        return f"the MLflow store {uri} needs a driver that is not installed ({first_line(error)}): {install}"
    found = re.search(r"database schema \(found version (\w*)", str(error))
    if found and found[1] not in ("", "None"):
        return other_schema(uri, found[1])
    if kind == "sqlite" and (fault := damage(Path(uri.removeprefix("sqlite:///")))):
        return f"{fault}: put a copy of it in its place that was made before"
    said = first_line(error)
    lacking = "version of its tables (`alembic_version`)" if found or isinstance(error, CommandError) else ""
    if found := LACKING.search(said):
        lacking = f"{found['kind'] or 'table or column'} `{found['name'] or found['other']}`"
    if lacking:
        return (
            f"the MLflow store {uri} has no {lacking}: it is damaged, or the database of another program; put a copy of it "
            "in its place that was made before, or give another store (folder=, uri=)"
        )
    if not isinstance(error, FAULTS):  # what it is says more than its text
        said = f"{type(error).__name__}: {said}"
    if kind != "sqlite" and isinstance(error, OperationalError):  # its server runs: `refuse_unreachable` has asked it
        return f"the MLflow store {uri} refuses: {said}. Its address is {ADDRESS.format(kind=kind)}"
    return f"the MLflow store {uri} does not answer: {said}"


def other_schema(uri: str, version: str) -> str:
    """What to do about a database whose tables are those of another MLflow."""
    versions = ScriptDirectory(str(Path(mlflow.store.__path__[0]) / "db_migrations"))
    try:
        versions.get_revision(version)
    except CommandError:
        return (
            f"the MLflow store {uri} was written by a newer MLflow than {mlflow.__version__}, which is installed here: "
            "pip install --upgrade mlflow"
        )
    return (
        f"the MLflow store {uri} was written by an older MLflow than {mlflow.__version__}, which is installed here: make a "
        f"copy of it, then bring it up to date with: mlflow db upgrade {shlex.quote(uri)}"
    )


def damage(path: Path) -> str:
    """What is wrong with an SQLite file as a whole, if anything is."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            if database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
                return ""
        return f"{path} is damaged"
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # locked, full, not to be opened: the file itself may be sound
            return ""
        header = b""
        if path.is_file():
            with path.open("rb") as file:
                header = file.read(16)
        return f"{path} is {'damaged' if header == b'SQLite format 3' + bytes(1) else 'no database'} ({error})"


def first_line(error: BaseException) -> str:
    """What went wrong at the bottom of it: the disk that is full, and not the query that was made on it."""
    while inner := getattr(error, "orig", None) or error.__cause__:
        error = inner
    lines = str(error).strip().splitlines()
    return textwrap.shorten(lines[0], 400, placeholder=" ...") if lines else type(error).__name__
