"""What `make smoke` does: install ampsim from the lock on each Python that it supports, and use it once.

A Python is one of this machine (on the path, or of pyenv) or one that uv fetches; where neither gives one, that is said and
the next is tried. Each is installed into a virtual environment in a temporary folder, of which nothing is left.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
UV = os.environ.get("UV", "uv")  # which `uv run` sets to itself
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
# A second of training, and what is done with a run; `{audio}` is where its sound lies.
COMMANDS = """\
train data.duration_s=12 model=wavenet_nano training.seconds=1 name=smoke
evaluate run=smoke
render run=smoke input={audio}/direct.wav output=rendered.wav
score target={audio}/amp.wav candidates=rendered.wav output=scored
export run=smoke format=nam,keras output=exported
doctor input={audio}/direct.wav target={audio}/amp.wav
"""


class FailedError(Exception):
    """A step that did not end well, and the end of what it printed."""


def run(command: Sequence[str | Path], *, folder: Path, path: str = "") -> str:
    """Run a command in a folder, with `path` before the path of programs and no compiler; returns what it printed."""
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    environment = {**clean, "PATH": os.pathsep.join(filter(None, [path, clean.get("PATH", "")]))}
    environment |= dict.fromkeys(("CC", "CXX"), "false")  # everything in the lock comes compiled
    words = list(map(str, command))
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode:
        told = (done.stderr.strip() or done.stdout.strip()).splitlines()[-12:]
        raise FailedError(
            "\n".join([f"{' '.join(words)} ended with {done.returncode}:", *(f"    {line}" for line in told)])
        )
    return done.stdout


def of_pyenv() -> str:
    """The folders of pyenv's Pythons, which are on no path: its shims run only those that a folder has chosen."""
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    return os.pathsep.join(str(folder) for folder in sorted(root.glob("versions/3.*/bin")))


def environment(python: str, folder: Path) -> Path:
    """An environment of this Python, found or fetched; returns its program. Raises FailedError where none can be had."""
    run([UV, "venv", "--quiet", "--no-project", "--python", python, folder], folder=folder.parent, path=of_pyenv())
    return next(path for name in ("bin/python", "Scripts/python.exe") if (path := folder / name).exists())


def installed(python: Path) -> None:
    """Install the lock, with its hashes, and ampsim on top of it: what a wheel holds, not the clone."""
    install = [UV, "pip", "install", "--quiet", "--python", python]
    run([*install, "--require-hashes", "-r", ROOT / "requirements.lock"], folder=ROOT)
    run([*install, "--no-deps", "--no-build-isolation", ROOT], folder=ROOT)


def used(python: Path, folder: Path) -> None:
    """Train, evaluate, render, score, export and diagnose in an empty folder, as the installed command."""
    for line in COMMANDS.splitlines():
        words = line.format(audio=folder / "runs" / "last" / "audio").split()
        run([python, "-m", "ampsim", *words], folder=folder)
    missing = [name for name in ("rendered.wav", "scored/scores.csv", "exported") if not (folder / name).exists()]
    if missing:
        raise FailedError(f"not written: {', '.join(missing)}")


def tried(python: str) -> bool | None:
    """Say what came of one Python; None where it cannot be had here."""
    with tempfile.TemporaryDirectory(prefix=f"smoke-{python}-") as name:
        folder, began = Path(name), time.monotonic()
        try:
            program = environment(python, folder / "venv")
        except FailedError as error:
            print(f"{python}  not to be had here: {error}", flush=True)
            return None
        version = run([program, "-c", "import platform; print(platform.python_version())"], folder=folder).strip()
        try:
            installed(program)
            then = time.monotonic()
            (folder / "use").mkdir()
            used(program, folder / "use")
        except FailedError as error:
            print(f"{python}  ({version}) fails: {error}", flush=True)
            return False
        print(
            f"{python}  ({version}) works: installed in {then - began:.0f} s, used in {time.monotonic() - then:.0f} s",
            flush=True,
        )
        return True


def main(pythons: Sequence[str]) -> int:
    """Exit code 0 where at least one Python is there and none fails."""
    found = [tried(python) for python in pythons or PYTHONS]
    return 0 if True in found and False not in found else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
