"""A project of one's own: laid out, composed, trained."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import invalidate_caches
from pathlib import Path

import pytest
import yaml
from smallest import SMALLEST

from ampsim import AmpsimError
from ampsim.cli import main as cli
from ampsim.config import plugins, settings
from ampsim.config.targets import build
from ampsim.desk.project import package_name
from ampsim.desk.schema import editor_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(plugins.VARIABLE, "")  # and not `delenv`, so that what a test adds goes with it
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert cli.main(["init", "odd-amp 2"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == "begin with: cd 'odd-amp 2' && make"
    folder = tmp_path / "odd-amp 2"
    assert {tmp_path / line for line in told[:-1]} == {path for path in folder.rglob("*") if path.is_file()}
    yield folder
    for name in [name for name in sys.modules if name.startswith("odd_amp")]:
        del sys.modules[name]
    plugins.discovered.cache_clear()


def test_nothing_of_the_template_is_left_in_it(project: Path):
    for path in project.rglob("*"):
        assert "package" not in path.name
        assert path.suffix != ".txt"
        if path.is_file():
            assert "@name@" not in path.read_text()
            assert "@package@" not in path.read_text()
    for name in (
        ".gitignore",
        "ampsim.toml",
        "README.md",
        "Makefile",
        "odd_amp_2/conf/experiment/odd_amp_2_losses.yaml",
    ):
        assert (project / name).is_file()


def test_its_loss_and_its_study_compose_and_build(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(project)
    config = settings.composed(["experiment=odd_amp_2_losses", "loss=odd_amp_2"])
    assert config["tracking"]["experiment"] == "odd_amp_2"
    assert set(build(config["loss"], "loss").terms) == {"esr", "slope"}
    study = yaml.safe_load((project / "odd_amp_2/conf/experiment/odd_amp_2_losses.yaml").read_text())
    for loss in study["hydra"]["sweeper"]["params"]["loss"].split(","):
        assert loss in settings.choices("loss")


def test_its_editor_finds_the_schemas(project: Path):
    found = json.loads((project / ".vscode" / "settings.json").read_text())
    assert found == {"yaml.schemas": editor_settings(".vscode/ampsim")}


@pytest.mark.slow
def test_it_trains_and_its_tests_pass(project: Path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(*words: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", *words]
        return subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    trained = run("ampsim", "train", "loss=odd_amp_2", *SMALLEST)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert "ESR" in trained.stdout
    tested = run("pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_its_makefile_names_commands_that_there_are(project: Path):
    done = subprocess.run(
        ["make", "-n", "train", "study", "compare", "ui", "schema"], cwd=project, capture_output=True, text=True
    )
    commands = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("ampsim ")]
    assert commands == ["train", "train", "compare", "ui", "schema"]


def test_an_empty_folder_is_no_package_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_amp_xyz").mkdir()
    assert package_name("my_amp_xyz") == "my_amp_xyz"
    (tmp_path / "my_amp_xyz" / "__init__.py").touch()
    invalidate_caches()
    with pytest.raises(AmpsimError, match="there is a package"):
        package_name("my_amp_xyz")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "does not begin"),
        ("2nd", "begin the folder's name with a letter"),
        ("class", "no package can be called `class`"),
        ("null", "no package can be called `null`"),
        ("on", "no package can be called `on`"),
        ("json", "there is a package `json` already"),
        ("numpy", "there is a package `numpy` already"),
        ("ear", "ampsim itself has loss=ear"),
        ("full", "full exists"),
        ("file", "file exists and is no folder"),
    ],
)
def test_what_cannot_be_a_project_is_refused(
    name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["init", name] if name else ["init"]) == 2
    assert (told if name else "name one folder: ampsim init my-amp") in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert cli.main(["init", "."]) == 0
    assert (tmp_path / "mine" / "mine" / "losses.py").is_file()
