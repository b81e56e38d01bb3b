"""Turns in a folder, taken by processes that live, wait and are killed."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ampsim import AmpsimError
from ampsim.runs.locks import LOCK, alone, busy

HOLDER = """
import sys, time
from pathlib import Path
from ampsim.runs.locks import alone
with alone(Path(sys.argv[1])):
    print("inside", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(folder: Path, seconds: float) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder), str(seconds)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"inside\n"
    return process


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen]:
    with holder(tmp_path, 60) as process:
        yield process
        process.kill()


def test_another_process_is_refused_and_told_of(held: subprocess.Popen, tmp_path: Path):
    assert busy(tmp_path)
    with pytest.raises(AmpsimError, match="somebody is there"), alone(tmp_path, refusal="somebody is there"):
        pytest.fail("let in")


def test_a_lock_of_a_process_that_was_killed_is_free(held: subprocess.Popen, tmp_path: Path):
    held.kill()
    held.wait()
    assert not busy(tmp_path)
    with alone(tmp_path, refusal="somebody is there"):
        assert busy(tmp_path)
    assert not busy(tmp_path)


def test_the_next_one_waits(tmp_path: Path):
    with holder(tmp_path, 0.5):
        start = time.monotonic()
        with alone(tmp_path):
            assert time.monotonic() - start > 0.2


def test_looking_changes_nothing(tmp_path: Path):
    assert not busy(tmp_path)
    assert not busy(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError), alone(tmp_path / "none"):
        pytest.fail("let in")


def test_a_folder_may_be_removed_by_who_is_inside(tmp_path: Path):
    folder = tmp_path / "run"
    folder.mkdir()
    with alone(folder):
        (folder / LOCK).unlink()
        folder.rmdir()
    assert not busy(folder)
    folder.mkdir()
    with alone(folder):
        assert busy(folder)


def test_a_folder_that_cannot_be_written_to_needs_no_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ampsim.runs.locks.FileLock.acquire", refuse)
    with alone(tmp_path):
        assert list(tmp_path.iterdir()) == []
