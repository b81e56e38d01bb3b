"""Runs that are made again: to the bit, with the clock's pace replayed, from a file alone, and where they come out other."""

import json
import math
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import yaml
from numpy.testing import assert_array_equal
from scipy import stats
from synthetic import RATE, amp, guitar, write_pcm

from ampsim import AmpsimError
from ampsim.cli import main as cli
from ampsim.judging import reproduction
from ampsim.judging.reproduction import Original, SeedNoise, Verdict, changes_of_place, judged, seed_noise
from ampsim.runs.tracking import Store

SMALL = [
    "model=dense",
    "model.window=64",
    "model.future=9",
    "model.layers=1",
    "model.units=8",
    "model.dropout=0.1",
    "loss=esr",
]
SMALL += ["training.segment_length=1000", "optimizer=adam", "optimizer.learning_rate=0.01", "training.epochs=2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run of a recording on disk, with its budget in epochs."""
    folder = tmp_path_factory.mktemp("reproduced")
    played = guitar(3 * RATE, seed=3)
    recording = write_pcm(folder / "take.wav", [played, amp(played)])
    words = ["train", "data=stereo", f"data.path={recording}", f"tracking.folder={folder / 'runs'}", *SMALL]
    assert cli.main([*words, "name=epochs"]) == 0
    return SimpleNamespace(words=words, runs=folder / "runs", recording=recording, store=Store(folder / "runs"))


def again(trained: SimpleNamespace, *words: str) -> int:
    return cli.main(["reproduce", f"folder={trained.runs}", *words])


def artifacts(trained: SimpleNamespace, name: str) -> Path:
    return trained.store.find(name).file("config.yaml").parent


def copied(trained: SimpleNamespace, name: str, folder: Path, **changes: object) -> Path:
    """The artifacts of a run in a folder of their own, its config changed by hand: `model__units=9`."""
    shutil.copytree(artifacts(trained, name), folder)
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    for key, value in changes.items():
        *sections, last = key.split("__")
        section = config
        for each in sections:
            section = section[each]
        section[last] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return folder / "config.yaml"


def weights(trained: SimpleNamespace, name: str) -> list[np.ndarray]:
    return keras.saving.load_model(artifacts(trained, name) / "model.keras", compile=False).get_weights()


# ---- whole reproductions --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_in_epochs_is_made_again_to_the_bit(trained: SimpleNamespace, capsys: pytest.CaptureFixture):
    assert again(trained, "run=epochs") == 0
    shown = capsys.readouterr().out
    assert "verdict: bit-exact" in shown
    assert "weights: all 4 arrays are equal to the bit" in shown
    new, old = trained.store.find("last"), trained.store.find("epochs")
    assert (new.tags["reproduces"], new.tags["reproduction"]) == (old.id, "bit-exact")
    assert new.tags["config_hash"] == old.tags["config_hash"]
    assert new.metrics["test_esr"] == old.metrics["test_esr"]
    assert not (artifacts(trained, "epochs") / "pace.json").exists()
    for one, other in zip(weights(trained, "epochs"), weights(trained, new.id), strict=True):
        assert_array_equal(one, other)


@pytest.mark.slow
def test_a_run_in_seconds_is_made_again_to_the_bit_by_its_pace(
    trained: SimpleNamespace, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """Under a clock that all but stands still: without the pace it would train for ever."""
    words = ["training.epochs=null", "training.seconds=3", "training.validate_every=9"]
    assert cli.main([*trained.words, "name=seconds", *words]) == 0
    clock = SimpleNamespace(perf_counter=iter(np.arange(1e6) * 1e-6).__next__)
    monkeypatch.setattr("ampsim.training.trainer.time", clock)
    assert again(trained, "run=seconds") == 0
    shown = capsys.readouterr().out
    assert "the pace of seconds is replayed" in shown
    assert "verdict: bit-exact" in shown
    pace, replayed = (
        json.loads((artifacts(trained, name) / "pace.json").read_text()) for name in ("seconds", "seconds-again")
    )
    assert pace == replayed == sorted(pace)
    assert max([0, *pace[:-1]]) < 3 <= pace[-1]


@pytest.mark.slow
def test_another_seed_from_the_file_alone_is_judged_with_numbers(
    trained: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture
):
    config = copied(trained, "epochs", tmp_path / "elsewhere", seed=1)
    code = again(trained, f"config={config}")
    answer = capsys.readouterr()
    word = "different" if code == 4 else "within seed noise"
    assert f"verdict: {word}" in answer.out
    assert "config.yaml is not as the run saved it" in answer.out
    then, now = (trained.store.find(name).metrics["test_esr"] for name in ("epochs", "last"))
    assert f"esr {then:.4g} then, {now:.4g} now" in answer.out
    # Other tests of this file may have left more seeds in the store.
    if "a rule of thumb for want of three seeds" in answer.out:
        assert (max(then / now, now / then) > 1.1) == (code == 4)
    else:
        assert re.search(
            r"from the ESRs of \d+ seeds: .* would have been noticed in 80% of\s+cases", answer.out, re.DOTALL
        )


@pytest.mark.slow
def test_an_edited_run_of_the_store_is_different_and_the_key_is_named(
    trained: SimpleNamespace, capsys: pytest.CaptureFixture
):
    path = artifacts(trained, "epochs") / "config.yaml"
    kept = path.read_text(encoding="utf-8")
    try:
        path.write_text(kept.replace("units: 8", "units: 9"), encoding="utf-8")
        code = again(trained, "run=epochs")
    finally:
        path.write_text(kept, encoding="utf-8")
    shown = capsys.readouterr().out
    assert "config: model.units was 8 and is 9 in its config.yaml" in shown
    assert "weights: of other shapes" in shown
    assert "verdict: different" in shown
    assert code == 4


@pytest.mark.slow
def test_a_config_alone_and_a_recording_that_moved_have_nothing_to_compare_with(
    trained: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture
):
    (tmp_path / "moved").mkdir()
    shutil.copy(trained.recording, tmp_path / "moved" / "take.wav")
    copied(trained, "epochs", tmp_path / "all", data__path="/gone/take.wav")
    shutil.copy(tmp_path / "all" / "config.yaml", tmp_path / "alone.yaml")
    assert again(trained, f"config={tmp_path / 'alone.yaml'}", f"data={tmp_path / 'moved'}") == 0
    shown = capsys.readouterr().out
    assert "no recording.json tells which recording" in shown
    assert "verdict: nothing to compare with" in shown
    assert trained.store.find("last").metrics["test_esr"] == trained.store.find("epochs").metrics["test_esr"]


# ---- what is refused before anything is trained ---------------------------------------------------------------------


def test_a_recording_that_is_gone_or_not_the_same_is_refused(
    trained: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture
):
    before = len(trained.store.runs())
    gone = copied(trained, "epochs", tmp_path / "gone", data__path="/gone/take.wav")
    assert again(trained, f"config={gone}") == 2
    assert "data=/folder says where it is now" in capsys.readouterr().err
    played = guitar(3 * RATE, seed=4)
    (tmp_path / "other").mkdir()
    write_pcm(tmp_path / "other" / "take.wav", [played, amp(played)])
    assert again(trained, "run=epochs", f"data={tmp_path / 'other'}") == 2
    answer = capsys.readouterr().err
    assert f"{tmp_path / 'other' / 'take.wav'} is not the file that epochs was trained on (SHA-256 " in answer
    assert again(trained, "run=epochs", f"data={tmp_path / 'nowhere'}") == 2
    assert "nowhere is no folder" in capsys.readouterr().err
    assert len(trained.store.runs()) == before


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("data__path", 5, "data.path=5 names no file"),
        ("data__delay", "soon", 'data.delay is "auto" or a whole number'),
        ("schedule__final", "x", "final='x', but it is a number"),
        ("optimizer__learning_rate", "fast", "learning_rate"),
        ("loss__terms__esr___target_", "ampsim.losses.ERS", "does not exist"),
        ("model___target_", "keras.Model", "may only name parts of ampsim"),
    ],
)
def test_a_config_edited_to_something_invalid_begins_no_run(
    trained: SimpleNamespace, tmp_path: Path, key: str, value: object, sentence: str, capsys: pytest.CaptureFixture
):
    before = len(trained.store.runs())
    config = copied(trained, "epochs", tmp_path / "edited", **{key: value})
    assert again(trained, f"config={config}") == 2
    answer = capsys.readouterr().err
    assert sentence in answer
    assert len(answer.splitlines()) == 1
    assert len(trained.store.runs()) == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run=epoch"], "there is no run `epoch`"),
        (["run=epochs", "config=x.yaml"], "either run=... or config=..."),
        (["config=nothing.yaml"], "nothing.yaml does not exist"),
        (["confg=x.yaml"], "did you mean `config`?"),
    ],
)
def test_what_cannot_be_made_again_is_said(
    trained: SimpleNamespace, words: list[str], sentence: str, capsys: pytest.CaptureFixture
):
    assert again(trained, *words) == 2
    assert sentence in capsys.readouterr().err


def test_what_lies_beside_a_config_and_is_damaged_is_named(trained: SimpleNamespace, tmp_path: Path):
    config = copied(trained, "epochs", tmp_path / "damaged")
    (tmp_path / "damaged" / "recording.json").write_text("[1, 2")
    with pytest.raises(AmpsimError, match=r"recording\.json is no artifact of a run that can be read: it breaks off"):
        reproduction.of_file(config, {})


def test_a_recording_that_is_made_cannot_be_moved(tmp_path: Path):
    with pytest.raises(AmpsimError, match="made, not read"):
        reproduction.moved({"_target_": "ampsim.recordings.VirtualAmp", "seed": 0}, tmp_path)
    stereo = {"_target_": "ampsim.recordings.Stereo", "path": ["/a/x.wav", "/b/y.wav"], "delay": 3}
    found = reproduction.moved(stereo, tmp_path)
    assert found == {**stereo, "path": [str(tmp_path / "x.wav"), str(tmp_path / "y.wav")]}


# ---- the verdict ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    from ampsim.models import Fir

    folder = tmp_path_factory.mktemp("models")
    paths = folder / "one.keras", folder / "other.keras"
    for path, step in zip(paths, (0.0, 0.25), strict=True):
        model = Fir(taps=4)
        model.build()
        model.set_weights([np.full_like(each, 0.5 + step) for each in model.get_weights()])
        model.save(path)
    return paths


def verdict(models: tuple[Path, Path], now: dict[str, float], *, same: bool = False, factor: float = 1.1) -> Verdict:
    scores = {"esr": 0.2, "a_weighted_esr": 0.3, "fluctuation_db": None, "real_time_factor": 8.0}
    original = Original("it", {}, scores=scores, model=models[0])
    return judged(original, models[0 if same else 1], now, SeedNoise(factor, "of a test"), ["numpy: 1 then, 2 now"])


def test_a_time_is_no_part_of_what_must_be_equal(models: tuple[Path, Path]):
    found = verdict(
        models, {"esr": 0.2, "a_weighted_esr": 0.3, "fluctuation_db": math.nan, "real_time_factor": 9.0}, same=True
    )
    assert found.word == "bit-exact"
    assert found.lines[1] == "scores: all 3 are equal to the last digit"


def test_a_floor_is_the_recordings_and_no_part_of_what_must_be_equal(models: tuple[Path, Path]):
    """A run of an earlier version, whose linear floor was measured otherwise, is made again to the bit."""
    original = Original(
        "it", {}, scores={"esr": 0.2, "linear_floor_esr": 0.31, "noise_at_most_esr": 1e-3}, model=models[0]
    )
    now = {"esr": 0.2, "linear_floor_esr": 0.29, "noise_at_most_esr": 2e-3}
    found = judged(original, models[0], now, SeedNoise(1.1, "of a test"), [])
    assert (found.word, found.lines[1]) == ("bit-exact", "scores: all 1 are equal to the last digit")


def test_the_noise_of_the_seed_says_how_near_is_near(models: tuple[Path, Path]):
    now = {"esr": 0.21, "a_weighted_esr": 0.31, "fluctuation_db": math.nan, "real_time_factor": 8.0}
    near, far = verdict(models, now, factor=1.06), verdict(models, now, factor=1.04)
    assert (near.word, far.word) == ("within seed noise", "different")
    assert near.lines[0] == "weights: 1 of 1 arrays differ, by up to 0.25"
    assert near.lines[1] == "scores: 2 differ: esr 0.2 then, 0.21 now; a_weighted_esr 0.3 then, 0.31 now"
    assert far.lines[2:] == [
        "beyond the noise of the seed: of a test",
        "what is other about the two runs:",
        "  numpy: 1 then, 2 now",
    ]
    assert verdict(models, now, same=True, factor=1.0).word == "within seed noise"  # equal weights, other scores


def test_the_noise_of_seeds_is_the_prediction_interval_of_log_esr_from_three_on():
    esrs = {"0": 0.20, "1": 0.22, "10": 0.21}
    logs = np.log([0.20, 0.22, 0.21])
    found = seed_noise(esrs)
    assert found.centre == pytest.approx(math.exp(logs.mean()))
    assert found.factor == pytest.approx(math.exp(stats.t.ppf(0.975, 2) * np.std(logs, ddof=1) * math.sqrt(4 / 3)))
    assert "3 seeds: 0.2, 0.22, 0.21" in found.words
    rule = seed_noise({"0": 0.2, "1": 0.3})
    assert rule.factor == 1.1
    assert rule.words.endswith("how much worse a run could be without being noticed is not known")


@pytest.mark.parametrize("num_seeds", [3, 5])
def test_one_good_reproduction_in_twenty_is_called_different_and_its_power_is_what_is_said(num_seeds: int):
    """The seeds of a config are drawn anew each time, the original among them; one more run is as good, or worse."""
    random = np.random.default_rng(num_seeds)
    draws = 0.05 * random.standard_normal((2000, num_seeds + 1))
    noises = [seed_noise(dict(enumerate(np.exp(row[:-1])))) for row in draws]
    factors, centres = (np.log([getattr(noise, name) for noise in noises]) for name in ("factor", "centre"))
    assert np.mean(np.abs(draws[:, -1] - centres) > factors) == pytest.approx(0.05, abs=0.012)
    # Seeds whose spread happens to be measured as it is say how much worse a run is noticed.
    even = 0.05 * np.linspace(-1, 1, num_seeds) / np.std(np.linspace(-1, 1, num_seeds), ddof=1)
    said = re.search(r"an ESR (\d+)% worse would", seed_noise(dict(zip("abcde", np.exp(even), strict=False))).words)
    worse = draws[:, -1] + math.log1p(int(said[1]) / 100)
    assert np.mean(worse - centres > factors) == pytest.approx(0.8, abs=0.03)


def test_a_run_is_held_against_all_seeds_and_not_against_a_lucky_original(models: tuple[Path, Path]):
    original = Original("it", {}, scores={"esr": 0.2}, model=models[0])
    noise = seed_noise({"0": 0.2, "1": 0.215, "2": 0.22})
    assert 0.265 / 0.2 > noise.factor > 0.265 / noise.centre
    found = judged(original, models[1], {"esr": 0.265}, noise, [])
    assert found.word == "within seed noise"
    assert any(re.search(r"an ESR \d+% worse would have been noticed in 80% of cases$", line) for line in found.lines)
    assert seed_noise({"0": 0.1, "1": 0.2, "2": 0.4}).words.endswith(
        " times as high would have been noticed in 80% of cases"
    )


def test_seeds_that_lie_far_apart_foretell_no_interval():
    noise = seed_noise({"0": 0.001, "1": 0.1, "2": 0.5})
    assert "to say where one more lies: 0.001, 0.1, 0.5" in noise.words
    assert not re.search(r" from \S+ to \S+", noise.words)


def test_siblings_are_the_other_seeds_of_the_same_config(trained: SimpleNamespace, monkeypatch: pytest.MonkeyPatch):
    run = trained.store.find("epochs")
    config = yaml.safe_load(run.file("config.yaml").read_text(encoding="utf-8"))
    for seed, esr in {1: 0.3, 2: 0.4}.items():
        sibling = trained.store.start("sibling", params=run.params | {"seed": seed}, tags={})
        sibling.log_metrics({"test_esr": esr})
        sibling.finish()
    other = trained.store.start("other", params=run.params | {"seed": 3, "model.units": 9999}, tags={})
    other.log_metrics({"test_esr": 0.5})
    other.finish()
    trained.store.start("running", params=run.params | {"seed": 4}, tags={}).log_metrics({"test_esr": 0.6})
    asked = []
    runs = trained.store.runs
    monkeypatch.setattr(trained.store, "runs", lambda condition="": asked.extend(found := runs(condition)) or found)
    found = reproduction.siblings(reproduction.of_run(run, config), trained.store)
    assert found == {"0": run.metrics["test_esr"], "1": 0.3, "2": 0.4}
    assert not {"other", "running"} & {each.info.run_name for each in asked}  # the store is asked for those alone


def test_changes_of_place_are_named():
    then = {"device": "CPU", "versions": {"keras": "3.1", "ampsim": "0.1"}, "mlflow.source.git.commit": "abc-dirty"}
    now = {"device": "GPU", "versions": {"keras": "3.2", "ampsim": "0.1"}, "mlflow.source.git.commit": "abc-dirty"}
    assert changes_of_place(then, now) == [
        "device: CPU then, GPU now",
        "keras: 3.1 then, 3.2 now",
        "code: the original was made with changes that no commit holds",
    ]
    assert changes_of_place({}, now) == ["machine: not known what the original was made on"]


def test_files_of_a_section_inside_another_are_looked_for_too(tmp_path: Path) -> None:
    stereo = {"_target_": "ampsim.recordings.Stereo", "path": ["/b/one.wav", "/b/two.wav"], "delay": 0}
    distilled = "ampsim.recordings.captured.Distilled"
    data = {"_target_": distilled, "input": None, "teacher": "/a/t.nam", "recording": stereo}
    assert reproduction.named(data) == ["/a/t.nam", "/b/one.wav", "/b/two.wav"]
    there = reproduction.moved(data, tmp_path)
    assert there["input"] is None
    assert there["teacher"] == str(tmp_path / "t.nam")
    assert there["recording"] == {**stereo, "path": [str(tmp_path / "one.wav"), str(tmp_path / "two.wav")]}


@pytest.mark.parametrize(
    ("file", "text"),
    [("recording.json", '{"files": [1]}'), ("scores.json", '{"scores": {"esr": "low"}}'), ("pace.json", '["slow"]')],
)
def test_forged_company_of_a_config_is_refused_in_a_sentence(file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(AmpsimError, match=file.replace(".", r"\.")):
        reproduction.of_file(tmp_path / "config.yaml", {})
