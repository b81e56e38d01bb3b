"""`ampsim score`: words, table, files and exit codes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic import RATE, amp, guitar

from ampsim.cli import main as cli
from ampsim.cli.score import paths

random = np.random.default_rng(0)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An amp, and three renders of it: good, as good, and bad."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    sound = amp(guitar(4 * RATE, seed=6))
    soundfile.write("amp.wav", sound, RATE, subtype="FLOAT")
    (tmp_path / "renders").mkdir()
    for name, level in (("good", 0.01), ("as good, or so", 0.01), ("bad [red]", 0.1)):
        soundfile.write(
            f"renders/{name}.wav", sound + level * random.standard_normal(len(sound)), RATE, subtype="FLOAT"
        )
    return tmp_path


def test_a_folder_of_renders_is_ranked_and_nothing_is_written(folder: Path, capsys: pytest.CaptureFixture):
    before = sorted(folder.rglob("*"))
    assert cli.main(["score", "target=amp.wav", "candidates=renders"]) == 0
    told = ANSI.sub("", capsys.readouterr().out)
    lines = told.splitlines()
    ranks = [line.split()[0] for line in lines if re.match(r"[123] (good|as good, or so|bad \[red\]) ", line)]
    assert ranks == ["1", "2", "3"]
    assert any(line.startswith("3 bad [red]") for line in lines)
    assert sum("tie" in line for line in lines) == 1
    assert all(name in told for name in ("predicted MUSHRA", "A-weighted ESR", "MR-STFT", "intervals (95 %"))
    until = next(k for k, line in enumerate(lines) if line.startswith("not told from"))
    assert max(map(len, lines[:until])) <= 80
    assert sorted(folder.rglob("*")) == before


def test_one_that_cannot_be_read_is_told_after_the_others(folder: Path, capsys: pytest.CaptureFixture):
    words = ["score", "target=amp.wav", 'candidates=["renders/as good, or so.wav",gone.wav,renders/good.wav]']
    assert cli.main([*words, "output=out", "html=page.html"]) == 2
    out, errors = capsys.readouterr()
    assert errors == f"ampsim: left out: gone.wav does not exist (looked from {folder})\n"
    assert "written: out/scores.csv, out/scores.json, out/listen.html, page.html" in out
    kept = json.loads(Path("out/scores.json").read_text())
    assert {each["candidate"] for each in kept["candidates"]} == {"good", "as good, or so"}
    assert cli.main([*words, "output=out"]) == 2
    assert "exists; say overwrite=true" in capsys.readouterr().err


def test_an_input_is_never_written_over(folder: Path, capsys: pytest.CaptureFixture):
    for target in ("amp.wav", "renders/good.wav"):
        words = ["score", "target=amp.wav", "candidates=renders", f"html={target}", "overwrite=true"]
        assert cli.main(words) == 2
        assert "is the input itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("a.wav", ["a.wav"]),
        ("[a.wav,b.wav]", ["a.wav", "b.wav"]),
        ("a.wav, b.wav", ["a.wav", "b.wav"]),
        ('["x, y.wav",z.wav]', ["x, y.wav", "z.wav"]),
        ("renders/as good, or so.wav", ["renders/as good, or so.wav"]),
        ("[2x12].wav", ["[2x12].wav"]),
    ],
)
def test_files_are_named_as_they_are_elsewhere(folder: Path, text: str, files: list[str]):
    assert paths(text) == files


def test_no_candidate_is_a_sentence(folder: Path, capsys: pytest.CaptureFixture):
    for words in ("candidates=[]", "candidates=[,]", "candidates="):
        assert cli.main(["score", "target=amp.wav", words]) == 2
        assert "candidates names no file" in capsys.readouterr().err


def test_scoring_loads_neither_tensorflow_nor_mlflow(folder: Path):
    script = (
        "import sys; from ampsim.cli import main as cli; code = cli.main(sys.argv[1:]); "
        "assert not {'tensorflow', 'keras', 'mlflow', 'hydra', 'pandas', 'matplotlib'} & set(sys.modules); sys.exit(code)"
    )
    words = ["score", "target=amp.wav", "candidates=renders/good.wav"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
