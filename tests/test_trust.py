"""What comes from someone else is data: configs, models, recordings and names that were made to do harm."""

import ast
import json
import os
import re
import socket
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from fuzz import wounded
from synthetic import RATE, noise, write_pcm

import ampsim
from ampsim import AmpsimError
from ampsim.cli import main as cli
from ampsim.commands import options
from ampsim.config import saved, settings
from ampsim.config.settings import composed
from ampsim.config.targets import build
from ampsim.players import read as read_capture
from ampsim.runs import locations
from ampsim.signals import audio

# ---- configs --------------------------------------------------------------------------------------------------------

CODE = {"_target_": "os.system", "command": "touch {hit}"}
# Where in a saved config, and what stands there; {hit} is a file that must not come to be.
ATTACKS: dict[str, tuple[str, Any]] = {
    "os": ("model", CODE),
    "os by another name": ("model._target_", "posix.system"),
    "builtins": ("model", {"_target_": "builtins.exec", "_args_": ["open('{hit}', 'w')"]}),
    "bare builtin": ("loss._target_", "exec"),
    "subprocess": ("loss", {"_target_": "subprocess.Popen", "args": ["touch", "{hit}"]}),
    "importlib": ("schedule", {"_target_": "importlib.import_module", "name": "this"}),
    "runpy": ("schedule", {"_target_": "runpy.run_path", "path_name": "{hit}.py"}),
    "pickle": ("model", {"_target_": "pickle.loads", "data": "cos\nsystem\n"}),
    "numpy that unpickles": ("model", {"_target_": "numpy.load", "file": "{hit}", "allow_pickle": True}),
    "Hydra's own": ("optimizer", {"_target_": "hydra.utils.instantiate", "config": CODE}),
    "a method": ("data", {"_target_": "pathlib.Path.write_text", "self": "{hit}", "data": ""}),
    "through a module of ours": ("model._target_", "ampsim.recordings.pairs.virtual_amp.os.system"),
    "import by ours": ("model._target_", "ampsim.config.targets.importlib.import_module"),
    "loader by ours": ("model._target_", "ampsim.signals.audio.np.load"),
    "a module that Keras imports": ("optimizer._target_", "keras.optimizers.os"),
    "a function of Keras": ("optimizer._target_", "keras.optimizers.deserialize"),
    "a function of ours that writes": ("data", {"_target_": "ampsim.signals.audio.write", "path": "{hit}"}),
    "a class of ours that writes": ("data", {"_target_": "ampsim.runs.tracking.Store", "folder": "{hit}"}),
    "a lambda layer": ("model", {"_target_": "keras.layers.Lambda", "function": "print"}),
    "a model of Keras": ("model", {"_target_": "keras.Sequential"}),
    "a private attribute": ("model._target_", "ampsim.models.Dense.__init__.__globals__"),
    "in a list": ("data.path", [CODE]),
    "in lists in a list": ("data.path", [[[CODE]]]),
    "in a dict in a list": ("data.splits", {"train": [{"x": [CODE]}], "validation": 0.1, "test": 0.1}),
    "deep in the loss": ("loss.terms.esr", {"_target_": "ampsim.losses.PreEmphasized", "loss": CODE}),
    "below an allowed target": ("optimizer.learning_rate", CODE),
    "in training": ("training.epochs", CODE),
    "in a dict for the name": ("name", CODE),
    "in tracking": ("tracking", {"folder": CODE}),
    "a target in a list": ("model._target_", ["os.system"]),
    "a target in a dict": ("model._target_", CODE),
    "a key of Hydra": ("hydra", {"searchpath": ["file:///tmp"], "job": {"env_set": {"PATH": "/tmp"}}}),
    "a list of defaults": ("defaults", [{"model": "/etc/passwd"}]),
    "callbacks of Hydra": ("hydra", {"callbacks": {"x": CODE}}),
    "an environment resolver": ("training.epochs", "${oc.env:HOME}"),
    "a decoding resolver": ("training.segment_length", "${oc.decode:'1'}"),
    "an evaluating resolver": ("training.seconds", "${eval:'1+1'}"),
    "a resolver as target": ("model._target_", "${oc.env:AMPSIM_TARGET}"),
    "a resolver in a target": ("model._target_", "ampsim.models.${oc.env:AMPSIM_TARGET}"),
    "a resolver as seed": ("seed", "${oc.env:AMPSIM_SEED}"),
    "a model as recording": ("data", {"_target_": "ampsim.models.Fir"}),
    "a recording as model": ("model", {"_target_": "ampsim.recordings.Stereo", "path": "x.wav"}),
    "a schedule as optimizer": ("optimizer", {"_target_": "ampsim.training.schedules.Constant"}),
}


def changed(config: dict, change: str, value: Any) -> dict:
    *sections, last = change.split(".")
    section = config
    for each in sections:
        section = section[each]
    section[last] = value
    return config


@pytest.mark.parametrize("name", ATTACKS)
def test_a_config_made_to_do_harm_is_refused_before_anything_is_loaded(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    hit = tmp_path / "hit"
    monkeypatch.setenv("AMPSIM_TARGET", "os.system")
    monkeypatch.setenv("AMPSIM_SEED", "1")
    change, value = ATTACKS[name]
    told = json.loads(json.dumps(value).replace("{hit}", str(hit)))
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(changed(composed([]), change, told)), encoding="utf-8")
    before = set(sys.modules)
    assert cli.main(["reproduce", f"config={path}", f"folder={tmp_path / 'runs'}"]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"ampsim: {path}: ")
    assert errors.count("\n") == 1
    assert os.listdir(tmp_path) == ["config.yaml"]  # noqa: PTH208
    assert not {"this", "runpy", "mlflow", "ampsim.runs.experiment"} & (set(sys.modules) - before)


@pytest.mark.parametrize(
    "extra", [{"_partial_": True}, {"_args_": ["x"]}, {"_recursive_": False}, {"_convert_": "all"}], ids=str
)
def test_the_keys_by_which_hydra_builds_differently_mean_nothing_here(extra: dict):
    with pytest.raises(AmpsimError, match=r"ampsim\.training\.schedules\.Cosine takes no `_"):
        build({"_target_": "ampsim.training.schedules.Cosine", **extra})


def test_a_resolver_in_a_saved_config_stays_text(tmp_path: Path):
    path = tmp_path / "config.yaml"
    told = changed(composed(["data=stereo", "data.path=x.wav"]), "data.path", "${oc.env:HOME}/x.wav")
    path.write_text(yaml.safe_dump(told), encoding="utf-8")
    source = build(saved.read_config(path)[0]["data"])
    with pytest.raises(AmpsimError, match=re.escape("${oc.env:HOME}/x.wav does not exist")):
        source.load()


def test_a_config_cannot_name_the_folder_in_which_a_made_recording_is_kept(tmp_path: Path):
    with pytest.raises(AmpsimError, match=r"a config cannot name data\.cache"):
        build({"_target_": "ampsim.recordings.VirtualAmp", "cache": str(tmp_path / "elsewhere")})
    assert list(tmp_path.iterdir()) == []


def test_a_saved_config_writes_into_the_store_that_the_command_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither its tracking.folder, nor a server that it names, nor a name that climbs, is heeded."""
    from ampsim.judging import reproduction
    from ampsim.runs import experiment
    from ampsim.runs.tracking import Store

    asked: list[dict] = []

    def run(config: dict, **_: Any) -> None:
        asked.append(config)
        raise AmpsimError("enough")

    monkeypatch.setattr(experiment, "run", run)
    config = composed(["data.duration_s=6"])
    config["tracking"] = {"folder": str(tmp_path / "victim"), "uri": "http://evil.example", "experiment": "../../x"}
    config["name"] = "../../../climbing"
    found = reproduction.original("x", config, lambda name: None)
    with pytest.raises(AmpsimError, match="enough"):
        reproduction.reproduce(found, Store(tmp_path / "mine"), recordings=None)
    assert asked[0]["tracking"] == {"folder": str(tmp_path / "mine"), "uri": None, "experiment": "ampsim"}
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


# ---- models ---------------------------------------------------------------------------------------------------------


def forged(folder: Path, change: Callable[[dict], None]) -> Path:
    """One of our models, its config.json rewritten."""
    from ampsim.models import Fir

    model = Fir(taps=8)
    model.build()
    model.save(folder / "sound.keras")
    path = folder / "model.keras"
    with zipfile.ZipFile(folder / "sound.keras") as sound, zipfile.ZipFile(path, "w") as copy:
        for name in sound.namelist():
            data = sound.read(name)
            if name == "config.json":
                config = json.loads(data)
                change(config)
                data = json.dumps(config).encode()
            copy.writestr(name, data)
    return path


LAMBDA = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "config": {"name": "x", "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}},
    "registered_name": None,
}
FORGED: dict[str, Callable[[dict], None]] = {
    "a Lambda layer": lambda config: config.update(LAMBDA),
    "a Lambda layer inside a model": lambda config: config.update(
        module="keras", class_name="Sequential", registered_name=None, config={"layers": [LAMBDA]}
    ),
    "a Lambda layer among a model's arguments": lambda config: config["config"].update(taps=LAMBDA),
    "safe mode turned off inside": lambda config: config.update(
        module="keras.config", class_name="enable_unsafe_deserialization", registered_name=None, config={}
    ),
    "a function of a module": lambda config: config.update(
        module="os", class_name="system", registered_name=None, config={"command": "true"}
    ),
    "a download": lambda config: config.update(
        module="keras.utils", class_name="get_file", config={"origin": "file:///etc/passwd"}
    ),
    "another registered name": lambda config: config.update(registered_name="builtins>eval"),
    "a module below ours": lambda config: config.update(module="ampsim.models.base.keras.layers"),
    "a module that is no text": lambda config: config.update(module=["ampsim.models.fir"]),
    "no class": lambda config: config.pop("class_name"),
    "a harmless model of Keras": lambda config: config.update(
        module="keras", class_name="Sequential", registered_name=None, config={"name": "x", "layers": []}
    ),
    "arguments of a wrong kind": lambda config: config["config"].update(taps="many"),
    "a config that fills the memory": lambda config: config["config"].update(name="x" * 2_000_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORGED)
def test_a_forged_model_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    import keras

    from ampsim.models.saving import load

    load(forged(tmp_path, lambda config: None))  # as it was, it loads
    path = forged(tmp_path, FORGED[name])
    if name != "arguments of a wrong kind":  # refused before Keras sees it
        monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("Keras was asked"))
    with pytest.raises(AmpsimError, match="is not a model that ampsim can load"):
        load(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n" * 99, b"cos\nsystem\n(S'true'\ntR."], ids=repr
)
def test_what_is_no_model_at_all_is_refused(tmp_path: Path, data: bytes):
    from ampsim.models.saving import load

    (tmp_path / "model.keras").write_bytes(data)
    with pytest.raises(AmpsimError, match="is not a model that ampsim can load"):
        load(tmp_path / "model.keras")


def sources() -> list[tuple[str, ast.Call]]:
    """Every call in the package, with its function as written."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in Path(ampsim.__file__).parent.rglob("*.py")]
    return [(ast.unparse(node.func), node) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_nothing_in_the_package_can_read_a_pickle_or_run_text():
    runs_code = re.compile(
        r"(eval|exec|compile|__import__)$|(c?pickle|cloudpickle|dill|joblib|marshal|shelve|torch)\.|yaml\.(unsafe_|full_)?load$"
        r"|pyfunc\.load|os\.(system|popen)|.*\.read_pickle$"
    )
    assert [name for name, _ in sources() if runs_code.match(name)] == []
    for name, call in sources():
        given = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert given.get("allow_pickle", "False") == "False"
        assert given.get("shell", "False") == "False"
        if name in ("np.load", "numpy.load"):
            assert given["allow_pickle"] == "False"
        if name.endswith("load_model") and "saving" in name:
            assert given["safe_mode"] == "True"


def test_every_text_file_is_utf_8():
    for name, call in sources():
        if name.endswith((".read_text", ".write_text")):
            assert any(word.arg == "encoding" for word in call.keywords), ast.unparse(call)


# ---- recordings -----------------------------------------------------------------------------------------------------


def test_a_flac_that_states_more_than_it_holds_takes_no_memory_for_it(tmp_path: Path):
    """STREAMINFO ends its first 18 bytes with 36 bits for the number of samples (RFC 9639, section 8.2)."""
    path = tmp_path / "liar.flac"
    soundfile.write(path, noise(3000), RATE)
    for stated in (2**31, 2**36 - 1, 5000):
        data = bytearray(path.read_bytes())
        data[21:26] = (data[21] >> 4 << 36 | stated).to_bytes(5, "big")
        path.write_bytes(data)
        with pytest.raises(AmpsimError, match=r"liar\.flac (states|stops)"):
            audio.read(path)


@pytest.mark.parametrize(
    ("at", "value"), [(22, "<H1"), (24, "<I96000"), (34, "<H24")], ids=["channels", "rate", "bits"]
)
def test_a_wav_that_lies_about_itself_is_refused(tmp_path: Path, at: int, value: str):
    path = write_pcm(tmp_path / "liar.wav", [noise(3000), noise(3000)])
    data = bytearray(path.read_bytes())
    struct.pack_into(value[:2], data, at, int(value[2:]))
    path.write_bytes(data)
    with pytest.raises(AmpsimError, match="has a header that contradicts itself"):
        audio.read(path)


def test_a_rate_that_no_recording_has_is_refused(tmp_path: Path):
    path = tmp_path / "fast.wav"
    soundfile.write(path, noise(3000), 2_000_000_000)
    with pytest.raises(AmpsimError, match="states a sample rate of 2,000,000,000 Hz"):
        audio.read(path)


def test_an_aiff_that_was_cut_off_is_refused(tmp_path: Path):
    path = tmp_path / "cut.aiff"
    soundfile.write(path, noise(3000), RATE, subtype="PCM_24")
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(AmpsimError, match="states 3,000 samples and has room for"):
        audio.read(path)


def test_silence_in_a_flac_is_no_lie(tmp_path: Path):
    soundfile.write(tmp_path / "silence.flac", np.zeros(200_000), RATE)
    assert len(audio.read(tmp_path / "silence.flac").samples) == 200_000


@pytest.mark.parametrize("reader", [audio.read, read_capture, saved.read_config])
def test_what_never_ends_is_not_read(tmp_path: Path, reader: Callable[[Path], object]):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link.wav").symlink_to("/dev/zero")
    for path in (tmp_path / "fifo", tmp_path / "link.wav", Path("/dev/zero")):
        with pytest.raises(AmpsimError, match=r"is no file, but a (device|pipe|socket)"):
            reader(path)


@pytest.mark.slow
def test_ten_thousand_damaged_files_are_read_rightly_or_refused(tmp_path: Path):
    """In a process that may take 1 GB of memory more than it has, and 60 s of the processor."""
    done = subprocess.run(
        [sys.executable, str(Path(wounded.__code__.co_filename)), "10000", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    counts = json.loads(done.stdout)
    assert counts.pop("faults") == []
    assert sum(counts.values()) == 10_000
    assert min(counts.values()) > 1000, counts


# ---- names ----------------------------------------------------------------------------------------------------------

NAMES = ["two words", "Übersteuert größer", "🎸🔥", "[b][red]", "<b>&amp;\"'"]


@pytest.mark.parametrize("name", NAMES)
def test_the_doctor_names_any_file_as_it_is_and_its_page_obeys_none(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture
):
    recording = write_pcm(tmp_path / f"{name}.wav", [noise(2 * RATE), noise(2 * RATE, seed=1)])
    html, findings = tmp_path / f"{name}.html", tmp_path / f"{name}.json"
    with pytest.raises(SystemExit):  # two noises have nothing in common
        cli.main(["doctor", f"input={recording}", f"html={html}", f"json={findings}"])
    assert name in capsys.readouterr().out
    page = html.read_text(encoding="utf-8")
    assert "<b>&amp;\"'" not in page
    assert escape(name) in page
    assert json.loads(findings.read_text(encoding="utf-8"))["name"].startswith(name)


def test_a_name_that_is_no_text_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "a\udcffb.wav").write_bytes(write_pcm(tmp_path / "sound.wav", [noise(99)]).read_bytes())
    assert cli.main(["doctor", f"input={tmp_path}/a\udcffb.wav"]) == 2
    assert "has a name that is not text in UTF-8" in capsys.readouterr().err


def test_a_letter_that_the_terminal_lacks_is_no_error(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "ampsim", "votes", "🎸.json", "größer.json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"\\U0001f3b8.json" in done.stderr


# ---- the page of the runs, and what a command says ------------------------------------------------------------------


def test_the_page_of_the_runs_is_served_on_loopback_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[list[str]] = []
    ended = subprocess.Popen(["true"], start_new_session=True)
    ended.wait()
    monkeypatch.setattr(locations.subprocess, "Popen", lambda command, **_: asked.append(command) or ended)
    monkeypatch.setenv("MLFLOW_HOST", "0.0.0.0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    locations.serve_page(tmp_path, None, port)
    assert asked[0][asked[0].index("--host") + 1] == "127.0.0.1"
    assert asked[0].count("--host") == 1


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name != "train"])
def test_help_shows_every_option_apart_from_what_it_means(command: str, capsys: pytest.CaptureFixture):
    from dataclasses import fields

    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    shown = re.sub(r"\n {4,}", " ", capsys.readouterr().out)  # folded lines as one
    for each in fields(options.of_command(command)):
        if each.name != "files":  # words without a name, which stand behind the command itself
            assert re.search(rf"^  {each.name}  +{re.escape(each.metadata['help'])}", shown, re.MULTILINE), each.name


def test_help_and_the_documentation_tell_every_command_and_exit_code():
    from ampsim.judging import reproduction
    from ampsim.training import trainer as training

    page = settings.config_folder().parent / "docs" / "reference" / "environment.md"
    for command in cli.COMMANDS:  # tests/docs holds that each has an example in the documentation
        assert f"\n  {command} " in cli.overview()
    for text in (cli.overview(), page.read_text(encoding="utf-8")):
        (codes,) = re.findall(r"Exit codes: [^.]*", text.replace("\n", " "))
        for code in (0, AmpsimError.exit_code, training.DivergedError.exit_code, reproduction.DifferentError.exit_code):
            assert re.search(rf"\b{code} \w", codes)
        assert "130 interrupted" in codes
        assert "1 any other failure" in codes


def test_what_the_system_refuses_is_a_sentence(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    name = "x" * 300
    assert cli.main(["render", f"input={name}", "output=out.wav"]) == 2
    errors = capsys.readouterr().err
    assert errors == f"ampsim: {name}: File name too long\n"
    monkeypatch.setenv("AMPSIM_DEBUG", "1")
    assert cli.main(["render", f"input={name}", "output=out.wav"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.slow
def test_an_ordinary_run_says_what_is_needed_and_no_more(tmp_path: Path):
    words = "model=dense model.window=64 model.future=1 model.layers=1 model.units=8 training.epochs=40"
    name = "[/b] <script>alert(1)</script> ../ü 🎸"
    done = subprocess.run(
        [sys.executable, "-m", "ampsim", "train", *words.split(), "data.duration_s=6", f'name="{name}"'],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{name} on the test split" in done.stdout
    assert not re.search(r"warning|deprecat|\bI0000|Traceback", done.stdout, re.IGNORECASE)
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    (page,) = (tmp_path / "runs").rglob("listen.html")
    assert "<script>alert" not in page.read_text(encoding="utf-8")
