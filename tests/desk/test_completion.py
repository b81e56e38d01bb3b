"""What Tab offers: held against what Hydra composes, and in the shells themselves."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ampsim.cli import main as cli
from ampsim.commands import options
from ampsim.config import plugins, settings
from ampsim.config.targets import flattened
from ampsim.desk import completion
from ampsim.desk.completion import offered
from ampsim.export import FORMATS
from ampsim.export.nam import GEAR_TYPES, TONE_TYPES
from ampsim.metrics.scores import SCORES

ROOT = Path(__file__).parents[2]
HEAVY = "hydra omegaconf numpy packaging rich tensorflow keras mlflow pandas"
CHOSEN = [
    [],
    ["model=lstm", "optimizer=adam"],
    ["experiment=a2_minute"],
    ["experiment=a2_ten_minutes", "model=tcn"],
    ["experiment=founding", "data=stereo", "data.path=x.wav"],
    ["loss=ear", "schedule=constant"],
]


@pytest.fixture(autouse=True)
def _no_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(plugins.VARIABLE, "")  # and not `delenv`, so that what a test adds goes with it
    monkeypatch.setattr(sys, "path", list(sys.path))
    plugins.discovered.cache_clear()


def test_commands():
    assert offered([""])[: len(cli.COMMANDS)] == cli.COMMANDS
    assert offered(["rep"]) == ["reproduce"]
    assert offered(["nothing", "x"]) == []


@pytest.mark.parametrize("group", settings.groups())
def test_the_choices_of_a_group(group: str):
    assert offered(["train", f"{group}="]) == [f"{group}={choice}" for choice in settings.choices(group)]
    assert offered(["train", f"{group}=x,"]) == [f"{group}=x,{choice}" for choice in settings.choices(group)]


@pytest.mark.parametrize("words", CHOSEN, ids=" ".join)
def test_the_keys_are_those_that_hydra_composes(words: list[str]):
    config = settings.composed(words)
    for section in ("data", "model", "loss", "optimizer", "schedule", "training", "tracking"):
        keys = {key for key in flattened(config[section], f"{section}.") if not key.endswith("_target_")}
        found = offered(["train", *words, f"{section}."])
        assert {word[:-1] for word in found if not word.endswith("_target_=")} == keys


def test_values():
    assert offered(["train", "training.resume="]) == ["training.resume=true", "training.resume=false"]
    assert offered(["train", "model=lstm", "model.units="]) == ["model.units=16"]
    assert offered(["evaluate", "split=t"]) == ["split=train", "split=test"]
    assert offered(["export", "format=nam,li"]) == ["format=nam,litert"]
    assert "folder=" not in offered(["evaluate", "folder=x", ""])


def test_files(tmp_path: Path):
    for name in ("amp one.wav", "amp.txt", ".amp.wav"):
        (tmp_path / name).touch()
    (tmp_path / "takes").mkdir()
    (tmp_path / "takes" / "a.flac").touch()
    assert "amp one.wav" in offered(["train", "am"])
    assert "amp.txt" not in offered(["train", "am"])
    assert offered(["train", "takes/"]) == ["takes/a.flac"]
    assert offered(["doctor", "input=amp"]) == ["input=amp one.wav", "input=amp.txt"]
    assert offered(["train", "data=stereo", "data.path=t"]) == ["data.path=takes/"]


def test_a_plugin_is_offered_and_none_of_its_code_runs():
    loaded, words = set(sys.modules), ["train", f"plugins={ROOT / 'examples' / 'plugin'}"]
    assert "model=tube" in offered([*words, "model=t"])
    assert offered([*words, "data=clipper", "data.drive"]) == ["data.drive="]
    assert "tube_lab" not in set(sys.modules) - loaded


def test_runs_are_offered_by_name(tmp_path: Path):
    import sqlite3

    (tmp_path / "runs").mkdir()
    with sqlite3.connect(tmp_path / "runs" / "mlflow.db") as opened:
        opened.execute("CREATE TABLE runs (name TEXT, lifecycle_stage TEXT, start_time INT)")
        opened.executemany(
            "INSERT INTO runs VALUES (?, ?, ?)", [("a", "active", 1), ("b", "deleted", 2), ("c", "active", 3)]
        )
    assert offered(["evaluate", "run="]) == ["run=last", "run=c", "run=a"]
    (tmp_path / "runs" / "mlflow.db").write_text("no database")
    assert offered(["evaluate", "run="]) == ["run=last"]


def test_what_is_offered_is_what_there_is():
    assert set(options.FORMATS) == set(FORMATS)
    assert (options.GEAR, options.TONES) == (GEAR_TYPES, TONE_TYPES)
    assert set(options.SCORES) <= set(SCORES)
    for command in cli.COMMANDS:
        assert command in ("train", "votes", "completion") or options.of_command(command), command


def test_a_broken_yaml_a_broken_toml_and_a_name_that_steers_are_no_error(tmp_path: Path, capsys):
    package = tmp_path / "parts"
    (package / "conf" / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "conf" / "model" / "odd.yaml").write_text("a: [")
    assert offered(["train", "plugins=parts", "model=odd", "model."]) == []
    (tmp_path / "a\x1b[2Jb.wav").touch()
    completion.completion(["words", "doctor", "input=a"])
    assert "\x1b" not in capsys.readouterr().out
    (tmp_path / "ampsim.toml").write_text("[[[")
    assert cli.main(["completion", "words", "train", "mod"]) == 0
    assert cli.main(["completion", "words", "train", "plugins=nowhere", "mod"]) == 0
    assert cli.main(["completion", "tcsh"]) == 2


def test_it_loads_nothing_that_takes_long(tmp_path: Path):
    code = "import sys; from ampsim.cli.main import main; main(sys.argv[2:]); print(set(sys.argv[1].split()) & set(sys.modules))"
    command = [sys.executable, "-c", code, HEAVY, "completion", "words", "train", "model=dense", "model.wi"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["model.window=", "set()"]


# ---- In the shells ----


@pytest.fixture
def ampsim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A command `ampsim` on the path, with the package of this checkout, and the folder that holds its scripts."""
    command = tmp_path / "bin" / "ampsim"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ampsim "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", str(command.parent), prepend=":")
    for shell, script in completion.SCRIPTS.items():
        (tmp_path / f"ampsim.{shell}").write_text(script)
    (tmp_path / "my take.wav").touch()
    return tmp_path


def answer(shell: str, script: str, *arguments: str) -> list[str]:
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell}")
    plain = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *plain, "-c", script, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


LINES = {
    "ampsim train model=wavenet_f": ["model=wavenet_feather"],
    "ampsim train optimizer=sgd optimizer.nes": ["optimizer.nesterov="],
    "ampsim evaluate split=": ["split=train", "split=validation", "split=test"],
    "ampsim vo": ["votes"],
}


@pytest.mark.parametrize("line", LINES)
def test_bash(ampsim: Path, line: str):
    script = 'source ampsim.bash; COMP_LINE=$1 COMP_POINT=${#1}; _ampsim; printf "%s\\n" "${COMPREPLY[@]}"'
    assert answer("bash", script, "bash", line) == [word.rpartition("=")[2] or word for word in LINES[line]]


def test_bash_hands_back_what_can_be_typed(ampsim: Path):
    script = 'source ampsim.bash; COMP_LINE=$1 COMP_POINT=${#1}; _ampsim; printf "%s\\n" "${COMPREPLY[@]}"'
    assert answer("bash", script, "bash", "ampsim doctor input=my") == ["my\\ take.wav"]
    home = f"HOME={ampsim}; cd /; source {ampsim}/ampsim.bash; " + script.partition("; ")[2]
    assert answer("bash", home, "bash", "ampsim doctor input=~/my") == ["~/my\\ take.wav"]
    assert answer("bash", f"COMP_WORDBREAKS=' '; {script}", "bash", "ampsim train model=ss") == ["model=ssm"]
    assert answer("bash", script, "bash", "ampsim nothing x") == [""]


@pytest.mark.parametrize("line", LINES)
def test_zsh(ampsim: Path, line: str):
    script = """compdef() { :; }; source ./ampsim.zsh
    compadd() { local name=${@[-1]}; (( ${#${(P)name}} )) && print -l -- ${(P)name}; true }
    words=(${=1}); CURRENT=$#words; PREFIX=$words[-1]; _ampsim"""
    assert answer("zsh", script, "zsh", line) == LINES[line]


@pytest.mark.parametrize("line", LINES)
def test_fish(ampsim: Path, line: str):
    found = answer("fish", "source ampsim.fish; complete -C $argv[1]", line)
    assert found == LINES[line] or sorted(found) == sorted(LINES[line])
