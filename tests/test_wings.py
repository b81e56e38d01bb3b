"""A wing can be deleted with `rm -r`, and only its own commands go: held by deleting it from a copy of the package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from smallest import SMALLEST

ROOT = Path(__file__).parents[1]
JUDGING = {"reproduce", "score", "fit-ear"}
DESK = {"completion", "schema", "init", "import-config"}
WINGS: dict[str, set[str]] = {
    "doctor": {"doctor"},
    "report": {"votes", "compare", "figures", *JUDGING},
    "export": {"export", "register"},
    "comparing": {"compare", *JUDGING},
    "pages": set(),
    "judging": JUDGING,
    "studies": set(),
    "desk": DESK,
}
ABOVE = ["judging", "pages", "studies"]
GONE_TOO = {"report": ["comparing", *ABOVE], "comparing": ABOVE}  # what is built on it
SMALL = [*SMALLEST, "loss=esr"]


@pytest.mark.slow
@pytest.mark.parametrize("wing", WINGS)
def test_the_rest_works_without(wing: str, tmp_path: Path):
    package = tmp_path / "here" / "ampsim"
    shutil.copytree(ROOT / "ampsim", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "conf", tmp_path / "here" / "conf")
    for each in (wing, *GONE_TOO.get(wing, [])):
        shutil.rmtree(package / each)

    def run(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "ampsim", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "here")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    trained = run("train", "name=one", *SMALL)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert "ESR" in trained.stdout
    evaluated = run("evaluate", "run=one")
    assert evaluated.returncode == 0, evaluated.stderr
    told = ("doctor", "votes", "fit-ear", "compare", "figures", "reproduce", "score", "export", "register", *DESK)
    for command in told:
        answer = run(command, "--help")
        there = command not in WINGS[wing]
        assert (answer.returncode == 0) is there, (command, answer.stderr)
        assert there or f"there is no command `{command}`" in answer.stderr
