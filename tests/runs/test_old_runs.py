"""Runs that version 0.1 made still evaluate, render, export, compare, resume and reproduce, with the numbers they had.

`tests/fixtures/run_0_1` holds its store as SQL, the artifacts less audio and figures, the checkpoint of a run that was killed
and, in expected.json, what version 0.1 made of them. Numbers are compared to the rounding of another processor.
"""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

import ampsim
from ampsim.cli import main as cli
from ampsim.recordings import virtual_amp
from ampsim.training.observer import Observer

OLD = Path(__file__).parents[1] / "fixtures" / "run_0_1"
EXPECTED = json.loads((OLD / "expected.json").read_text(encoding="utf-8"))
INTERRUPTED = [
    *("model=dense", "model.window=64", "model.future=9", "model.units=8", "model.layers=2"),
    *("optimizer=rmsprop", "loss=mse", "training.epochs=40", "training.checkpoint_every_s=0", "seed=0"),
    *("data.duration_s=12", "training.validate_every=1", "training.segment_length=1024", "training.resume=true"),
]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The old store, as if it had been made in this folder."""
    folder = tmp_path / "runs"
    for part in ("artifacts", "unfinished"):
        shutil.copytree(OLD / part, folder / part)
    for config in folder.rglob("config.yaml"):
        config.write_text(config.read_text(encoding="utf-8").replace("{folder}", str(folder)), encoding="utf-8")
    database = sqlite3.connect(folder / "mlflow.db")
    database.executescript((OLD / "mlflow.sql").read_text(encoding="utf-8").replace("{folder}", str(folder)))
    database.close()
    return folder


@pytest.mark.parametrize("name", ["lstm_0", "lstm_1"])
def test_scores_and_rendering_are_what_they_were(store: Path, name: str):
    run, expected = ampsim.open(name, folder=store), EXPECTED[name]
    assert run.config["data"]["_target_"] == "ampsim.recordings.VirtualAmp"
    signal = virtual_amp.guitar(0.2, 44100, seed=5)
    np.testing.assert_allclose(run.play(signal, 44100)[4000:4016], expected["rendered"], rtol=1e-4, atol=1e-7)
    again = run.evaluate(notice=lambda _: None)
    for score in ("esr", "a_weighted_esr", "mse"):
        np.testing.assert_allclose(again[score], expected["scores"][score], rtol=1e-3, err_msg=score)
    # Its filter had 2,048 taps and learnt the short recording by heart; now validation says how many.
    assert (
        0.85 * expected["scores"]["linear_floor_esr"]
        < again["linear_floor_esr"]
        < expected["scores"]["linear_floor_esr"]
    )


def test_they_are_compared_with_each_other(store: Path):
    table = ampsim.compare(["lstm_0", "lstm_1"], folder=store).to_pandas()
    assert len(table) == 1  # one config, two seeds
    mean = np.sqrt(np.prod([EXPECTED[name]["scores"]["esr"] for name in ("lstm_0", "lstm_1")]))
    np.testing.assert_allclose(table["esr"], mean, rtol=1e-6)


def test_they_are_exported(store: Path, tmp_path: Path):
    (made,) = ampsim.open("lstm_0", folder=store).export(tmp_path / "old.nam")
    assert made.proof.difference < 1e-5


def test_a_run_that_was_killed_goes_on_from_its_checkpoint(store: Path, capsys: pytest.CaptureFixture):
    assert cli.main(["train", *INTERRUPTED, f"tracking.folder={store}", "name=interrupted"]) == 0
    assert "going on with the unfinished run interrupted" in capsys.readouterr().out
    run = ampsim.open("interrupted", folder=store)
    assert run.id in {path.name for path in (OLD / "artifacts").iterdir()}
    np.testing.assert_allclose(run.scores["esr"], EXPECTED["unbroken"]["scores"]["esr"], rtol=0.02)


def test_they_are_reproduced(store: Path):
    run, verdict = ampsim.reproduce("lstm_0", folder=store, observer=Observer())
    assert verdict.word in ("bit-exact", "within seed noise")
    assert not [line for line in verdict.lines if "config:" in line or "data:" in line]
    np.testing.assert_allclose(run.scores["esr"], EXPECTED["lstm_0"]["scores"]["esr"], rtol=0.02)
