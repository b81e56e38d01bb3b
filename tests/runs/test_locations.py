"""What leads from a store's folder to the artifacts of its newest run, and to MLflow's page of it."""

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ampsim import AmpsimError
from ampsim.cli import main as cli
from ampsim.runs.locations import artifacts_of, point_to, refuse_taken, refuse_unreachable


def artifact(folder: Path, run: str) -> Path:
    place = artifacts_of(folder) / run / "artifacts"
    place.mkdir(parents=True)
    (place / "listen.html").write_text(run)
    return place


def test_last_leads_to_the_newest_run_also_once_the_store_has_moved(tmp_path: Path):
    for run in ("one", "two"):
        point_to(artifact(tmp_path / "runs", run))
        assert (tmp_path / "runs" / "last" / "listen.html").read_text() == run
    shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "last" / "listen.html").read_text() == "two"
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["artifacts", "last"]


def test_a_folder_of_that_name_stays(tmp_path: Path):
    (tmp_path / "last").mkdir()
    point_to(artifact(tmp_path, "one"))
    assert not (tmp_path / "last").is_symlink()


# ---- a port that is taken ----


@pytest.fixture
def answers() -> dict[str, bytes]:
    """What the server at `port` says, by path."""
    return {}


@pytest.fixture
def port(answers: dict[str, bytes]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = answers.get(self.path.partition("?")[0])
            self.send_response(404 if text is None else 200)
            self.end_headers()
            self.wfile.write(text or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def of_store(folder: Path) -> dict[str, bytes]:
    """What MLflow's server of a store answers."""
    experiments = [{"artifact_location": "/elsewhere/mlruns/0"}, {"artifact_location": artifacts_of(folder).as_uri()}]
    listed = json.dumps({"experiments": experiments}).encode()
    return {"/version": b"3.1", "/health": b"OK", "/api/2.0/mlflow/experiments/search": listed}


def test_a_port_of_another_program_is_told_with_one_that_is_free(port: int, tmp_path: Path):
    with pytest.raises(AmpsimError, match=rf"port {port} is taken by another program, .*: say port=(\d+)$") as refused:
        refuse_taken(tmp_path, None, port)
    refuse_taken(tmp_path, None, int(str(refused.value).rpartition("=")[2]))


def test_a_port_that_nobody_answers_at_is_another_programs(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        number = silent.getsockname()[1]
        threading.Thread(target=lambda: [silent.accept()[0].close() for _ in range(2)], daemon=True).start()
        with pytest.raises(AmpsimError, match=f"port {number} is taken by another program"):
            refuse_taken(tmp_path, None, number)


def test_a_page_that_is_served_already_is_named(port: int, answers: dict[str, bytes], tmp_path: Path):
    answers |= of_store(tmp_path / "runs")
    (tmp_path / "runs" / "artifacts").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    for name in ("runs", "link"):
        with pytest.raises(AmpsimError, match=rf"served already: open http://127\.0\.0\.1:{port}, or say port="):
            refuse_taken(tmp_path / name, None, port)


def test_a_page_of_another_store_is_none_of_this(port: int, answers: dict[str, bytes], tmp_path: Path):
    answers |= of_store(tmp_path / "others")
    for uri in (None, "postgresql://host/runs"):
        with pytest.raises(AmpsimError, match=f"port {port} is taken by an MLflow server of another store: say port="):
            refuse_taken(tmp_path / "runs", uri, port)


@pytest.mark.parametrize("number", [0, -1, 65536])
def test_what_is_no_port_is_refused(number: int, tmp_path: Path):
    with pytest.raises(AmpsimError, match=f"port={number}: it is between 1 and 65535"):
        refuse_taken(tmp_path, None, number)


def test_a_server_is_its_page_itself(port: int, capsys: pytest.CaptureFixture):
    assert cli.main(["ui", f"uri=http://me:secret@127.0.0.1:{port}", f"port={port}"]) == 0
    assert capsys.readouterr().out == f"http://me:***@127.0.0.1:{port} is MLflow's page itself: open it in a browser\n"


def test_an_address_that_mlflow_does_not_know_by_that_word_is_told_the_right_one():
    with pytest.raises(AmpsimError, match=r"uri=postgres://.*: it begins with postgresql://"):
        refuse_unreachable("postgres://me:secret@127.0.0.1/runs")
