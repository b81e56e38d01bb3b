"""A real MLflow server, on this machine alone, that several first runs reach at once."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

NUM_PROCESSES = 4
OPENS = """
import multiprocessing, os, sys
from pathlib import Path
from ampsim.runs.tracking import Store

folder, uri, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
context = multiprocessing.get_context("fork")  # imported once, so that all begin within milliseconds
together = context.Barrier(count)

def begin(number):
    for turn in range(5):
        together.wait(60)
        told = Store(folder / str(number), uri=uri, experiment=f"first-{turn}").experiment_id
        (folder / f"{turn}-{number}").write_text(told)

processes = [context.Process(target=begin, args=[number]) for number in range(count)]
for process in processes:
    process.start()
for process in processes:
    process.join()
sys.exit(any(process.exitcode for process in processes))
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "2"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{tmp_path}/server.db",
        "--artifacts-destination",
        str(tmp_path / "a"),
    ]
    with (tmp_path / "log").open("w") as log:
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path, env={**os.environ, **quiet})
    try:
        for _ in range(600):
            try:
                urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except (URLError, OSError):
                assert process.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_first_runs_that_begin_at_once_on_a_fresh_server_share_its_experiment(server: str, tmp_path: Path):
    command = [sys.executable, "-c", OPENS, str(tmp_path), server, str(NUM_PROCESSES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    ids = [[(tmp_path / f"{turn}-{number}").read_text() for number in range(NUM_PROCESSES)] for turn in range(5)]
    assert [len(set(of_one)) for of_one in ids] == [1] * 5, ids
    assert len({of_one[0] for of_one in ids}) == 5
