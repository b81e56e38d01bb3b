"""A wing can be deleted with `rm -r`, and only its own commands go: held by deleting it from a copy of the package."""

import json
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


TYPED = """
import contextlib, io, json, sys
from ampsim.cli.main import main
answers = []
for words in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = main(words)
        except SystemExit as stop:
            code = stop.code or 0
    answers.append([code, said.getvalue()])
print(json.dumps(answers))
"""


@pytest.mark.slow
@pytest.mark.parametrize("wing", WINGS)
def test_the_rest_works_without(wing: str, tmp_path: Path):
    """Its commands one after another in one process, which imports TensorFlow once."""
    package = tmp_path / "here" / "ampsim"
    shutil.copytree(ROOT / "ampsim", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "conf", tmp_path / "here" / "conf")
    for each in (wing, *GONE_TOO.get(wing, [])):
        shutil.rmtree(package / each)
    helps = ("doctor", "votes", "fit-ear", "compare", "figures", "reproduce", "score", "export", "register", *DESK)
    typed = [[command, "--help"] for command in helps]
    typed += [["train", "name=one", *SMALL], ["evaluate", "run=one"]]
    done = subprocess.run(
        [sys.executable, "-c", TYPED, json.dumps(typed)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "here")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *told, trained, evaluated = json.loads(done.stdout.splitlines()[-1])
    for command, (code, said) in zip(helps, told, strict=True):
        there = command not in WINGS[wing]
        assert (code == 0) is there, (command, said)
        assert there or f"there is no command `{command}`" in said
    assert trained[0] == 0, trained[1]
    assert "ESR" in trained[1]
    assert evaluated[0] == 0, evaluated[1]
