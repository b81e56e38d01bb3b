"""Sweeps on every engine: processes of this machine, a Ray cluster, SLURM's stand-in, an MLflow server."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from ampsim.cli import main as cli

SMALL = ["model=dense", "model.window=64", "model.future=9", "model.layers=1", "model.units=4", "loss=esr"]
SMALL += ["training.segment_length=1000", "training.epochs=1"]
pytestmark = pytest.mark.slow


def needs(module: str, extra: str) -> None:
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed: pip install 'ampsim[{extra}]'")


@pytest.fixture
def words(recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    return ["train", "-m", "data=stereo", f"data.path='{recording}'", *SMALL]


def finished(uri: str) -> dict[str, float]:
    """Test ESR by seed of the finished children of the one sweep in a store."""
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("ampsim").experiment_id])
    (parent,) = [run for run in runs if "sweep_hash" in run.data.tags]
    assert parent.info.status == "FINISHED"
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert {run.info.status for run in children} == {"FINISHED"}
    return {run.data.params["seed"]: run.data.metrics["test_esr"] for run in children}


def local(folder: Path) -> str:
    return f"sqlite:///{folder.absolute() / 'runs' / 'mlflow.db'}"


@pytest.fixture(scope="module")
def serial(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """What the jobs come to one after another, with one thread each."""
    folder = tmp_path_factory.mktemp("serial")
    swept = ["seed=0,1", "sweep.threads=1", f"tracking.folder='{folder / 'runs'}'"]
    assert cli.main(["train", "-m", "data=stereo", f"data.path='{recording}'", *SMALL, *swept]) == 0
    return finished(local(folder))


def test_joblib_comes_to_the_same_on_several_processes(words: list[str], tmp_path: Path, serial: dict[str, float]):
    needs("hydra_plugins.hydra_joblib_launcher", "joblib")
    assert cli.main([*words, "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "sweep.threads=1"]) == 0
    assert finished(local(tmp_path)) == serial


def test_submitit_comes_to_the_same(words: list[str], tmp_path: Path, serial: dict[str, float]):
    """Its local executor: what a SLURM job does, on this machine."""
    needs("hydra_plugins.hydra_submitit_launcher", "slurm")
    assert cli.main([*words, "seed=0,1", "hydra/launcher=submitit_local", "sweep.threads=1"]) == 0
    assert finished(local(tmp_path)) == serial


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of two workers with one processor each."""
    needs("ray", "ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    try:
        yield made.address
    finally:
        import ray

        ray.shutdown()
        made.shutdown()


def test_ray_comes_to_the_same_on_a_cluster_of_two(
    words: list[str], tmp_path: Path, serial: dict[str, float], cluster: str
):
    on_ray = ["hydra/launcher=ray", f"+hydra.launcher.init.address='{cluster}'", "sweep.threads=1"]
    assert cli.main([*words, "seed=0,1", *on_ray]) == 0
    assert finished(local(tmp_path)) == serial


# ---- a server as the store ----


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of an MLflow server on SQLite."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = ["--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}"]
    store += ["--artifacts-destination", str(tmp_path / "server-artifacts")]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen(
        [*command, *store], env={**os.environ, **quiet}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def test_an_mlflow_server_keeps_what_several_processes_write(
    words: list[str], tmp_path: Path, serial: dict[str, float], server: str
):
    needs("hydra_plugins.hydra_joblib_launcher", "joblib")
    swept = ["seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "sweep.threads=1"]
    assert cli.main([*words, *swept, f"tracking.uri={server}"]) == 0
    assert finished(server) == serial
    client = MlflowClient(server)
    for run in client.search_runs([client.get_experiment_by_name("ampsim").experiment_id]):
        names = {item.path for item in client.list_artifacts(run.info.run_id)}
        assert names >= ({"sweep.csv", "figures"} if "sweep_hash" in run.data.tags else {"model.keras", "audio"})


def test_a_server_that_is_not_there_is_named_before_anything_is_loaded(words: list[str], tmp_path: Path):
    with socket.socket() as taken:  # bound and not listening: nothing answers there
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        trained = [*words, f"tracking.uri={uri}"]
        others = [["compare", "sweep=last", f"uri={uri}"], ["reproduce", "run=last", f"uri={uri}"]]
        for command in ([*trained, "seed=0,1"], [word for word in trained if word != "-m"], *others):
            done = subprocess.run(
                [sys.executable, "-X", "importtime", "-m", "ampsim", *command],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 2
            assert f"ampsim: the MLflow store {uri} does not answer" in done.stderr
            assert "tensorflow" not in done.stderr
            assert "mlflow" not in done.stderr.replace(uri, "").replace("the MLflow store", "")
    assert not (tmp_path / "runs").exists()


WRITER = """
import sys
from ampsim.runs.tracking import Store
for number in range(5):
    run = Store(sys.argv[1]).start(f"writer {sys.argv[2]}", params={"number": number}, tags={"writer": sys.argv[2]})
    for step in range(1, 11):
        run.log_round({"step": step, "loss": 1 / step})
    run.finish()
"""


def test_four_writers_on_a_fresh_store_lose_nothing(tmp_path: Path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "runs"), str(n)]) for n in range(4)]
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    client = MlflowClient(local(tmp_path))
    runs = client.search_runs([client.get_experiment_by_name("ampsim").experiment_id])
    assert sorted((run.data.tags["writer"], run.data.params["number"]) for run in runs) == [
        (str(writer), str(number)) for writer in range(4) for number in range(5)
    ]
    assert len({run.info.run_name for run in runs}) == 20
    for run in runs:
        assert run.info.status == "FINISHED"
        assert [point.step for point in client.get_metric_history(run.info.run_id, "loss")] == list(range(1, 11))
