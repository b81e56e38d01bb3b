"""The commands' words, answers and exit codes, without training anything."""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from synthetic import RATE, guitar, write_pcm

from ampsim import AmpsimError, __version__, counted, printable
from ampsim.cli import display, terminal, train
from ampsim.cli import main as cli
from ampsim.commands import options
from ampsim.commands.words import KEYS, as_typed, examples_of, parsed, with_keys
from ampsim.config import settings
from ampsim.config.run_config import RunConfig, titled
from ampsim.recordings.findings import Finding

LIGHT = """
import contextlib, io, json, sys
from ampsim.cli import main as cli
from ampsim.cli import train
from ampsim.config.run_config import RunConfig, titled
found = []
for words in json.loads(sys.argv[1]):
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            code = cli.main(words)
        except SystemExit as stop:
            code = stop.code or 0
    loaded = sorted(set(sys.argv[2].split()) & set(sys.modules))
    found.append([code, output.getvalue(), errors.getvalue(), loaded])
print(json.dumps(found))
"""
HEAVY = "tensorflow keras mlflow matplotlib soxr"
TYPOS = {
    "a command": ["trian"],
    "a choice": ["train", "model=dens"],
    "a group": ["train", "modle=dense"],
    "a key of a sweep": ["train", "-m", "sed=0,1"],
    "a key of a search": ["train", "-m", "hydra/sweeper=optuna", "model.layrs=1,2"],
    "an option": ["evaluate", "rnu=last"],
    "an option of the doctor": ["doctor", "inptu=x.wav"],
    "an option of score": ["score", "tagret=x.wav"],
}
QUICK = {
    "help": ["--help"],
    "no word at all": [],
    "version": ["--version"],
    "help of train": ["train", "--help"],
    "help of doctor": ["doctor", "--help"],
    "help of evaluate": ["evaluate", "--help"],
    "help of render": ["render", "--help"],
    "help of compare": ["compare", "--help"],
    "help of score": ["score", "--help"],
    "help of reproduce": ["reproduce", "--help"],
    "help of export": ["export", "--help"],
    "help of register": ["register", "--help"],
    "help of sync": ["sync", "--help"],
    "help of ui": ["ui", "--help"],
    "help of votes": ["votes", "--help"],
    "help of fit-ear": ["fit-ear", "--help"],
    "help of loudness": ["loudness", "--help"],
    "help of calibrate": ["calibrate", "--help"],
    "help of completion": ["completion", "--help"],
    "help of schema": ["schema", "--help"],
    "help of import-config": ["import-config", "--help"],
    "help of init": ["init", "--help"],
    "where values come from": ["train", "--info", "experiment=founding"],
    "typo in a command": ["trian"],
    "typo in a key": ["train", "model.layrs=2"],
    "typo in a choice": ["train", "model=dens"],
    "wrong type": ["train", "training.epochs=many"],
    "missing value": ["train", "data=stereo"],
    "a file that is not there": ["train", "my_amp.wav"],
    "the version, and not Hydra's": ["train", "--version"],
    "typo in an option": ["render", "inptu=x.wav"],
    "missing input": ["render", "input=nothing.wav", "output=out.wav"],
    "needed option": ["render", "input=x.wav"],
    "no runs": ["ui"],
    "nothing to send": ["sync"],
    "nothing to score": ["score", "target=amp.wav"],
    "nothing to compare": ["compare"],
    "no runs to compare": ["compare", "sweep=last"],
    "no config to make again": ["reproduce", "config=nothing.yaml"],
    "no votes": ["votes"],
    "missing votes": ["votes", "nothing.json"],
    "no runs to export": ["export", "format=nam", "output=x.nam"],
    "no such capture": ["render", "capture=nothing.nam", f"input={__file__}", "output=out.wav"],
    "flag of Hydra that runs a pickle": ["train", "--experimental-rerun=x.pickle"],
    "flag of Hydra that reads other YAML": ["train", "-cd", "/tmp"],
    "search path of other YAML": ["train", "hydra.searchpath=[file:///tmp]"],
    "flag of Hydra with a typo": ["train", "--cfg", "job", "model.layrs=2"],
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    """Exit code, output, errors and what was loaded, for each of QUICK in one process of its own."""
    folder = tmp_path_factory.mktemp("cli")
    command = [sys.executable, "-c", LIGHT, json.dumps(list(QUICK.values())), HEAVY]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []  # and nothing is written
    return dict(zip(QUICK, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize("name", QUICK)
def test_what_can_be_answered_at_once_loads_nothing_heavy(answers: dict[str, list], name: str):
    assert answers[name][3] == []


def test_a_typo_waits_for_no_numbers(tmp_path: Path):
    numbers = f"{HEAVY} numpy scipy pandas soundfile optuna"
    command = [sys.executable, "-c", LIGHT, json.dumps(list(TYPOS.values())), numbers]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    for name, (code, _, errors, loaded) in zip(TYPOS, json.loads(done.stdout.splitlines()[-1]), strict=True):
        assert (name, code, loaded) == (name, 2, [])
        assert "did you mean" in errors


@pytest.mark.parametrize(
    ("name", "code", "sentence"),
    [
        ("help", 0, "ampsim train"),
        ("no word at all", 0, "ampsim train"),
        ("version", 0, __version__),
        ("help of train", 0, "rmsprop"),
        ("a file that is not there", 2, "`my_amp.wav` is not understood: there is no such file"),
        ("the version, and not Hydra's", 0, __version__),
        ("help of doctor", 0, "Check a recording"),
        ("help of evaluate", 0, "train, validation or test"),
        ("help of render", 0, "overwrite"),
        ("help of compare", 0, "the score to rank by"),
        ("help of score", 0, "a folder of them"),
        ("help of reproduce", 0, "a saved config.yaml"),
        ("help of export", 0, "rtneural"),
        ("help of register", 0, "registry"),
        ("help of sync", 0, "the folder that holds the runs"),
        ("help of ui", 0, "5000"),
        ("help of votes", 0, "binomial"),
        ("typo in a command", 2, "there is no command `trian`; did you mean `train`?"),
        ("typo in a key", 2, "the config has no `model.layrs`; did you mean `model.layers`?"),
        ("typo in a choice", 2, "there is no model `dens`; did you mean `dense`?"),
        ("wrong type", 2, "training.epochs"),
        ("missing value", 2, "data.path has no value"),
        ("typo in an option", 2, "`inptu=x.wav` is not understood; did you mean `input`?"),
        ("missing input", 2, "nothing.wav does not exist"),
        ("needed option", 2, "output has no value"),
        ("no runs", 2, "holds no runs yet"),
        ("nothing to send", 2, "holds no run that waits to be sent"),
        ("nothing to score", 2, "candidates has no value"),
        ("nothing to compare", 2, "holds no runs yet"),
        ("no runs to compare", 2, "holds no runs yet"),
        ("no config to make again", 2, "nothing.yaml does not exist"),
        ("no votes", 2, "name the files with votes"),
        ("missing votes", 2, "nothing.json does not exist"),
        ("no runs to export", 2, "holds no runs yet"),
        ("no such capture", 2, "nothing.nam does not exist"),
        ("flag of Hydra with a typo", 2, "model.layrs"),
    ],
)
def test_answers_and_exit_codes(answers: dict[str, list], name: str, code: int, sentence: str):
    found, output, errors, _ = answers[name]
    assert sentence in (output if code == 0 else errors)
    assert found == code
    if code:
        assert errors.startswith("ampsim: ")
        assert errors.count("\n") == 1


def test_help_of_train_lists_every_choice(answers: dict[str, list]):
    for group in ("data", "model", "loss", "optimizer", "schedule"):
        _, _, behind = answers["help of train"][1].partition(f"\n  {group} ")
        assert " ".join(re.split(r"\n  ?\w|\n\n", behind)[0].split()).split(", ") == settings.choices(group)


@pytest.mark.parametrize("name", [name for name in QUICK if name.startswith("help")])
def test_help_fits_a_screen(answers: dict[str, list], name: str):
    lines = answers[name][1].splitlines()
    assert len(lines) <= 40
    assert [line for line in lines if len(line) > 100] == []


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_a_command_has_three_examples_which_are_understood(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("my_amp.wav", "direct.wav", "amp.wav"):
        Path(name).touch()
    monkeypatch.setattr(options.locations, "refuse_unreachable", lambda uri: None)  # there is no http://host
    kind = options.of_command(command)
    assert kind is not None
    examples = [shlex.split(line) for line in examples_of(kind)]
    assert len(examples) == 3
    for start, said, *rest in examples:
        assert (start, said) == ("ampsim", command)
        if command != "train":
            parsed(kind, [word for word in rest if not word.startswith("plugins=")])


def test_the_help_of_all_names_every_command(answers: dict[str, list]):
    told = [line.split()[0] for line in answers["help"][1].splitlines() if re.match(r"  [a-z]", line)]
    assert told == cli.COMMANDS


def test_the_installed_command_is_this_one():
    """`ampsim` beside the interpreter, as pip made it."""
    command = Path(sys.executable).parent / "ampsim"
    if not command.exists():
        pytest.skip("ampsim is not installed beside this interpreter")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__


def test_an_error_can_be_traced(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    assert cli.main(["trian"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("AMPSIM_DEBUG", "1")
    assert cli.main(["trian"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_exit_code_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    def interrupted(words: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train", interrupted)
    assert cli.main(["train"]) == 130
    assert capsys.readouterr().err.endswith("ampsim: interrupted\n")


STEERING = "x\nampsim: all is well\r\x1b[2J\x9b31m\u202e\ud800.wav"
ESCAPED = r"x\nampsim: all is well\r\x1b[2J\x9b31m\u202e\ud800.wav"


def test_a_name_neither_steers_the_terminal_nor_begins_a_line(capsys: pytest.CaptureFixture):
    for words in (["train", f"{STEERING}=1"], ["doctor", STEERING], ["votes", STEERING], [STEERING]):
        assert cli.main(words) == 2
        errors = capsys.readouterr().err
        assert errors.startswith("ampsim: ")
        assert errors.count("\n") == 1
        assert ESCAPED in errors
    terminal.say(terminal.new_console(), STEERING)
    terminal.new_console().print(display.score_table({"esr": 0.5}, STEERING))
    terminal.new_console().print(display.findings_table([Finding("error", "x", STEERING, STEERING)]))
    shown = capsys.readouterr().out
    assert not [line for line in shown.splitlines() if line.startswith("ampsim")]
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert printable("ア ン\u3000プ 🎸 ö") == "ア ン\u3000プ 🎸 ö"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:secret@host:5000/x", "http://me:***@host:5000/x"),
        ("postgresql+psycopg://me:s%40:e@cret@[::1]:1/x", "postgresql+psycopg://me:***@[::1]:1/x"),
        ("'postgresql\\://me\\:secret@host/x'", "'postgresql\\://me\\:***@host/x'"),
        ("a http://:secret@host b", "a http://:***@host b"),
        ("postgresql://me@host:5000/x", "postgresql://me@host:5000/x"),
        ("http://host:5000/me@home and me:you@home", "http://host:5000/me@home and me:you@home"),
    ],
)
def test_a_password_in_an_address_is_told_nowhere(text: str, shown: str):
    assert printable(text) == str(AmpsimError(text)) == shown
    assert AmpsimError(text, 3).args == (shown, 3)


def test_each_sentence_of_an_error_has_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    def failing(words: list[str]) -> None:
        raise AmpsimError("one\nampsim: x", "two")

    monkeypatch.setattr(train, "train", failing)
    assert cli.main(["train"]) == 2
    assert capsys.readouterr().err == "ampsim: one\\nampsim: x\ntwo\n"


# ---- options ----


def test_a_tilde_is_the_home_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    found = parsed(options.Render, ["input=~/a.wav", "output=~x.wav", "run=~", "folder=~/runs"])
    assert (found.input, found.output, found.run) == (str(tmp_path / "a.wav"), "~x.wav", "~")
    assert found.folder == str(tmp_path / "runs")


def test_files_with_a_tilde_and_no_home_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    for words in (["doctor", "input=~x.wav"], ["votes", "~x.json"], ["reproduce", "config=~x.yaml"]):
        assert cli.main(words) == 2
        assert "~x." in capsys.readouterr().err
    assert cli.main(["render", "input=x", "output=y", f"channel={'9' * 5000}"]) == 2
    assert len(capsys.readouterr().err) < 300


def test_options_are_read_with_their_types():
    found = parsed(options.Render, ["input=a=b.wav", "output=o.wav", "channel=1", "overwrite=True"])
    assert found == options.Render(input="a=b.wav", output="o.wav", channel=1, overwrite=True)
    assert parsed(options.Evaluate, []) == options.Evaluate(folder="runs", uri="", run="last", split="test")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["channel=left"], "channel=left: it is a whole number"),
        (["overwrite=yes"], "overwrite=yes: it is true or false"),
        (["input"], "`input` is not understood"),
        (["--overwrite"], "`--overwrite` is not understood"),
    ],
)
def test_options_of_a_wrong_type_are_refused(words: list[str], sentence: str):
    with pytest.raises(AmpsimError) as caught:
        parsed(options.Render, words)
    assert sentence in str(caught.value)


def test_evaluate_refuses_an_unknown_split(capsys: pytest.CaptureFixture):
    assert cli.main(["evaluate", "split=tset"]) == 2
    assert "did you mean `test`?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "virtual_amp-dense"),
        (["seed=3"], "virtual_amp-dense-seed=3"),
        (["experiment=founding", "seed=3"], "founding-seed=3"),
        (["experiment=founding", "data=ds1"], "founding-ds1"),
        (["data=stereo", "data.path=/a/my amp.wav", "model.layers=2"], "my amp-dense-layers=2"),
        (
            ["data=pair", "data.input=/a/di.wav", "data.target=/a/my amp.wav", "data.checks=warn"],
            "my amp-dense-checks=warn",
        ),
        (["experiment=founding", "data.path=/a/my amp.wav"], "founding-my amp"),
        (["data=ds1", "data.splits.train=5 s"], "ds1-dense-train=5 s"),
        (["data=stereo", "data.path=[/a/verse.wav,/a/solo.wav]"], "stereo-dense"),
        (["optimizer=adam", "optimizer.learning_rate=1e-3"], "virtual_amp-dense-optimizer=adam-learning_rate=1e-3"),
        (["tracking.folder=elsewhere", "training.resume=true"], "virtual_amp-dense"),
        (["~loss.terms.mse", "+loss.terms.esr.weight=1"], "virtual_amp-dense-weight=1"),
    ],
)
def test_a_run_is_named_by_what_makes_it_special(overrides: list[str], name: str):
    assert titled(RunConfig({"model": {"_target_": "ampsim.models.Dense"}}), overrides) == name


def test_a_name_has_its_model_as_the_config_group_does_and_the_recording_where_it_is_not_all_the_same():
    config = RunConfig({"model": {"_target_": "ampsim.models.WaveNetCab"}})
    assert titled(config, ["seed=0"]) == "virtual_amp-wavenet_cab-seed=0"
    assert titled(config, ["seed=0"], unnamed=["data"]) == "wavenet_cab-seed=0"
    assert titled(config, ["seed=0"], unnamed=["model"]) == "virtual_amp-seed=0"
    assert titled(config, ["seed=0", "data.path=b.wav"], unnamed=["data"]) == "b-wavenet_cab-seed=0"


def test_a_resumed_command_has_the_name_of_the_first():
    config = RunConfig({"model": {"_target_": "ampsim.models.Dense"}})
    words = ["model.units=8", "training.epochs=2"]
    assert titled(config, [*words, "training.resume=true"]) == titled(config, words)


# ---- one word for one thing ----


def test_a_word_means_the_same_in_every_command():
    """What a command takes and `ampsim train` sets as a key of the config has one name; `experiment` is no store's."""
    names = {each.name for command in cli.COMMANDS for each in fields(options.of_command(command))}
    assert "experiment" not in names
    assert set(KEYS) <= names


def test_former_words_are_understood_and_told_of(capsys: pytest.CaptureFixture):
    found = parsed(options.Evaluate, ["experiment=losses", "tracking.folder=x", "tracking.uri="])
    assert (found.mlflow_experiment, found.folder) == ("losses", "x")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "ampsim: notice: experiment= is now mlflow_experiment=, in every command",
        "ampsim: notice: tracking.folder= is now folder=, in every command",
        "ampsim: notice: tracking.uri= is now uri=, in every command",
    ]
    parsed(options.Evaluate, ["folder=x"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["folder=x", "seed=1"], ["tracking.folder=x", "seed=1"]),
        (["mlflow_experiment=y", "uri=z"], ["tracking.experiment=y", "tracking.uri=z"]),
        (["input=a.wav"], ["data=stereo", "data.path=a.wav"]),
        (["input=a.wav", "target=b.wav", "-m"], ["data=pair", "-m", "data.input=a.wav", "data.target=b.wav"]),
        (["input=."], ["data=folder", "data.path=."]),
        (["data=stereo", "input=a.wav"], ["data=stereo", "data.path=a.wav"]),
        (["data=folder", "data.path=x", "input=a.wav"], ["data=folder", "data.path=x", "data.input=a.wav"]),
        (["data=pair", "target=b", "input=a"], ["data=pair", "data.input=a", "data.target=b"]),
        (["experiment=distil", "input=a"], ["experiment=distil", "data.input=a"]),
        (["experiment=losses", "input=a"], ["data=stereo", "experiment=losses", "data.path=a"]),
    ],
)
def test_train_takes_the_words_of_the_other_commands(words: list[str], meant: list[str]):
    assert with_keys(words) == meant


def test_train_tells_of_keys_that_have_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "--info", "tracking.folder=x"]) == 0
    told = capsys.readouterr()
    assert told.err == "ampsim: notice: tracking.folder= is now folder=, in every command\n"
    assert cli.main(["train", "--info", "folder=x"]) == 0
    assert capsys.readouterr() == (told.out, "")
    assert as_typed(["tracking.folder=x", "data.input=y", "seed=1"]) == ["folder=x", "data.input=y", "seed=1"]


# ---- Hydra's own flags ----


def test_the_whole_config_can_be_printed(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "ampsim", "train", "--cfg", "job", "model=dense", "model.layers=2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "layers: 2" in done.stdout
    assert "_target_: ampsim.models.Dense" in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-m", "data=stereo", "data.path=nothing.wav", "seed=0,1"], "nothing.wav does not exist"),
        (["-m", "training.batch_size=0,1"], "training.batch_size=0: it is 1 or more"),
    ],
)
@pytest.mark.slow
def test_an_error_inside_a_sweep_is_a_sentence_with_exit_code_2(tmp_path: Path, words: list[str], sentence: str):
    done = subprocess.run(
        [sys.executable, "-m", "ampsim", "train", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


# ---- a recording with a fault ends a run before anything is kept ----

BROKEN = {
    "clips.wav": ([guitar(RATE), 9 * guitar(RATE)], ["clips.wav", "clips at 0:0"]),
    "silent.wav": ([guitar(RATE), 0 * guitar(RATE)], ["silent.wav", "is silent from 0:00.0 to 0:01.0"]),
    "mono.wav": ([guitar(RATE)], ["mono.wav", "has 1 channel"]),
    "short.wav": ([guitar(RATE), np.tanh(3 * guitar(RATE))], ["too short to measure it twice", "Set data.delay"]),
    "few.wav": ([guitar(2 * RATE), np.tanh(3 * guitar(2 * RATE))], ["too short", "model's memory of 4,606 samples"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_a_recording_that_cannot_work_is_refused_and_no_run_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture, name: str
):
    channels, sentences = BROKEN[name]
    monkeypatch.chdir(tmp_path)
    write_pcm(tmp_path / name, channels)
    assert cli.main(["train", "data=stereo", f"data.path={name}"]) == 2
    errors = capfd.readouterr().err
    for sentence in sentences:
        assert sentence in errors
    assert "Traceback" not in errors
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208


@pytest.mark.slow
def test_a_folder_without_runs_is_named_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["evaluate", "folder=rnus"]) == 2
    assert "rnus" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_recording_is_named_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("amp #1.wav", "di.wav"):
        (tmp_path / name).touch()
    (tmp_path / "takes").mkdir()
    stereo = ["data=stereo", "data.path='amp #1.wav'"]
    assert train.with_recording(["-m", "amp #1.wav", "seed=0,1"]) == [*stereo, "-m", "seed=0,1"]
    pair = ["data=pair", "data.input=di.wav", "data.target='amp #1.wav'"]
    assert train.with_recording(["di.wav", "amp #1.wav", "~loss.terms.dc"]) == [*pair, "~loss.terms.dc"]
    assert train.with_recording(["takes"]) == ["data=folder", "data.path=takes"]
    (tmp_path / "my amp.csv").touch()
    assert train.with_recording(["my amp.csv", "seed=1"]) == ["data=knobs", "data.path='my amp.csv'", "seed=1"]
    for name, quoted in (("a=b.wav", "'a=b.wav'"), ("-take.wav", "-take.wav")):
        (tmp_path / name).touch()
        assert train.with_recording([name, "seed=1"]) == ["data=stereo", f"data.path={quoted}", "seed=1"]
    assert train.with_recording(["--cfg", "job", "+x=1", ""]) == ["--cfg", "job", "+x=1", ""]
    for words, told in ((["nothing.wav"], "no such file"), (["di.wav", "di.wav", "takes"], "3 files")):
        with pytest.raises(AmpsimError, match=told):
            train.with_recording(words)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 samples"), (1, "1 sample"), (-1, "-1 sample"), (2, "2 samples"), (1024, "1,024 samples")],
)
def test_one_of_a_kind_is_not_told_as_many(count: int, words: str):
    assert counted(count, "sample") == words
