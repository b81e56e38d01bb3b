"""Databases that are fresh, moved, damaged, of another MLflow or of someone else, read back by plain SQL."""

import os
import random
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import alembic.command
import pytest
from alembic.script import ScriptDirectory
from mlflow.exceptions import MlflowException
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from mlflow.tracking import MlflowClient
from sqlalchemy import create_engine

from ampsim import AmpsimError
from ampsim.cli import main as cli
from ampsim.runs import databases
from ampsim.runs.locations import mend_moved
from ampsim.runs.tracking import PARENT, Store


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run and its files, which is copied and never opened again."""
    folder = tmp_path_factory.mktemp("made")
    store = Store(folder / "old place" / "runs")
    (folder / "files" / "audio").mkdir(parents=True)
    (folder / "files" / "config.yaml").write_text("seed: 0\n")
    (folder / "files" / "audio" / "amp.wav").write_bytes(b"sound")
    run = store.start("first", params={"seed": 0}, tags={})
    run.log_folder(folder / "files")
    run.finish()
    with closing(sqlite3.connect(store.folder / "mlflow.db")) as database, database:
        database.execute("INSERT INTO registered_models (name, creation_time) VALUES ('amp', 0)")
        source = f"{run.place.as_uri()}/registered"
        database.execute(
            "INSERT INTO model_versions (name, version, source, run_id) VALUES ('amp', 1, ?, ?)", [source, run.id]
        )
    return store.folder


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """A copy of it in another place; the old one is still there."""
    return shutil.copytree(made, tmp_path / "new place" / "runs")


def changed(folder: Path, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        assert database.execute(statement, values).rowcount > 0


def asked(folder: Path, query: str) -> list:
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        return [row[0] for row in database.execute(query)]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# ---- moved and copied ----


def test_a_copied_store_reads_and_writes_its_own_files(made: Path, runs: Path, tmp_path: Path):
    before = files(made)
    found = Store(runs).find("first")
    assert found.file("config.yaml") == runs / "artifacts" / found.id / "artifacts" / "config.yaml"
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "note.txt").write_text("x")
    found.log_folder(tmp_path / "more")
    Store(runs).start("second", params={}, tags={}).log_folder(tmp_path / "more")
    assert files(made) == before
    assert len([name for name in files(runs) if name.endswith("note.txt")]) == 2
    # MLflow's own page goes by what the database says.
    here = (runs / "artifacts").as_uri()
    assert asked(runs, "SELECT artifact_location FROM experiments WHERE name = 'ampsim'") == [here]
    assert all(uri.startswith(here) for uri in asked(runs, "SELECT artifact_uri FROM runs"))
    assert asked(runs, "SELECT source FROM model_versions") == [f"{here}/{found.id}/artifacts/registered"]
    client = MlflowClient(f"sqlite:///{runs / 'mlflow.db'}")
    assert Path(client.download_artifacts(found.id, "audio/amp.wav")).read_bytes() == b"sound"


def test_a_moved_store_does_not_make_its_old_place_again(runs: Path, tmp_path: Path):
    Store(runs)
    shutil.move(runs.parent, tmp_path / "third")
    store = Store(tmp_path / "third" / "runs")
    assert store.find("first").file("audio/amp.wav").read_bytes() == b"sound"
    store.start("again", params={}, tags={}).log_folder(tmp_path / "third" / "runs" / "artifacts")
    assert not (tmp_path / "new place").exists()


def test_a_folder_may_have_almost_any_name(runs: Path, tmp_path: Path):
    """MLflow and SQLAlchemy go by addresses, in which some signs mean something."""
    (tmp_path / "names").mkdir()
    moved = Path(shutil.move(runs, tmp_path / "names" / "ü #1 & 'q' [x];@:$_% 50%"))
    assert Store(moved).find("first").file("audio/amp.wav").read_bytes() == b"sound"
    Store(moved).start("second", params={}, tags={}).finish()
    assert asked(moved, "SELECT name FROM runs ORDER BY start_time") == ["first", "second"]
    assert list((tmp_path / "names").iterdir()) == [moved]


@pytest.mark.parametrize("name", ["per%20cent", "who?mode=ro"])
def test_a_folder_whose_database_would_lie_elsewhere_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    assert cli.main(["train"]) == 2
    assert f"{name}/runs has a `?` or a `%` with a number in its path" in capsys.readouterr().err
    with pytest.raises(AmpsimError, match=r"which MLflow reads as something else: say folder=\.\.\."):
        Store("runs")
    assert files(tmp_path) == set()


def test_a_store_reached_by_a_link_is_not_rewritten(runs: Path, tmp_path: Path):
    Store(runs)
    (tmp_path / "link").symlink_to(runs)
    assert Store(tmp_path / "link").find("first").file("config.yaml").read_text() == "seed: 0\n"
    assert asked(runs, "SELECT artifact_location FROM experiments WHERE name = 'ampsim'") == [
        (runs / "artifacts").as_uri()
    ]


def test_the_page_of_a_moved_store_finds_its_files(runs: Path):
    mend_moved(runs)
    assert all(uri.startswith(runs.as_uri()) for uri in asked(runs, "SELECT artifact_uri FROM runs"))


# ---- of someone else ----

PLACES = ["file:///etc", "http://127.0.0.1:9/x", "s3://bucket/x", "mlflow-artifacts:/x", "{here}/../../..", "{outside}"]


@pytest.mark.parametrize("place", PLACES)
def test_a_run_whose_artifacts_lie_elsewhere_is_refused(place: str, runs: Path, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "config.yaml").write_text("stolen")
    uri = place.format(here=(runs / "artifacts").as_uri(), outside=outside.as_uri())
    changed(runs, "UPDATE runs SET artifact_uri = ?", uri)
    run = Store(runs).find("first")
    with pytest.raises(AmpsimError, match=r"names .* as the place of its artifacts"):
        run.file("config.yaml")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "note.txt").write_text("x")
    with pytest.raises(AmpsimError, match=r"names .* as the place of its artifacts"):
        run.log_folder(tmp_path / "more")
    assert files(outside) == {"config.yaml"}


@pytest.mark.parametrize("place", ["file:///etc", "s3://bucket/x", "mlflow-artifacts:/1"])
def test_new_runs_lie_here_wherever_the_experiment_says(place: str, runs: Path):
    changed(runs, "UPDATE experiments SET artifact_location = ? WHERE name = 'ampsim'", place)
    assert Store(runs).start("new", params={}, tags={}).artifacts.startswith((runs / "artifacts").as_uri())


@pytest.mark.parametrize("link", ["artifacts", "artifacts/{id}", "artifacts/{id}/artifacts/audio"])
def test_a_link_out_of_the_folder_is_refused(link: str, runs: Path, tmp_path: Path):
    run = Store(runs).find("first")
    target = runs / link.format(id=run.id)
    shutil.move(target, tmp_path / "outside")
    target.symlink_to(tmp_path / "outside")
    before = files(tmp_path / "outside")
    with pytest.raises(AmpsimError, match="leads out of"):
        run.file("audio/amp.wav")
    (tmp_path / "more" / "audio").mkdir(parents=True)
    (tmp_path / "more" / "audio" / "new.wav").write_text("x")
    with pytest.raises(AmpsimError, match="leads out of"):
        run.log_folder(tmp_path / "more")
    assert files(tmp_path / "outside") == before


def test_an_id_that_is_a_path_is_refused(runs: Path):
    changed(runs, "UPDATE runs SET run_uuid = '../../x'")
    changed(runs, "UPDATE tags SET run_uuid = '../../x'")
    with pytest.raises(AmpsimError, match=r"holds a run whose id is none: \.\./\.\./x"):
        Store(runs).find("first")


def test_compare_writes_nothing_to_where_a_strangers_sweep_points(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    parent = Store(runs).find("first")
    child = Store(runs).start("job", params={}, tags={PARENT: parent.id})
    child.log_metrics({"test_esr": 0.1})
    child.finish()
    changed(runs, "UPDATE runs SET artifact_uri = ?", (tmp_path / "outside").as_uri())
    assert cli.main(["compare", "sweep=first", f"folder={runs}"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "outside").exists()


# ---- deleted, older, newer, damaged, without a driver ----


def test_a_deleted_experiment_comes_back_by_the_command_that_is_told(runs: Path):
    store = Store(runs)
    store.client.delete_experiment(store.experiment_id)
    with pytest.raises(AmpsimError, match="was deleted in MLflow's page") as refused:
        Store(runs)
    (command,) = re.findall(r"(MLFLOW_TRACKING_URI=.*); or", str(refused.value))
    command = command.replace("mlflow ", f"{sys.executable} -m mlflow ")
    subprocess.run(command, shell=True, check=True, capture_output=True)
    assert Store(runs).find("first").name == "first"


def test_an_older_database_comes_up_to_date_by_the_command_that_is_told(runs: Path):
    before = "c48cb773bb87"  # of MLflow 1.29, before the latest metrics were flagged
    versions = Path(databases.mlflow.store.__path__[0]) / "db_migrations" / "versions"
    assert list(versions.glob(f"{before}_*.py"))
    changed(runs, "UPDATE alembic_version SET version_num = ?", before)
    with pytest.raises(AmpsimError, match="by an older MLflow") as refused:
        Store(runs)
    assert str(refused.value).endswith(f"mlflow db upgrade 'sqlite:///{(runs / 'mlflow.db').as_posix()}'")


@pytest.mark.slow
@pytest.mark.parametrize("revision", ["c48cb773bb87", "the last but one"])
def test_an_older_database_keeps_its_runs(revision: str, tmp_path: Path):
    """One made by MLflow's own migrations up to there, which it goes on with by itself where a table is missing."""
    path = tmp_path / "mlflow.db"
    engine = create_engine(f"sqlite:///{path}")
    InitialBase.metadata.create_all(engine)
    with engine.begin() as connection:
        migrations = _get_alembic_config(str(engine.url))
        versions = ScriptDirectory.from_config(migrations)
        last_but_one = versions.get_revision(versions.get_current_head()).down_revision
        migrations.attributes["connection"] = connection
        alembic.command.upgrade(migrations, revision if " " not in revision else last_but_one)
    engine.dispose()
    place = (tmp_path / "artifacts").as_uri()
    with closing(sqlite3.connect(path)) as database, database:
        kept = "(experiment_id, name, artifact_location, lifecycle_stage)"
        database.execute(f"INSERT INTO experiments {kept} VALUES (1, 'ampsim', ?, 'active')", [place])
        kept = (
            "(run_uuid, name, experiment_id, status, lifecycle_stage, start_time, artifact_uri, source_type, user_id)"
        )
        run = ["old", f"{place}/a/artifacts"]
        database.execute(f"INSERT INTO runs {kept} VALUES ('a', ?, 1, 'FINISHED', 'active', 1, ?, 'LOCAL', '')", run)
    try:
        Store(tmp_path)
    except AmpsimError as refused:
        command = str(refused).rpartition("with: mlflow ")[2]
        subprocess.run(f"{sys.executable} -m mlflow {command}", shell=True, check=True, capture_output=True)
    assert Store(tmp_path).find("last").name == "old"


def test_a_newer_database_asks_for_a_newer_mlflow(runs: Path):
    changed(runs, "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(AmpsimError, match=r"by a newer MLflow than .*: pip install --upgrade mlflow$"):
        Store(runs)


def test_a_long_reason_is_not_cut_in_a_word():
    said = databases.first_line(MlflowException("a reason " * 100 + "\nand more"))
    assert said.endswith("reason ...")
    assert len(said) <= 400


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_are_a_sentence_or_change_nothing_of_use(seed: int, runs: Path):
    path, drawn = runs / "mlflow.db", random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(400):
        content[drawn.randrange(100 if seed % 2 else 0, len(content))] ^= 1 << drawn.randrange(4)
    path.write_bytes(content)
    with suppress(AmpsimError):
        store = Store(runs)
        store.find("last")
        store.find("first").log_metrics({"test_esr": 0.5})


def test_a_database_with_a_damaged_page_says_so(runs: Path):
    path = runs / "mlflow.db"
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(255 for _ in content[4096:])
    path.write_bytes(content)
    with pytest.raises(AmpsimError, match=r"mlflow\.db is damaged.*put a copy of it in its place"):
        Store(runs)


VERSION = r"version of its tables \(`alembic_version`\)"


@pytest.mark.parametrize(
    ("statement", "lacking"),
    [
        ("DROP TABLE runs", "column `deleted_time`"),  # MLflow makes the table again, as its first version had it
        ("DROP TABLE latest_metrics", "table `latest_metrics`"),
        ("DROP TABLE alembic_version", VERSION),
        ("DELETE FROM alembic_version", VERSION),
        ("UPDATE alembic_version SET version_num = ''", VERSION),
        ("INSERT INTO alembic_version VALUES ('c48cb773bb87')", VERSION),
        ("ALTER TABLE experiments RENAME COLUMN lifecycle_stage TO stage", "column `lifecycle_stage`"),
    ],
)
def test_a_database_that_lacks_a_part_says_which(statement: str, lacking: str, runs: Path):
    with closing(sqlite3.connect(runs / "mlflow.db")) as database, database:
        database.execute(statement)
    with pytest.raises(AmpsimError, match=f"has no {lacking}: it is damaged, or the database of another program"):
        Store(runs).find("first")


def test_what_postgresql_says_of_a_missing_table_is_told_alike():
    sentence = databases.told("postgresql://host/runs", OSError('relation "runs" does not exist'))
    assert sentence.startswith("the MLflow store postgresql://host/runs has no table or column `runs`: it is damaged")


def test_another_driver_that_there_is_not_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ampsim.runs.tracking.refuse_unreachable", lambda uri: None)
    monkeypatch.setitem(sys.modules, "MySQLdb", None)
    with pytest.raises(AmpsimError, match=r"needs a driver that is not installed .*package that reads mysql databases"):
        Store(tmp_path, uri="mysql://user@127.0.0.1/runs")


def test_postgresql_without_its_driver_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ampsim.runs.tracking.refuse_unreachable", lambda uri: None)
    for name in ("psycopg", "psycopg2"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(AmpsimError, match=r"needs a driver that is not installed .*pip install 'ampsim\[postgres\]'"):
        Store(tmp_path, uri="postgresql://user@127.0.0.1/runs")


# ---- many at once on a fresh one ----

FIRST = """
import sys
from pathlib import Path
from ampsim.runs.tracking import Store
print("ready", flush=True)
sys.stdin.read(1)
run = Store(sys.argv[1], uri=sys.argv[2] or None).start("first", params={"seed": 0}, tags={})
run.log_metrics({"loss": 1.0}, step=1)
run.finish()
"""


def at_once(folders: list[Path], uri: str) -> list[str]:
    """Several first runs, begun together once all have imported MLflow; what each had to say."""
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST, str(folder), uri],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for folder in folders
    ]
    for process in begun:
        assert process.stdout.readline() == "ready\n"
    for process in begun:
        process.stdin.write("x")
        process.stdin.flush()
    return [f"{process.returncode}: {err}" for process in begun for _, err in [process.communicate(timeout=300)]]


@pytest.mark.slow
def test_four_first_runs_at_once_on_a_fresh_folder(tmp_path: Path):
    said = at_once([tmp_path / "runs"] * 4, "")
    assert all(each.startswith("0:") for each in said), said
    assert len(Store(tmp_path / "runs").runs("attributes.status = 'FINISHED'")) == 4


def test_whoever_comes_second_takes_the_experiment_of_the_first(runs: Path, monkeypatch: pytest.MonkeyPatch):
    """As on a server, where two machines find no experiment and both make it."""
    original, asked = MlflowClient.get_experiment_by_name, []

    def late(self: MlflowClient, name: str) -> object:
        asked.append(name)
        return None if len(asked) == 1 else original(self, name)

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", late)
    assert Store(runs).find("first").name == "first"
    assert len(asked) == 2


# ---- PostgreSQL ----


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a fresh database in a server of this test's own, on loopback."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: ampsim[postgres]")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = str(programs[-1]) if programs else shutil.which("initdb")
    if not found:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="ampsim-"))  # not pytest's, which only its user may enter
    as_user: list[str] = []
    if os.geteuid() == 0:  # as whom PostgreSQL refuses to run
        if not shutil.which("setpriv"):
            pytest.skip("PostgreSQL does not run as root, and there is no setpriv to run it as nobody")
        as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        os.chown(folder, 65534, 65534)
    port, data = free_port(), folder / "data"
    tools, sockets = Path(found).parent, f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off"
    (folder / "password").write_text("p@ss")
    (folder / "password").chmod(0o644)
    made = [*as_user, found, "-D", str(data), "-U", "ampsim", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync"]
    made += ["--pwfile", str(folder / "password")]
    control = [*as_user, str(tools / "pg_ctl"), "-D", str(data), "-w"]
    subprocess.run(made, check=True, capture_output=True, cwd="/")
    subprocess.run(
        [*control, "-o", sockets, "-l", str(folder / "log"), "start"], check=True, cwd="/", stdout=subprocess.DEVNULL
    )
    try:
        yield f"postgresql://ampsim:p%40ss@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, cwd="/", stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong", "sentence"),
    [
        ("p%40ss", "pass", "password authentication failed"),
        (":p%40ss", "", "no password supplied"),
        ("/postgres", "/absent", 'database "absent" does not exist'),
    ],
)
def test_what_postgresql_refuses_is_told_without_the_password(
    right: str, wrong: str, sentence: str, postgres: str, tmp_path: Path
):
    uri = postgres.replace(right, wrong)
    with pytest.raises(AmpsimError, match=f"refuses: .*{sentence}.*Its address is postgresql://user") as refused:
        Store(tmp_path, uri=uri)
    assert uri.replace("p%40ss", "***").replace("pass@", "***@") in str(refused.value)
    assert "p%40ss" not in str(refused.value)


@pytest.mark.slow
def test_four_first_runs_at_once_on_a_fresh_postgresql(postgres: str, tmp_path: Path):
    said = at_once([tmp_path / str(number) for number in range(4)], postgres)  # as of four machines
    assert all(each.startswith("0:") for each in said), said
    store = Store(tmp_path / "0", uri=postgres)
    assert len(store.runs("attributes.status = 'FINISHED'")) == 4
    assert store.find("last").metrics["loss"] == 1.0
    for name in ('it\'s "both" 50%_', "back\\slash", "x; drop table runs"):
        store.start(name, params={}, tags={}).finish()
        assert store.start(name, params={}, tags={}).name == f"{name}-2"
        assert store.find(name).name == name
    (found,) = subprocess.run(
        ["psql", postgres, "-Atc", "SELECT count(*) FROM experiments WHERE name = 'ampsim'"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert found == "1"
