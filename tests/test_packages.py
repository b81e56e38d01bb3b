"""What ampsim is handed out as, wheel, sdist, container and conda environment, and what it says where it cannot run."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from email.parser import Parser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from smallest import SMALLEST

from ampsim import __version__
from ampsim.cli import main as cli
from ampsim.runs import locations

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


# ---- Wheel and sdist ----


@pytest.mark.slow
def test_the_wheel_and_the_sdist_are_whole_and_pass_twine(tmp_path: Path):
    """Built as `make wheel` does: the wheel from the sdist, so that what the one lacks the other lacks as well."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    wheel, sdist = next(tmp_path.glob("*.whl")), next(tmp_path.glob("*.tar.gz"))
    checked = [sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)]
    assert subprocess.run(checked, capture_output=True, timeout=300, check=False).returncode == 0
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        metadata = Parser().parsestr(packed.read(f"ampsim-{__version__}.dist-info/METADATA").decode())
    in_package = {path for top in ("ampsim", "hydra_plugins") for path in (ROOT / top).rglob("*") if path.is_file()}
    expected = {path.relative_to(ROOT).as_posix() for path in in_package if "__pycache__" not in path.parts}
    expected |= {f"ampsim/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert expected <= names
    assert SpecifierSet(metadata["Requires-Python"]) == SpecifierSet(PROJECT["requires-python"])
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    with tarfile.open(sdist) as packed:
        held = {name.partition("/")[2] for name in packed.getnames()}
    assert {"Dockerfile", "environment.yml", "Makefile", "requirements.lock", "docs/how-to/editors.md"} <= held


# ---- The container ----


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile: word and rest, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in joined.splitlines() if line.strip()]


DOCKERFILE = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def test_the_container_runs_as_no_root_and_fetches_from_nowhere_else():
    last = max(number for number, (word, _) in enumerate(DOCKERFILE) if word == "FROM")
    users = [rest for word, rest in DOCKERFILE[last:] if word == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    words = {name for word, rest in DOCKERFILE if word == "RUN" for name in re.findall(r"[\w.-]+", rest)}
    assert not words & {"apt-get", "apt", "curl", "wget", "git", "conda"}
    assert not [word for word, _ in DOCKERFILE if word == "ADD"]
    assert [rest for word, rest in DOCKERFILE if word == "RUN" and "--require-hashes -r requirements.lock" in rest]


def test_what_the_container_copies_is_there_and_not_ignored():
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }
    copied = {
        name
        for word, rest in DOCKERFILE
        if word == "COPY" and not rest.startswith("--from")
        for name in rest.split()[:-1]
    }
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)
    # What the build of the wheel reads, after its recipe.
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    assert {*hatch["packages"], *hatch["force-include"], PROJECT["readme"]} <= copied


def test_its_commands_are_shell_and_its_argument_is_checked():
    for word, rest in DOCKERFILE:
        if word == "RUN":
            subprocess.run(["sh", "-n", "-c", rest], check=True)
    (check,) = [rest for word, rest in DOCKERFILE if word == "RUN" and rest.startswith("case")]
    for accelerator, code in (("cpu", 0), ("gpu", 0), ("tpu", 1)):
        done = subprocess.run(["sh", "-c", check], env={"ACCELERATOR": accelerator}, capture_output=True, check=False)
        assert done.returncode == code
    (gpu,) = [rest for word, rest in DOCKERFILE if word == "RUN" and "and-cuda" in rest]
    shown = subprocess.run(
        ["sh", "-c", f'pip() {{ echo pip "$@"; }}; python() {{ {shlex.quote(sys.executable)} "$@"; }}; {gpu}'],
        env={"ACCELERATOR": "gpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(r"pip install tensorflow\[and-cuda\]==2\.\d+\.\d+", shown.stdout.strip())


def test_its_python_is_one_that_ampsim_runs_on():
    (python,) = [rest.partition("=")[2] for word, rest in DOCKERFILE if word == "ARG" and rest.startswith("PYTHON")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{python}.0")


def test_the_conda_environment_is_that_of_the_project():
    found = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (python,) = [each for each in found["dependencies"] if isinstance(each, str) and each.startswith("python")]
    assert SpecifierSet(python.removeprefix("python")) == SpecifierSet(PROJECT["requires-python"])
    (pip,) = [each["pip"] for each in found["dependencies"] if isinstance(each, dict)]
    assert pip == ["--editable ."]  # ampsim with what it says itself that it needs


# ---- Where it cannot run ----

WITHOUT = """
import sys
for name in sys.argv[1].split():
    sys.modules[name] = None
from ampsim.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("rich", ["doctor", "input=x.wav"]),
        ("hydra", ["train", "model=dense"]),
        ("omegaconf", ["train", "--help"]),
        ("yaml", ["completion", "words", "train", ""]),
        ("numpy", ["doctor", "input=x.wav"]),
        ("tensorflow", ["train", "data.duration_s=12", "model=fir"]),
        ("mlflow", ["evaluate", "uri=sqlite:///x.db"]),
    ],
)
def test_a_half_installed_environment_is_a_sentence(missing: str, words: list[str], tmp_path: Path):
    command = [sys.executable, "-c", WITHOUT, missing, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    told = [line for line in done.stderr.splitlines() if line.startswith("ampsim: ")]
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert f"`{missing}`" in told[-1]
    assert "make install" in told[-1]


def test_an_error_in_ampsims_own_imports_is_no_half_installed_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ampsim.desk.commands", None)
    with pytest.raises(ImportError):
        cli.main(["schema"])


@pytest.mark.parametrize("version", [(3, 9, 18), (3, 14, 0), (4, 0, 0)])
def test_another_python_is_a_sentence(version: tuple, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(cli.sys, "version_info", version)
    assert cli.main(["--help"]) == 2
    told = capsys.readouterr().err
    monkeypatch.undo()
    assert told.startswith(f"ampsim: this is Python {version[0]}.{version[1]}, and ampsim runs on 3.10 to 3.13")
    assert told.count("\n") == 1


def test_the_pythons_are_those_of_the_project():
    low, high = cli.PYTHONS
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert [minor for minor in range(5, 30) if allowed.contains(f"3.{minor}.0")] == [*range(low[1], high[1] + 1)]
    assert f"{low[0]}.{low[1]} to {high[0]}.{high[1]}" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_a_system_without_alarms_has_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """As Windows is: no SIGALRM, and none of the signals that end a process there but Ctrl-C."""
    for name in ("SIGALRM", "setitimer", "getitimer"):
        monkeypatch.delattr(signal, name)
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.slow
def test_a_bare_machine_trains(tmp_path: Path):
    """Without a home that can be written, and without any program: no compiler, no browser, no git."""
    unset = ("AMPSIM_CACHE", "TF_XLA_FLAGS", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "KERAS_HOME")
    environment = {key: value for key, value in os.environ.items() if key not in unset} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "ampsim", "train", *SMALLEST]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**environment, "HOME": "/dev/null/home", "PATH": str(tmp_path), "CC": "/dev/null", "BROWSER": "/dev/null"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    told = " ".join(f"{done.stdout} {done.stderr}".split())
    assert "is not cached: /dev/null/home" in told
    assert "listen.html (in a browser)" in told


def test_no_command_opens_a_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture):
    """Where there is none, nothing is missing: a page's path or address is printed, for whichever machine has one."""
    for path in (ROOT / "ampsim").rglob("*.py"):
        assert "webbrowser" not in path.read_text(encoding="utf-8"), path

    def served(*store: object, ready: Callable[[], None]) -> int:
        ready()
        raise KeyboardInterrupt

    monkeypatch.setattr(locations, "serve_page", served)
    (tmp_path / "mlflow.db").touch()
    assert cli.main(["ui", f"folder={tmp_path}", "port=5123"]) == 130
    assert "http://127.0.0.1:5123" in capsys.readouterr().out


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
def test_make_tells_of_another_python(tmp_path: Path):
    python = tmp_path / "python3.14"
    python.write_text("#!/bin/sh\nexit 1\n")  # what a Python of another version answers the Makefile's question with
    python.chmod(0o755)
    command = ["make", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}", "install"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0
    assert "ampsim needs Python 3.10 to 3.13: make PYTHON=python3.11 install" in done.stdout


# ---- Each Python ----


@pytest.fixture
def smoke(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tests/smoke.py, of which nothing is installed or run."""
    spec = spec_from_file_location("smoke", ROOT / "tests" / "smoke.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for step in ("installed", "used"):
        monkeypatch.setattr(module, step, lambda *arguments: None)
    monkeypatch.setattr(module, "run", lambda *arguments, **options: "3.11.7\n")
    return module


def test_each_python_of_the_project_is_tried(smoke: ModuleType):
    (major, first), (_, last) = cli.PYTHONS
    assert list(smoke.PYTHONS) == [f"{major}.{minor}" for minor in range(first, last + 1)]
    assert {line.split()[0] for line in smoke.COMMANDS.splitlines()} <= set(cli.COMMANDS)


@pytest.mark.parametrize(
    ("missing", "failing", "code"), [((), (), 0), (("3.13",), (), 0), ((), ("3.12",), 1), (("3.12", "3.13"), (), 1)]
)
def test_a_python_that_cannot_be_had_is_told_and_passed_over(
    smoke: ModuleType,
    missing: tuple,
    failing: tuple,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    def environment(python: str, folder: Path) -> Path:
        if python in missing:
            raise smoke.FailedError("no download")
        return Path(python)

    def used(python: Path, folder: Path) -> None:
        if str(python) in failing:
            raise smoke.FailedError("train ended with 2")

    monkeypatch.setattr(smoke, "environment", environment)
    monkeypatch.setattr(smoke, "used", used)
    assert smoke.main(["3.12", "3.13"]) == code
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    for python in ("3.12", "3.13"):
        word = (
            "not to be had here: no download" if python in missing else "fails: train" if python in failing else "works"
        )
        assert word in lines[python]
