"""What a command does not load: a second or ten of waiting, and half a gigabyte, for what it has no use for."""

import subprocess
import sys
from pathlib import Path

import pytest
from nam_files import lstm, write
from smallest import SMALLEST
from synthetic import noise, write_pcm

HEAVY = {"tensorflow", "keras", "mlflow", "pandas", "matplotlib"}
# Loads nothing of its own, so that the processes that a sweep starts can begin with it too.
SCRIPT = """
import sys
if __name__ == "__main__":
    from ampsim.cli import main as cli
    code = cli.main(sys.argv[1:])
    print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules}))
    sys.exit(code)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "a.nam", lstm(sample_rate=44100))
    write_pcm(tmp_path / "a.wav", [noise(4410)])
    (tmp_path / "command.py").write_text(SCRIPT)
    return tmp_path


def loaded(folder: Path, *words: str, code: int = 0) -> set[str]:
    """Of HEAVY, what the process of a command has imported when it has ended."""
    done = subprocess.run(
        [sys.executable, "command.py", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return HEAVY & set(done.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize(
    "words",
    [["render", "capture=a.nam", "input=a.wav", "output=b.wav"], ["loudness", "a.nam", "output=even"]],
    ids=lambda words: words[0],
)
def test_what_a_capture_does_needs_no_net_of_ours(folder: Path, words: list[str]):
    assert loaded(folder, *words) == set()


@pytest.mark.parametrize("words", [["a.wav"], ["a.wav", "b.wav"]], ids=["mono", "other rate"])
def test_a_recording_that_cannot_work_is_told_before_a_net_is_loaded(folder: Path, words: list[str]):
    write_pcm(folder / "b.wav", [noise(4410)], sample_rate=48000)
    assert loaded(folder, "train", *words, code=2).isdisjoint({"tensorflow", "keras"})


@pytest.mark.slow
def test_a_sweep_leaves_tensorflow_to_its_jobs_and_a_comparison_has_none(folder: Path):
    assert loaded(folder, "train", "-m", *SMALLEST, "seed=0,1").isdisjoint({"tensorflow", "keras"})
    words = ["compare", "sweep=last", "output=compared", "html=study.html"]
    assert loaded(folder, *words).isdisjoint({"tensorflow", "keras"})
    assert (folder / "study.html").exists()
