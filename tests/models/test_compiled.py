"""What XLA compiled is read by later processes, and by none where it is damaged or not one's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from ampsim.models import compiled

# One small function, of which TensorFlow logs nothing; the number of files that a process found when it began.
PROGRAM = """
import ampsim.models, tensorflow as tf
@tf.function(jit_compile=True)
def cubed(x):
    return tf.tanh(x @ x) @ x
print(float(tf.reduce_sum(cubed(tf.ones((5, 5))))))
"""


def ran(cache: Path, **more: str) -> str:
    unset = ("TF_XLA_FLAGS", "AMPSIM_CACHE")
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**environment, "AMPSIM_CACHE": str(cache), **more},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def kept_in(cache: Path) -> list[Path]:
    return sorted(cache.glob("compiled/*/*.pb"))


@pytest.mark.slow
def test_a_later_process_reads_what_an_earlier_one_compiled(tmp_path: Path):
    value = ran(tmp_path)
    (kept,) = kept_in(tmp_path)
    assert compiled.seal_of(kept).read_bytes() == compiled.checksum(kept)
    before = kept.stat()
    assert ran(tmp_path) == value  # or TensorFlow would have written the file anew
    assert kept_in(tmp_path) == [kept]
    assert kept.stat().st_mtime_ns == before.st_mtime_ns
    # Machine code in which a few bytes have changed would end the process.
    damaged = bytearray(kept.read_bytes())
    code = damaged.find(b"\x7fELF")
    damaged[code + 2000 : code + 2040] = bytes(40)
    kept.write_bytes(damaged)
    assert ran(tmp_path) == value
    assert compiled.checksum(kept) == compiled.seal_of(kept).read_bytes()


def test_a_place_that_somebody_else_named_gets_no_seals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "theirs.pb").touch()
    monkeypatch.setenv("TF_XLA_FLAGS", f"--tf_xla_persistent_cache_directory={tmp_path}")
    compiled.seal()
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.pb"]


@pytest.mark.parametrize("flags", ["--tf_xla_persistent_cache_directory=/elsewhere", "a_file_of_flags"])
def test_flags_that_are_set_stay(flags: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("AMPSIM_CACHE", str(tmp_path))
    monkeypatch.setenv("TF_XLA_FLAGS", flags)
    compiled.keep_compiled()
    assert os.environ["TF_XLA_FLAGS"] == flags


def test_other_flags_are_kept_beside_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("AMPSIM_CACHE", str(tmp_path))
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_clustering_debug=false")
    monkeypatch.setattr("atexit.register", lambda *_: None)
    compiled.keep_compiled()
    first, *others = os.environ["TF_XLA_FLAGS"].split()
    assert first == "--tf_xla_clustering_debug=false"
    assert others[0].startswith(f"--tf_xla_persistent_cache_directory={tmp_path}/compiled/")


@pytest.mark.parametrize("lack", ["room", "leave to write"])
def test_nothing_is_kept_where_it_cannot_be_written(lack: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """TensorFlow ends the run where it cannot: on a full disk, in a folder of a read-only home."""
    monkeypatch.setenv("AMPSIM_CACHE", str(tmp_path))
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    monkeypatch.setattr("atexit.register", lambda *_: None)
    if lack == "room":
        monkeypatch.setattr(compiled, "ROOM_BYTES", 1 << 62)
    else:
        monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith(str(tmp_path)))
    compiled.keep_compiled()
    assert "TF_XLA_FLAGS" not in os.environ


def test_a_disk_that_fills_up_is_not_told_as_too_little_memory():
    """As TensorFlow 2.21 words it."""
    error = tf.errors.ResourceExhaustedError(
        None, None, "/home/me/.cache/ampsim/compiled/x/xla_compile_cache__1.pb.tmp; No space left on device"
    )
    assert compiled.unwritten(error).startswith(
        "a compiled step could not be kept (No space left on device): make room"
    )
    assert compiled.unwritten(tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")) == ""


@pytest.mark.parametrize("name", ["shared", "with space", "a file"])
def test_nothing_is_kept_in_places_that_do_not_suit(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A folder that others may write to holds whatever machine code they like."""
    cache = tmp_path / name
    if name == "a file":
        cache.touch()
    else:
        folder = cache / "compiled" / compiled.made_for()
        folder.mkdir(parents=True)
        folder.chmod(0o777 if name == "shared" else 0o700)
    monkeypatch.setenv("AMPSIM_CACHE", str(cache))
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    compiled.keep_compiled()
    assert "TF_XLA_FLAGS" not in os.environ


def test_what_is_damaged_goes_and_what_another_process_writes_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    tmp_path = tmp_path / compiled.made_for()
    tmp_path.mkdir()
    monkeypatch.setenv("TF_XLA_FLAGS", f"--tf_xla_persistent_cache_directory={tmp_path}")
    for name in ("sound", "changed", "badly_sealed", "unsealed_long_ago", "being_written", "empty"):
        (tmp_path / f"{name}.pb").write_bytes(name.encode())
    compiled.seal()
    for name in ("unsealed_long_ago", "being_written", "empty"):
        (tmp_path / f"{name}.crc").unlink()
    (tmp_path / "changed.pb").write_bytes(b"chanted")
    (tmp_path / "badly_sealed.crc").write_bytes(b"\xff\xfe")
    (tmp_path / "empty.pb").write_bytes(b"")
    for name in ("left_long_ago.pb1.tmp", "being_written.pb2.tmp"):
        (tmp_path / name).touch()
    os.utime(tmp_path / "left_long_ago.pb1.tmp", (1, 1))
    os.utime(tmp_path / "unsealed_long_ago.pb", (1, 1))
    compiled.delete_damaged(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.pb")) == ["being_written.pb", "sound.pb"]
    assert [path.name for path in tmp_path.glob("*.crc")] == ["sound.crc"]
    assert [path.name for path in tmp_path.glob("*.tmp")] == ["being_written.pb2.tmp"]


def test_it_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(compiled, "MOST_BYTES", 1000)
    for age, version in enumerate(("old", "new")):
        (tmp_path / version).mkdir()
        for number in range(5):
            path = tmp_path / version / f"{number}.pb"
            path.write_bytes(bytes(110))
            os.utime(path, (1000 * age + number, 1000 * age + number))
    compiled.delete_oldest(tmp_path)
    assert sorted(path.parent.name + path.stem for path in tmp_path.glob("*/*")) == ["new1", "new2", "new3", "new4"]
