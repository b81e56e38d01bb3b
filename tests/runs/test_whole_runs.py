"""Whole runs through the command line: train, evaluate, render, and a run that was killed and goes on."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import keras
import matplotlib.image
import numpy as np
import pytest
import soundfile
import yaml
from mlflow.tracking import MlflowClient
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import RATE, REMOVED, amp, guitar, shifted, write_pcm

import ampsim.models  # noqa: F401 - Keras finds the classes of saved models by it
from ampsim import metrics
from ampsim.cli import main as cli
from ampsim.config.targets import flattened

SMALL = [
    "model=dense",
    "model.window=64",
    "model.future=9",
    "model.layers=1",
    "model.units=8",
    "training.segment_length=1000",
    "training.epochs=2",
    "training.validate_every=1",
    "optimizer=adam",
    "optimizer.learning_rate=0.01",
    "loss=esr",
]


@contextmanager
def chdir(folder: Path) -> Iterator[None]:
    """As if the commands inside were typed in another folder (contextlib has this from Python 3.11 on)."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def client(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder.absolute() / 'mlflow.db'}")


def runs(folder: Path) -> list:
    store = client(folder)
    return store.search_runs([store.get_experiment_by_name("ampsim").experiment_id])


def artifacts(folder: Path, run_id: str) -> Path:
    return folder / "artifacts" / run_id / "artifacts"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, recording: Path) -> SimpleNamespace:
    """One run of `ampsim train` in a folder of its own, and what it left there."""
    folder = tmp_path_factory.mktemp("work")
    with chdir(folder):
        code = cli.main(["train", "data=stereo", f"data.path='{recording}'", *SMALL])
    (run,) = runs(folder / "runs")
    return SimpleNamespace(
        code=code, folder=folder, run=run, params=run.data.params, files=artifacts(folder / "runs", run.info.run_id)
    )


def test_it_ends_well_and_leaves_only_its_runs_behind(trained: SimpleNamespace):
    assert trained.code == 0
    assert trained.run.info.status == "FINISHED"
    assert [path.name for path in trained.folder.iterdir()] == ["runs"]
    left = {path.name for path in (trained.folder / "runs").iterdir()}
    assert left == {".lock", "artifacts", "last", "mlflow.db", "unfinished"}
    assert list((trained.folder / "runs" / "unfinished").iterdir()) == []


def test_its_artifacts(trained: SimpleNamespace):
    found = {path.relative_to(trained.files).as_posix() for path in trained.files.rglob("*") if path.is_file()}
    assert found == {
        "config.yaml",
        "recording.json",
        "environment.json",
        "scores.json",
        "probes.json",
        "model.keras",
        "listen.html",
        "figures/training.png",
        "figures/waveforms.png",
        "figures/fft.png",
        "figures/spectrograms.png",
        "figures/error.png",
        "figures/gain.png",
        "figures/harmonics.png",
        "figures/aliasing.png",
        "figures/hiss.png",
        "audio/direct.wav",
        "audio/amp.wav",
        "audio/prediction.wav",
    }


def test_its_figures_open_as_images(trained: SimpleNamespace):
    for path in (trained.files / "figures").iterdir():
        pixels = matplotlib.image.imread(path)
        assert pixels.shape[0] > 300
        assert pixels.shape[1] > 600
        assert pixels.std() > 0.05


def test_its_params_are_the_config_flattened(trained: SimpleNamespace):
    config = yaml.safe_load((trained.files / "config.yaml").read_text(encoding="utf-8"))
    expected = {key: str(value) for key, value in flattened(config).items() if not key.startswith("tracking.")}
    assert {key: trained.params[key] for key in expected} == expected
    assert trained.params["model.window"] == "64"
    assert trained.run.info.run_name.startswith("my amp-dense-window=")
    assert "-window=64" in trained.run.info.run_name


def test_the_delay_was_found_and_logged(trained: SimpleNamespace):
    assert trained.params["recording.delay"] == str(REMOVED)
    recording = json.loads((trained.files / "recording.json").read_text(encoding="utf-8"))
    delay = recording["delay"]
    assert (delay["samples"], delay["inverted"], delay["estimated"]) == (REMOVED, False, True)
    assert delay["confidence"] > 25
    assert recording["sample_rate"] == RATE


def test_the_recording_is_remembered_by_its_hash(trained: SimpleNamespace, recording: Path):
    digest = hashlib.sha256(recording.read_bytes()).hexdigest()
    (file,) = json.loads((trained.files / "recording.json").read_text(encoding="utf-8"))["files"]
    assert file == {"path": str(recording), "duration_s": 3.0, "sha256": digest}
    assert digest in trained.params.values()


def test_the_splits_are_remembered_and_keep_the_models_memory_apart(trained: SimpleNamespace):
    splits = json.loads((trained.files / "recording.json").read_text(encoding="utf-8"))["splits"]
    ((train,), (validation,), (test,)) = (splits[name] for name in ("train", "validation", "test"))
    assert train["start"] == 0
    assert test["stop"] == 3 * RATE - REMOVED
    assert validation["start"] - train["stop"] == test["start"] - validation["stop"] == 64


def test_the_environment_is_remembered(trained: SimpleNamespace):
    environment = json.loads((trained.files / "environment.json").read_text(encoding="utf-8"))
    assert environment["versions"]["keras"] == keras.__version__
    assert environment["versions"]["numpy"] == np.__version__
    assert environment["python"] == ".".join(map(str, sys.version_info[:3]))


def test_its_curves_have_a_point_an_epoch(trained: SimpleNamespace):
    store = client(trained.folder / "runs")
    for name in ("loss", "loss_esr", "validation_loss", "validation_esr", "learning_rate"):
        history = store.get_metric_history(trained.run.info.run_id, name)
        assert len(history) == 2
        assert all(np.isfinite(point.value) for point in history)
    assert [point.value for point in store.get_metric_history(trained.run.info.run_id, "epoch")] == [1, 2]


def held_out(trained: SimpleNamespace, recording: Path) -> tuple[np.ndarray, np.ndarray]:
    """Direct and amp of the test split, cut from the WAV by hand."""
    (test,) = json.loads((trained.files / "recording.json").read_text(encoding="utf-8"))["splits"]["test"]
    samples = soundfile.read(recording, dtype="float32")[0]
    return samples[:-REMOVED, 0], samples[REMOVED:, 1][test["start"] : test["stop"]]


def test_its_score_is_that_of_the_saved_model_on_the_held_out_signal(trained: SimpleNamespace, recording: Path):
    model = keras.saving.load_model(trained.files / "model.keras", compile=False)
    direct, target = held_out(trained, recording)
    heard = np.pad(direct, (64 - 9, 8))  # history and lookahead of window 64 with 9 in the future
    prediction = model(heard[None]).numpy()[0][-len(target) :]
    assert trained.run.data.metrics["test_esr"] == pytest.approx(metrics.esr(target, prediction), rel=1e-4)
    assert model.sample_rate == RATE
    assert trained.run.data.metrics["test_parameters"] == 64 * 8 + 8 + 8 + 1


def test_its_audio_has_one_common_gain(trained: SimpleNamespace, recording: Path):
    gain = 10 ** (float(trained.run.data.tags["listening_gain_db"]) / 20)
    audio = {}
    for name in ("direct", "amp", "prediction"):
        audio[name], rate = soundfile.read(trained.files / "audio" / f"{name}.wav", dtype="float32")
        assert rate == RATE
    direct, target = held_out(trained, recording)
    assert_allclose(audio["amp"], gain * target, atol=2e-3)
    assert_allclose(audio["direct"], gain * direct[-len(target) :], atol=2e-3)
    assert max(np.abs(samples).max() for samples in audio.values()) == pytest.approx(0.9, abs=0.001)
    esr = metrics.esr(audio["amp"], audio["prediction"])
    assert esr == pytest.approx(trained.run.data.metrics["test_esr"], rel=0.01)


def test_its_page_holds_its_signals_scores_and_config(trained: SimpleNamespace):
    text = (trained.files / "listen.html").read_text(encoding="utf-8")
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    assert [signal["name"] for signal in data["signals"]] == ["direct", "amp", trained.run.info.run_name]
    assert data["signals"][2]["run"] == trained.run.info.run_id
    rows = {row["label"]: row["cells"] for row in data["table"]}
    assert rows["ESR"] == [f"{trained.run.data.metrics['test_esr']:.4f}"]
    assert data["configs"][trained.run.info.run_name] == (trained.files / "config.yaml").read_text(encoding="utf-8")


def test_the_config_is_hashed_and_the_overrides_kept(trained: SimpleNamespace):
    tags = trained.run.data.tags
    assert "model.window=64" in tags["overrides"]
    assert len(tags["config_hash"]) == 12


# ---- evaluate and render ----


def test_evaluate_finds_the_same_score(trained: SimpleNamespace, capsys: pytest.CaptureFixture):
    with chdir(trained.folder):
        assert cli.main(["evaluate", "run=last"]) == 0
    output = capsys.readouterr().out
    (line,) = [line for line in output.splitlines() if line.strip().startswith("ESR")]
    assert line.split()[1] == f"{trained.run.data.metrics['test_esr']:.4f}"


def test_evaluate_on_another_split_from_another_folder(
    trained: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture
):
    with chdir(tmp_path):
        name = trained.run.info.run_name
        assert cli.main(["evaluate", f"run={name}", "split=validation", f"folder={trained.folder / 'runs'}"]) == 0
    output = capsys.readouterr().out
    (line,) = [line for line in output.splitlines() if line.strip().startswith("ESR")]
    best = min(
        point.value
        for point in client(trained.folder / "runs").get_metric_history(trained.run.info.run_id, "validation_esr")
    )
    assert float(line.split()[1]) == pytest.approx(best, abs=2e-4)


def test_render_plays_a_file_of_any_rate(trained: SimpleNamespace, tmp_path: Path):
    riff = guitar(20_000, sample_rate=16000, seed=9)
    source = write_pcm(tmp_path / "my riff 🎸.wav", [riff], 16000)
    with chdir(trained.folder):
        assert cli.main(["render", "run=last", f"input={source}", f"output={tmp_path / 'out.flac'}"]) == 0
    samples, rate = soundfile.read(tmp_path / "out.flac", dtype="float32")
    assert (rate, samples.shape) == (16000, (20_000,))
    assert np.abs(samples).max() > 0.05
    with chdir(trained.folder):  # it exists now
        assert cli.main(["render", "run=last", f"input={source}", f"output={tmp_path / 'out.flac'}"]) == 2


def test_render_plays_a_folder_and_is_the_model(trained: SimpleNamespace, tmp_path: Path):
    (tmp_path / "in").mkdir()
    for seed in (1, 2):
        write_pcm(tmp_path / "in" / f"{seed}.wav", [guitar(5000, seed=seed)])
    with chdir(trained.folder):
        assert cli.main(["render", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}"]) == 0
    model = keras.saving.load_model(trained.files / "model.keras", compile=False)
    for seed in (1, 2):
        heard = soundfile.read(tmp_path / "in" / f"{seed}.wav", dtype="float32")[0]
        expected = model(np.pad(heard, (64 - 9, 8))[None]).numpy()[0]
        assert_allclose(soundfile.read(tmp_path / "out" / f"{seed}.wav")[0], expected, atol=1e-5)


def test_a_run_that_is_not_there_is_named(trained: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture):
    source = write_pcm(tmp_path / "in.wav", [guitar(100)])
    wrong = trained.run.info.run_name[:-1]
    with chdir(trained.folder):
        assert cli.main(["render", f"run={wrong}", f"input={source}", f"output={tmp_path / 'out.wav'}"]) == 2
    assert f"did you mean `{trained.run.info.run_name}`?" in capsys.readouterr().err
    assert not (tmp_path / "out.wav").exists()


# ---- other ways a run can go ----


def test_an_inverting_amp_is_told_and_learnt(tmp_path: Path, capsys: pytest.CaptureFixture):
    """And, in one run: the same take as two mono files, the delay given, the name given."""
    played = guitar(3 * RATE + 200, seed=5)
    direct = write_pcm(tmp_path / "di.wav", [shifted(played, 0, 3 * RATE)])
    loud = write_pcm(tmp_path / "amp.wav", [shifted(-amp(played), -4, 3 * RATE)])
    words = ["data=pair", f"data.input={direct}", f"data.target={loud}", "data.delay=-4", "name=inverted"]
    with chdir(tmp_path):
        assert cli.main(["train", *words, *SMALL, "training.epochs=4"]) == 0
    output = capsys.readouterr().out
    assert "the amp's signal leads the direct signal by 4 samples (as configured)" in output
    assert "the amp's signal is inverted" in output
    (run,) = runs(tmp_path / "runs")
    assert (run.info.run_name, run.data.params["recording.delay"]) == ("inverted", "-4")
    assert run.data.metrics["test_esr"] < 0.5


@pytest.mark.slow
def test_a_run_that_diverges_is_tagged_and_has_its_own_exit_code(
    tmp_path: Path, recording: Path, capsys: pytest.CaptureFixture
):
    words = ["data=stereo", f"data.path='{recording}'", *SMALL, "optimizer=sgd", "optimizer.learning_rate=1e30"]
    with chdir(tmp_path):
        code = cli.main(["train", *words, "model.activation=linear", "optimizer.momentum=0.9", "training.epochs=20"])
    assert code == 3
    assert "lower optimizer.learning_rate" in capsys.readouterr().err
    (run,) = runs(tmp_path / "runs")
    assert (run.info.status, run.data.tags["diverged"]) == ("FAILED", "true")
    assert all(abs(value) < 1e300 for value in run.data.metrics.values())


COMMAND = [sys.executable, "-m", "ampsim", "train"]
LONG = ["training.epochs=12", "training.steps_per_call=1", "training.checkpoint_every_s=0", "model.dropout=0.1"]


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_weights_of_an_unbroken_one(tmp_path: Path, recording: Path):
    words = ["data=stereo", f"data.path='{recording}'", *SMALL, *LONG]
    killed, unbroken = tmp_path / "killed", tmp_path / "unbroken"
    for folder in (killed, unbroken):
        folder.mkdir()
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*COMMAND, *words], cwd=killed, stdout=log, stderr=log)
        deadline = time.monotonic() + 300
        while not list(killed.glob("runs/unfinished/*/checkpoint.npz")) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, (tmp_path / "log").read_text()
    (checkpoint,) = killed.glob("runs/unfinished/*/checkpoint.npz")
    with np.load(checkpoint) as saved:
        step = json.loads(bytes(saved["state"]))["step"]
    resumed = subprocess.run(
        [*COMMAND, *words, "training.resume=true"], cwd=killed, check=True, capture_output=True, text=True
    )
    assert "going on with the unfinished run" in resumed.stdout
    subprocess.run([*COMMAND, *words], cwd=unbroken, check=True, capture_output=True)

    (after,), (reference,) = runs(killed / "runs"), runs(unbroken / "runs")
    assert after.info.status == "FINISHED"
    assert 0 < step < reference.data.metrics["step"] == after.data.metrics["step"]
    models = [
        keras.saving.load_model(artifacts(folder / "runs", run.info.run_id) / "model.keras", compile=False)
        for folder, run in ((killed, after), (unbroken, reference))
    ]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        assert_array_equal(one, other)
    assert after.data.metrics["test_esr"] == reference.data.metrics["test_esr"]
    curves = [
        [(point.step, point.value) for point in client(folder / "runs").get_metric_history(run.info.run_id, name)]
        for folder, run in ((killed, after), (unbroken, reference))
        for name in ("loss", "validation_loss")
    ]
    assert curves[:2] == curves[2:]
    assert list((killed / "runs" / "unfinished").iterdir()) == []


@pytest.mark.slow
def test_a_sweep_makes_a_run_for_each_value_and_each_as_if_alone(
    trained: SimpleNamespace, recording: Path, tmp_path: Path
):
    words = ["data=stereo", f"data.path='{recording}'", *SMALL]
    subprocess.run([*COMMAND, "-m", *words, "seed=1,0"], cwd=tmp_path, check=True, capture_output=True)
    found = {run.data.params["seed"]: run for run in runs(tmp_path / "runs") if run.data.params}
    assert sorted(found) == ["0", "1"]
    assert found["0"].data.metrics["test_esr"] == trained.run.data.metrics["test_esr"]
    assert found["1"].data.metrics["test_esr"] != found["0"].data.metrics["test_esr"]


@pytest.mark.slow
def test_a_real_pedal_is_learnt_better_than_a_linear_filter_could(
    real_recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    if not (real_recordings / "ds1").is_dir():
        pytest.skip(f"{real_recordings} holds no ds1")
    words = [
        "data=ds1",
        "model=dense",
        "model.window=256",
        "model.future=16",
        "model.layers=2",
        "model.units=32",
        "loss=esr",
    ]
    words += ["optimizer=adam", "optimizer.learning_rate=0.003", "training.seconds=30", "training.segment_length=8192"]
    with chdir(tmp_path):
        assert cli.main(["train", *words]) == 0
    (run,) = runs(tmp_path / "runs")
    assert run.data.params["recording.delay"] in ("-15", "-14")
    assert run.data.metrics["test_esr"] < 0.23  # the best linear filter of 512 taps, see the data's README
