"""A run that has learnt an amp's controls: trained, scored, rendered and exported at settings of them."""

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic import guitar

import ampsim
from ampsim import AmpsimError, api
from ampsim.cli import main as cli
from ampsim.export import FORMATS
from ampsim.players import read
from ampsim.recordings.controls import Control
from ampsim.runs.finished import refuse_other_controls
from ampsim.training.observer import Observer

RATE = 8000
WORDS = [
    *(
        "data=virtual_knobs",
        "data.count=4",
        "data.duration_s=3",
        f"data.sample_rate={RATE}",
        "data.unseen=2",
        "data.delay=0",
    ),
    *("model=wavenet_nano", "model.channels=[4]", "model.dilations=[[1,2,4]]", "model.future=1", "optimizer=adam"),
    *("loss=esr", "training.segment_length=500", "training.epochs=1"),
]
SETTING = {"gain": 7.5, "treble": 3, "master": 5}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> api.Run:
    folder = tmp_path_factory.mktemp("knobs") / "runs"
    return ampsim.train(overrides=WORDS, name="amp", tracking={"folder": str(folder)}, observer=Observer())


@pytest.fixture
def riff(tmp_path: Path) -> Path:
    path = tmp_path / "riff.wav"
    soundfile.write(path, guitar(RATE, sample_rate=RATE), RATE, subtype="FLOAT")
    return path


def at_setting(run: api.Run, path: Path) -> np.ndarray:
    return run.at(**SETTING).play(soundfile.read(path, dtype="float32")[0], RATE)


def test_each_setting_of_the_test_split_has_scores_of_its_own(run: api.Run):
    """Against the rendered audio, of which it is a part: the sum of their errors is the error of all."""
    with run.tracked.file("settings.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert [*rows[0]] == ["gain", "treble", "master", "seconds", "esr", "a_weighted_esr", "predicted_mushra"]
    assert len(rows) == 2
    amp, prediction = (soundfile.read(run.audio[name])[0] for name in ("amp", "prediction"))
    ends = np.cumsum([0, *(round(float(row["seconds"]) * RATE) for row in rows)])
    assert ends[-1] == len(amp)
    pieces = [slice(a, b) for a, b in pairwise(ends)]
    told = sorted(float(np.sum((amp[each] - prediction[each]) ** 2) / np.sum(amp[each] ** 2)) for each in pieces)
    np.testing.assert_allclose(told, sorted(float(row["esr"]) for row in rows), rtol=2e-3)  # of 16 bits
    assert {"settings", "knobs"} <= set(run.figures)


@pytest.mark.parametrize("words", [["gain=7.5", "treble=3", "master=5"], ["setting={gain: 7.5, treble: 3, master: 5}"]])
def test_a_render_is_at_the_setting_that_the_command_says(run: api.Run, riff: Path, tmp_path: Path, words: list[str]):
    output = tmp_path / "out.wav"
    assert cli.main(["render", f"folder={run.store.folder}", f"input={riff}", f"output={output}", *words]) == 0
    np.testing.assert_allclose(soundfile.read(output)[0], at_setting(run, riff), atol=1e-6)


def test_an_automation_that_stands_still_is_a_setting(run: api.Run, riff: Path, tmp_path: Path):
    turned = tmp_path / "turned.csv"
    turned.write_text("seconds,gain,treble,master\n0,7.5,3,5\n0.5,7.5,3,5\n")
    (output,) = ampsim.render(riff, tmp_path / "out.wav", run=run, automation=str(turned))
    np.testing.assert_allclose(soundfile.read(output)[0], at_setting(run, riff), atol=1e-5)


def test_exports_at_settings_are_ordinary_captures(
    run: api.Run, riff: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    """Read by the players' reader, which shares no code with the model; one file a setting, named after it."""
    other = "{gain: 2, treble: 3, master: 5}"
    words = [f"folder={run.store.folder}", "format=nam", f"output={tmp_path / 'nams'}", "late=true"]
    assert cli.main(["export", *words, f"setting=[{{gain: 7.5, treble: 3, master: 5}}, {other}]"]) == 0, (
        capsys.readouterr()
    )
    names = [each.name for each in sorted((tmp_path / "nams").iterdir())]
    assert names == ["gain 2, treble 3, master 5.nam", "gain 7.5, treble 3, master 5.nam"]
    capture = read(tmp_path / "nams" / names[1])
    signal = soundfile.read(riff, dtype="float32")[0]
    np.testing.assert_allclose(np.concatenate([*capture.player.blocks([signal])]), at_setting(run, riff), atol=1e-5)
    assert "gain 7.5" in (tmp_path / "nams" / names[1]).read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say at which setting of them, such as gain="),
        (["gain=7", "treble=3"], "no value for master"),
        (["gain=7", "treble=3", "master=5", "presense=1"], "there is no control presense"),
        (["gain=700", "treble=3", "master=5"], "gain=700: it is from"),
        (["setting=[{gain: 1}, {gain: 2}]"], "setting names 2 settings: one is needed here"),
        (["ouput=x.wav"], "did you mean `output`"),
        (["gain=7", "gain=3"], "gain has two values: keep one"),
        (["setting={gain: 3}", "treble=3"], "both name a setting"),
        (["volume=3", "drive=2", "rate=1", "self=2"], "there is no control volume"),
        (["gain=7", "automation=x.csv"], "choose one"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    run: api.Run, riff: Path, tmp_path: Path, words: list[str], message: str, capsys
):
    where = [f"folder={run.store.folder}", f"input={riff}", f"output={tmp_path / 'out.wav'}"]
    assert cli.main(["render", *where, *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("format", ["onnx", "litert", "keras"])
def test_these_formats_keep_the_controls(run: api.Run, riff: Path, tmp_path: Path, format: str):
    """What a file plays at a setting, given as the numbers on the knobs, against the net of that setting alone."""
    (made,) = run.export(tmp_path / f"amp{FORMATS[format].ending}", format=format, late=True)
    assert made.proof.difference < 1e-5
    play = FORMATS[format].load(made.path, [7.5, 3.0, 5.0])
    signal = soundfile.read(riff, dtype="float32")[0]
    np.testing.assert_allclose(play(signal)[2000:], at_setting(run, riff)[2000:], atol=1e-5)
    other = FORMATS[format].load(made.path, [2.0, 3.0, 5.0])(signal)
    assert np.abs(other - play(signal)).max() > 1e-4


def test_an_export_takes_knobs_by_their_names(run: api.Run, tmp_path: Path):
    words = [f"folder={run.store.folder}", "format=nam", f"output={tmp_path / 'amp.nam'}", "late=true"]
    assert cli.main(["export", *words, *(f"{name}={value}" for name, value in SETTING.items())]) == 0
    assert "gain 7.5" in (tmp_path / "amp.nam").read_text()


def test_a_recording_that_states_other_controls_by_now_is_refused(run: api.Run):
    """Of other names, in another order, or with another range: its numbers would turn other knobs."""
    now = run.model.controls
    refuse_other_controls(run.model, now, "amp")
    for others in ((), now[:2], now[::-1], (Control("gain", 0, 11), *now[1:])):
        with pytest.raises(AmpsimError, match="amp learnt the controls"):
            refuse_other_controls(run.model, others, "amp")


def test_a_plan_looks_for_an_ensemble_in_the_runs_own_store(
    run: api.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """And not in the folder `runs` of wherever it is asked for."""
    monkeypatch.chdir(tmp_path)
    assert len(ampsim.plan(run=run, count=1).settings) == 1


def test_a_registered_model_is_at_its_setting(run: api.Run, riff: Path):
    import mlflow

    with pytest.raises(AmpsimError, match="say at which setting"):
        run.register("knobs")
    version = run.at(**SETTING).register("knobs")
    mlflow.set_tracking_uri(run.store.uri)
    served = mlflow.pyfunc.load_model(f"models:/knobs/{version}")
    signal = soundfile.read(riff, dtype="float32")[0]
    np.testing.assert_allclose(served.predict(signal[None])[0], at_setting(run, riff), atol=1e-5)


def test_what_needs_one_setting_says_so(run: api.Run, tmp_path: Path):
    with pytest.raises(AmpsimError, match="say at which setting"):
        run.export(tmp_path / "amp.nam")
    with pytest.raises(AmpsimError, match="say at which setting"):
        run.play(np.zeros(100, np.float32), RATE)
    assert run.evaluate()["esr"] == pytest.approx(run.scores["esr"])
