"""What would lose work: kills, Ctrl-C, full and read-only disks, servers that die. Nothing is lost, nothing is doubled."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from numpy.testing import assert_array_equal
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.orm import Session

import ampsim.models  # noqa: F401 - Keras finds the classes of saved models by it
from ampsim.cli import main as cli
from ampsim.config import settings
from ampsim.config.run_config import RunConfig
from ampsim.runs import experiment
from ampsim.runs.isolated import Outcome, isolated
from ampsim.runs.tracking import TrackedRun
from ampsim.training.trainer import Trainer

SMALL = [
    "model=dense",
    "model.window=64",
    "model.future=9",
    "model.layers=1",
    "model.units=8",
    "model.dropout=0.1",
    "training.segment_length=1000",
    "training.epochs=60",
    "training.steps_per_call=1",
    "training.validate_every=3",
    "training.checkpoint_every_s=0",
    "optimizer=adam",
    "optimizer.learning_rate=0.01",
    "loss=esr",
]
RESUME = "training.resume=true"


@pytest.fixture(scope="module")
def words(recording: Path) -> list[str]:
    return ["data=stereo", f"data.path='{recording}'", *SMALL]


def runs(uri: str) -> list:
    client = MlflowClient(uri)
    return client.search_runs([client.get_experiment_by_name("ampsim").experiment_id])


def local(folder: Path) -> str:
    return f"sqlite:///{folder.absolute() / 'mlflow.db'}"


def weights(path: Path) -> list[np.ndarray]:
    return keras.saving.load_model(path / "model.keras", compile=False).get_weights()


def kept(folder: Path) -> Path:
    """The artifacts of the one run in a folder."""
    (run,) = runs(local(folder))
    return folder / "artifacts" / run.info.run_id / "artifacts"


def curve(uri: str, name: str) -> list[tuple[int, float]]:
    (run,) = runs(uri)
    return [(point.step, point.value) for point in MlflowClient(uri).get_metric_history(run.info.run_id, name)]


def assert_as_unbroken(folder: Path, unbroken: Path) -> None:
    """One run, finished, with the weights of an unbroken one to the bit, all its params, and each point of its curves once."""
    (run,), (reference,) = runs(local(folder)), runs(local(unbroken))
    assert run.info.status == "FINISHED"
    for one, other in zip(weights(kept(folder)), weights(kept(unbroken)), strict=True):
        assert_array_equal(one, other)
    free = {key: run.data.params[key] for key in ("training.resume", "training.checkpoint_every_s")}
    assert run.data.params == reference.data.params | free
    assert run.data.metrics["test_esr"] == reference.data.metrics["test_esr"]
    for name in ("loss", "learning_rate", "validation_loss"):
        assert curve(local(folder), name) == curve(local(unbroken), name)
    assert list((folder / "unfinished").iterdir()) == []


# ---- killed ----


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def spied(monkeypatch: Any, owner: Any, name: str, at: int, act: Callable[[], Any], *, after: bool = False) -> None:
    """Have `act` called before or after the `at`-th call of a function."""
    original, calls = getattr(owner, name), [0]

    def spy(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        now = calls[0] == at
        if now and not after:
            act()
        answer = original(*arguments, **named)
        if now and after:
            act()
        return answer

    monkeypatch.setattr(owner, name, spy)


PLACES = {
    "statement of a fresh store": (DefaultDialect, "do_execute"),
    "run made": (MlflowClient, "create_run"),
    "step": (Trainer, "call"),
    "array of a checkpoint or model": (np.lib.format, "write_array"),
    "checkpoint to disk": (os, "fsync"),
    "rename": (Path, "replace"),
    "request": (MlflowClient, "log_batch"),
    "commit": (Session, "commit"),
    "artifacts": (TrackedRun, "send_artifacts"),
    "status": (MlflowClient, "set_terminated"),
}


def begin(sender: Any, config: dict, place: str, at: float, after: bool) -> Outcome:
    """Train in this process, which dies there."""
    if place == "time":
        spied(pytest.MonkeyPatch(), Trainer, "call", 1, threading.Timer(at, die).start)
    elif place:
        spied(pytest.MonkeyPatch(), *PLACES[place], int(at), die, after=after)
    experiment.run(RunConfig(config), name="killed")
    return Outcome("finished")


def moments() -> list[tuple[str, float, bool]]:
    """20 moments: around the beginning of a run, at random while it trains, around its end."""
    drawn = random.Random(7)
    middle = ["step", "array of a checkpoint or model", "checkpoint to disk", "rename", "request", "commit", "time"] * 2
    drawn.shuffle(middle)
    most = {"commit": 25, "array of a checkpoint or model": 40, "request": 6}
    trained = [
        (place, drawn.random() / 10 if place == "time" else drawn.randint(1, most.get(place, 4)), drawn.random() < 0.5)
        for place in middle
    ]
    ends = [("artifacts", 2, False), ("artifacts", 2, True), ("status", 2, False), ("status", 2, True)]
    return [("statement of a fresh store", 700, False), ("run made", 1, True), *trained, *ends]


@pytest.mark.slow
def test_a_run_that_is_killed_20_times_comes_to_the_weights_of_an_unbroken_one(words: list[str], tmp_path: Path):
    def config(folder: str) -> dict:
        return settings.composed([*words, RESUME, f"tracking.folder='{tmp_path / folder}'"])

    said = isolated(begin, config("unbroken"), "", 0, False, threads=1)
    assert said.status == "finished", said.note
    assert len(moments()) == 20
    for place, at, after in moments():
        outcome = isolated(begin, config("killed"), place, at, after, threads=1)
        assert "ended by signal 9" in outcome.note, (place, at, after, outcome)
    said = isolated(begin, config("killed"), "", 0, False, threads=1)
    assert said.status == "finished", said.note
    assert_as_unbroken(tmp_path / "killed", tmp_path / "unbroken")


# ---- Ctrl-C ----


@pytest.fixture(scope="module")
def unbroken(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    assert cli.main(["train", *words, f"tracking.folder='{folder}'"]) == 0
    return folder


@pytest.fixture
def _foreground() -> Iterator[None]:
    """Ctrl-C is not ignored, as it is where the tests run in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
@pytest.mark.usefixtures("_foreground")
def test_an_interrupted_run_is_scored_and_goes_on_as_if_it_had_not_been(
    words: list[str], unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    here = [*words, f"tracking.folder='{tmp_path / 'runs'}'"]
    with monkeypatch.context() as patch:
        spied(patch, Trainer, "call", 8, interrupt)
        with pytest.raises(SystemExit) as stop:
            cli.main(["train", *here])
    assert stop.value.code == 130
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("Ctrl-C: the epoch is finished") for line in lines)
    assert lines[-1].startswith("interrupted; to go on: ampsim train data=stereo")
    assert lines[-1].endswith(RESUME)
    (run,) = runs(local(tmp_path / "runs"))
    assert run.info.status == "KILLED"
    assert run.data.metrics["test_esr"] > 0
    assert run.data.metrics["epoch"] == 2  # which ended there, and is no third one that would have been validated
    assert (kept(tmp_path / "runs") / "listen.html").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    assert cli.main(["train", *here, RESUME]) == 0
    (run,), (reference,) = runs(local(tmp_path / "runs")), runs(local(unbroken))
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test_esr"] == reference.data.metrics["test_esr"]
    for one, other in zip(weights(kept(tmp_path / "runs")), weights(kept(unbroken)), strict=True):
        assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.usefixtures("_foreground")
def test_a_second_interrupt_stops_at_once_and_tells_how_to_go_on(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    def twice() -> None:
        interrupt()
        interrupt()

    spied(monkeypatch, Trainer, "call", 2, twice)
    assert cli.main(["train", *words, f"tracking.folder='{tmp_path / 'runs'}'"]) == 130
    (run,) = runs(local(tmp_path / "runs"))
    assert (run.info.status, "test_esr" in run.data.metrics) == ("KILLED", False)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("interrupted; to go on: ampsim train data=stereo")
    assert last.endswith(RESUME)


# ---- ended by the system ----


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "owner", "name", "at"),
    [
        (signal.SIGTERM, Trainer, "warm_up", 1),  # while it compiles
        (signal.SIGHUP, Trainer, "call", 8),
        (signal.SIGTERM, Trainer, "validate", 2),
        (signal.SIGHUP, experiment, "scored", 1),
        (signal.SIGTERM, experiment, "record_result", 1),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_a_run_that_the_system_ends_tells_how_to_go_on_and_does(
    number: signal.Signals,
    owner: Any,
    name: str,
    at: int,
    words: list[str],
    unbroken: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    here = ["train", *words, f"tracking.folder='{tmp_path / 'runs'}'"]
    with monkeypatch.context() as patch:
        spied(patch, owner, name, at, lambda: os.kill(os.getpid(), number))
        assert cli.main(here) == 128 + number
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].startswith(f"ended by {number.name}; to go on: ampsim train data=stereo")
    assert said.err.splitlines()[-1] == f"ampsim: ended by {number.name}"
    assert [run.info.status for run in runs(local(tmp_path / "runs"))] == ["KILLED"]
    assert list((tmp_path / "runs" / "unfinished").glob("*/checkpoint.npz"))
    assert cli.main([*here, RESUME]) == 0
    assert_as_unbroken(tmp_path / "runs", unbroken)


# ---- a disk that is full or read-only ----


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB of its own, so that root too finds it full or read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount the small file system that this fills")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("every", [0, 1e9], ids=["at a checkpoint", "at a point of the curves"])
def test_a_full_disk_is_a_sentence_and_the_run_goes_on_once_there_is_room(
    words: list[str],
    unbroken: Path,
    disk: Path,
    every: float,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    def fill() -> None:
        with suppress(OSError), (disk / "filling").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    here = [*words, f"tracking.folder='{disk / 'runs'}'"]
    with monkeypatch.context() as patch:
        spied(patch, Trainer, "call", 20, fill)
        assert cli.main(["train", *here, f"training.checkpoint_every_s={every}"]) == 2
    said = capsys.readouterr()
    assert "No space left on device" in said.err or "disk is full" in said.err
    assert "Traceback" not in said.err + said.out
    (disk / "filling").unlink()
    assert cli.main(["train", *here, RESUME]) == 0
    assert_as_unbroken(disk / "runs", unbroken)


@pytest.mark.slow
def test_a_store_that_is_read_only_is_a_sentence(
    words: list[str], disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    here = ["train", *words, "training.epochs=1", f"tracking.folder='{disk / 'runs'}'"]
    assert cli.main(here) == 0
    view = tmp_path / "view"  # of the same disk, since files of the disk itself are open
    view.mkdir()
    subprocess.run(["mount", "--bind", str(disk), str(view)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(view)], check=True)
        capsys.readouterr()
        assert cli.main(["train", *words, f"tracking.folder='{view / 'runs'}'"]) == 2
        said = capsys.readouterr()
        assert "read-only" in said.err.lower() or "readonly" in said.err
        assert "Traceback" not in said.err + said.out
        assert cli.main(["evaluate", f"folder={view / 'runs'}"]) == 0  # which writes nothing
    finally:
        subprocess.run(["umount", "-l", str(view)], check=True)


# ---- a server that dies ----


def serve(folder: Path, port: int) -> subprocess.Popen:
    """An MLflow server on SQLite that answers."""
    store = [
        "--backend-store-uri",
        f"sqlite:///{folder / 'server.db'}",
        "--artifacts-destination",
        str(folder / "kept"),
    ]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen(
        [*command, *store],
        env={**os.environ, **quiet},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for _ in range(240):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
            break
        except OSError:
            time.sleep(0.5)
    return process


def end(process: subprocess.Popen) -> None:
    """The server and its workers, which are of its group."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)


@pytest.mark.slow
def test_a_server_that_dies_gets_all_of_the_run_from_sync(
    words: list[str], unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri, folder = f"http://me:hush-hush@127.0.0.1:{port}", tmp_path / "runs"
    server = serve(tmp_path, port)
    try:
        with monkeypatch.context() as patch:
            spied(patch, Trainer, "call", 40, lambda: end(server))
            code = cli.main(["train", *words, f"tracking.folder='{folder}'", f"tracking.uri={uri}"])
        said = capsys.readouterr()
        assert code == 0, said.err
        assert said.out.count("the MLflow store does not answer") == 1
        assert "`ampsim sync` sends it" in said.out
        assert "hush-hush" not in said.out + said.err
        assert "Traceback" not in said.out + said.err
        assert cli.main(["sync", f"folder={folder}"]) == 2  # it is not back yet
        assert "is not sent: the MLflow store http://me:***@127.0.0.1" in capsys.readouterr().err
    finally:
        if server.poll() is None:
            end(server)
    server = serve(tmp_path, port)
    try:
        (run,) = runs(uri)
        assert run.info.status == "RUNNING"
        with (folder / "unsent" / run.info.run_id / "record.jsonl").open("a") as file:
            file.write('{"metrics": {"lo')  # torn by a power cut
        assert cli.main(["sync", f"folder={folder}"]) == 0
        (run,), (reference,) = runs(uri), runs(local(unbroken))
        assert run.info.status == "FINISHED"
        assert run.data.metrics["test_esr"] == reference.data.metrics["test_esr"]
        for name in ("loss", "validation_loss"):
            assert curve(uri, name) == curve(local(unbroken), name)
        found = Path(MlflowClient(uri).download_artifacts(run.info.run_id, "", str(tmp_path)))
        for one, other in zip(weights(found), weights(kept(unbroken)), strict=True):
            assert_array_equal(one, other)
        assert [path.name for path in (folder / "unsent").iterdir()] in ([], [".lock"])
        said = capsys.readouterr()
        assert "hush-hush" not in said.out + said.err
        assert f"to http://me:***@127.0.0.1:{port}" in said.out
        assert "View run" not in said.out
        for path in (path for path in tmp_path.rglob("*") if path.is_file()):  # what was kept may be passed on
            assert b"hush-hush" not in path.read_bytes(), path
    finally:
        end(server)
