"""The public API against what the command line left in the store, and against arithmetic by hand."""

import inspect
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic import RATE, REMOVED

import ampsim
from ampsim import AmpsimError, api
from ampsim.config.run_config import RunConfig, assignment
from ampsim.models.rendering import Oversampled, Renderer
from ampsim.runs.tracking import Store
from ampsim.training.observer import Observer

SMALL = {
    "model": "dense",
    "training": {"epochs": 2, "segment_length": 1000, "validate_every": 1},
    "optimizer": "adam",
    "loss": "esr",
    "overrides": ["model.window=64", "model.future=9", "model.layers=1", "model.units=8"],
}


@pytest.fixture(scope="module")
def trained(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> ampsim.api.Run:
    folder = tmp_path_factory.mktemp("api") / "runs"
    loaded = ampsim.load(recording)
    return ampsim.train(loaded, name="small", tracking={"folder": str(folder)}, observer=Observer(), **SMALL)


def where(run: ampsim.api.Run) -> dict[str, Path]:
    return {"folder": run.store.folder}


def test_a_recording_comes_checked_and_aligned(recording: Path):
    loaded = ampsim.load(recording)
    samples, rate = soundfile.read(recording, dtype="float32")
    assert (loaded.sample_rate, loaded.delay.samples) == (rate, REMOVED)
    np.testing.assert_array_equal(loaded.takes[0].input, samples[:-REMOVED, 0])
    np.testing.assert_array_equal(loaded.takes[0].target, samples[REMOVED:, 1])
    assert ampsim.load(recording, delay=3).delay.samples == 3
    page = loaded._repr_html_()
    assert page.count("<audio") == 2
    assert "my amp.wav" in page


@pytest.mark.parametrize(
    "name",
    [
        "amp #2.wav",
        "(take 1).wav",
        "[2x12].wav",
        "a=b.wav",
        "Bob's.wav",
        "x & y, z.wav",
        "アンプ.wav",
        "${x}.wav",
        "null",
    ],
)
def test_a_file_of_any_name_can_be_loaded(recording: Path, tmp_path: Path, name: str):
    path = tmp_path / name
    shutil.copy(recording, path)
    config = RunConfig.compose(["data=stereo", *assignment("data.path", str(path))])
    assert config["data"]["path"] == str(path)
    if path.suffix:
        assert ampsim.load(path).takes[0].name == name


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (None, "x=null"),
        (True, "x=true"),
        (0.5, "x=0.5"),
        ([1, "a b"], "x=[1,'a b']"),
        ("1e3", "x='1e3'"),
        ("true", "x='true'"),
        ("C:\\", r"x='C:\\'"),
    ],
)
def test_a_value_becomes_a_word_of_the_command_line(value: object, word: str):
    assert assignment("x", value) == [word]


def test_what_cannot_be_loaded_is_told(tmp_path: Path):
    with pytest.raises(AmpsimError, match=r"nothing\.wav does not exist"):
        ampsim.load(tmp_path / "nothing.wav")
    with pytest.raises(AmpsimError, match="belong together"):
        ampsim.load(direct="a.wav")
    with pytest.raises(AmpsimError, match="either path="):
        ampsim.load("a.wav", direct="b.wav", amp="c.wav")
    with pytest.raises(AmpsimError, match="holds no runs yet"):
        ampsim.open(folder=tmp_path)


def test_a_run_tells_what_the_store_holds(trained: ampsim.api.Run):
    again = ampsim.open("small", **where(trained))
    kept = json.loads(trained.tracked.file("scores.json").read_text(encoding="utf-8"))["scores"]
    assert again.id == trained.id
    assert again.scores["esr"] == pytest.approx(kept["esr"]) == pytest.approx(trained.scores["esr"])
    assert again.config["training"]["epochs"] == 2
    assert set(again.audio) == {"direct", "amp", "prediction"}
    assert "fft" in again.figures
    assert again.evaluate(notice=lambda _: None)["esr"] == pytest.approx(kept["esr"], rel=1e-5)
    with pytest.raises(AmpsimError, match="did you mean `test`"):
        again.evaluate("tset")


def test_what_is_played_is_what_the_model_renders(trained: ampsim.api.Run, tmp_path: Path):
    signal = np.sin(np.arange(5000) / 20).astype(np.float32)
    np.testing.assert_array_equal(trained.play(signal, RATE), Renderer(trained.model)(signal))
    assert trained.play(signal, 48000).shape == signal.shape
    soundfile.write(tmp_path / "in.wav", signal, RATE, subtype="FLOAT")
    path = trained.render(tmp_path / "in.wav", tmp_path / "out.wav")
    np.testing.assert_allclose(soundfile.read(path)[0], Renderer(trained.model)(signal), atol=1e-7)
    fast = trained.render(tmp_path / "in.wav", tmp_path / "fast.wav", oversample=3)
    np.testing.assert_allclose(soundfile.read(fast)[0], Oversampled(trained.model, 3)(signal), atol=1e-6)
    with pytest.raises(AmpsimError, match=r"oversample=0: it is 1 \(as the model was trained\) to 64"):
        trained.render(tmp_path / "in.wav", tmp_path / "none.wav", oversample=0)
    assert not (tmp_path / "none.wav").exists()


@pytest.mark.parametrize(
    ("signal", "sentence"),
    [
        (np.zeros((1000, 2)), r"one channel, \(num_samples,\), and got an array of shape \(1000, 2\)"),
        (np.zeros(0), r"of shape \(0,\)"),
        (np.array([0, 1, np.nan]), "holds NaN or infinity at sample 2"),
    ],
)
def test_what_is_no_signal_is_not_played(trained: ampsim.api.Run, signal: np.ndarray, sentence: str):
    with pytest.raises(AmpsimError, match=sentence):
        trained.play(signal, RATE)


def test_a_run_that_has_finished_says_so(trained: ampsim.api.Run):
    assert repr(trained).endswith("finished>")


def test_a_notebook_shows_a_run(trained: ampsim.api.Run):
    page = trained._repr_html_()
    assert page.count("<audio") == 3
    assert "data:image/png;base64" in page
    assert "ESR" in page
    frame = trained.listen()._repr_html_()
    assert 'sandbox="allow-scripts' in frame
    assert str(trained.listen()) == str(trained.tracked.file("listen.html"))


def test_runs_are_a_table(trained: ampsim.api.Run):
    other = ampsim.train(trained.config["data"]["path"], name="other", seed=1, tracking={"folder": str(trained.store.folder)},
                         observer=Observer(), **SMALL)  # fmt: skip
    found = ampsim.runs(**where(trained))
    table = found.to_pandas()
    assert list(table["run"]) == ["other", "small"]
    assert list(table["seed"]) == ["1", "0"]
    assert table["esr"][0] == pytest.approx(other.scores["esr"])
    comparison = ampsim.compare(found, **where(trained))
    assert len(comparison.to_pandas()) == 1  # one config, two seeds
    assert comparison.to_pandas()["num_seeds"][0] == 2


def test_the_experiment_of_mlflow_has_a_word_of_its_own(trained: ampsim.api.Run):
    Store(trained.store.folder, experiment="losses").start("elsewhere", params={}, tags={}).finish()
    assert [run.name for run in ampsim.runs(**where(trained), mlflow_experiment="losses")] == ["elsewhere"]
    for name in ("open", "runs", "compare", "reproduce", "plan", "render"):
        parameters = inspect.signature(getattr(api, name)).parameters
        assert "experiment" not in parameters
        assert "mlflow_experiment" in parameters or "store" in parameters
    with pytest.warns(FutureWarning, match="experiment= is now mlflow_experiment= here") as told:
        assert ampsim.open("elsewhere", **where(trained), experiment="losses").name == "elsewhere"
    assert [each.filename for each in told if each.category is FutureWarning] == [__file__]  # where it was said
    with pytest.raises(AmpsimError, match="the former word for mlflow_experiment=: keep one"):
        ampsim.runs(experiment="losses", mlflow_experiment="losses")


def test_where_runs_are_kept_has_the_same_words_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    configs: list[RunConfig] = []
    monkeypatch.setattr(api, "trained", lambda config, **options: configs.append(config))
    ampsim.train(experiment="five_minutes", folder=tmp_path / "my runs", mlflow_experiment="losses")
    tracking = configs[0]["tracking"]
    assert (tracking["folder"], tracking["experiment"]) == (str(tmp_path / "my runs"), "losses")
    assert configs[0]["training"]["seconds"] == RunConfig.compose(["experiment=five_minutes"])["training"]["seconds"]
    assert api.swept_over("mlflow_experiment", "losses") == ["tracking.experiment=losses"]
    swept = api.Sweep(None, dict(tracking))  # type: ignore[arg-type]
    assert swept.store == {"folder": str(tmp_path / "my runs"), "uri": None, "mlflow_experiment": "losses"}


def test_a_folder_that_shares_its_name_with_a_function_is_that_function(trained: ampsim.api.Run, recording: Path):
    import ampsim.doctor
    import ampsim.runs.tracking

    assert len(ampsim.runs(**where(trained))) >= 1
    assert ampsim.doctor(str(recording)).sample_rate == RATE


@pytest.mark.parametrize("name", ampsim.__all__)
def test_every_function_is_documented_and_typed(name: str):
    function = getattr(api, name)
    assert function.__doc__
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(parameter.annotation is not parameter.empty for parameter in signature.parameters.values())
    assert "Raises:" in function.__doc__
