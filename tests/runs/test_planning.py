"""What to record next, by runs: which belong together, what they play, and where they disagree."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ampsim import AmpsimError
from ampsim.config.targets import build
from ampsim.runs import planning

DATA = {
    "_target_": "ampsim.recordings.VirtualKnobs",
    "settings": [{"gain": 1, "treble": 5}, {"gain": 5, "treble": 5}, {"gain": 9, "treble": 5}],
    "duration_s": 1.5,
    "sample_rate": 8000,
}


def run(name: str, *, status: str = "FINISHED", **params: str) -> Any:
    return SimpleNamespace(
        name=name, status=status, params={"name": name, **params}, file=lambda file: Path(name) / file
    )


def test_an_ensemble_is_what_differs_in_nothing_but_the_seed():
    first = run("a", seed="0", **{"model.units": "8"})
    others = [
        first,
        run("b", seed="1", **{"model.units": "8"}),
        run("again", seed="1", **{"model.units": "8"}),
        run("larger", seed="2", **{"model.units": "16"}),
        run("broken", seed="3", status="FAILED", **{"model.units": "8"}),
        *(run(f"many {seed}", seed=str(seed), **{"model.units": "8"}) for seed in range(10, 30)),
    ]
    found = [each.name for each in planning.siblings(first, others)]
    assert found[:3] == ["a", "b", "many 10"]
    assert len(found) == planning.MOST


def test_the_loudest_part_is_played():
    signal = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    signal[500:600] *= 5
    assert np.array_equal(planning.loudest(signal, 100), signal[500:600])
    assert np.array_equal(planning.loudest(signal[:30], 100), signal[:30])


class Net:
    """Plays its input times the gain, and at high treble something of its own."""

    def __init__(self, own: float) -> None:
        self.own, self.model, self.setting = own, self, (0.0, 0.0)
        self.controls = build(DATA, "data").known_controls

    def turn(self, setting: tuple[float, ...]) -> None:
        self.setting = setting

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        gain, treble = self.setting
        return gain * (signal + self.own * (treble > 7) * signal**2)


@pytest.fixture
def ensemble(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    nets = {"a": Net(0.5), "b": Net(-0.5)}
    monkeypatch.setattr(planning, "load_model", lambda run: nets[run.name])
    monkeypatch.setattr(planning, "Renderer", lambda net: net)
    monkeypatch.setattr(planning.RunConfig, "read", lambda path: ({"data": DATA}, []))
    return [run("a"), run("b")]


def test_the_next_settings_are_where_the_nets_of_the_runs_disagree(ensemble: list[Any]):
    told: list[str] = []
    found = planning.next_to_record(ensemble, 3, seed=0, notice=told.append)
    assert all(setting[1] > 7 for setting in found.settings)
    assert found.recorded == 3
    assert found.rows[0]["target"] == "take_04.wav"
    assert told == ["where 2 nets that differ in their seed disagree, and far from the 3 recordings"]


def test_one_net_has_no_doubts_and_says_so(ensemble: list[Any]):
    told: list[str] = []
    found = planning.next_to_record(ensemble[:1], 4, seed=0, notice=told.append)
    assert {setting[1] > 5 for setting in found.settings} == {True, False}
    assert "train this again with seed=1" in told[0]


def test_a_run_on_one_setting_has_no_plan(ensemble: list[Any], monkeypatch: pytest.MonkeyPatch):
    plain = {"_target_": "ampsim.recordings.VirtualAmp"}
    monkeypatch.setattr(planning.RunConfig, "read", lambda path: ({"data": plain}, []))
    with pytest.raises(AmpsimError, match="run a learnt one setting of an amp"):
        planning.next_to_record(ensemble, 3, seed=0, notice=print)


def test_a_sheet_that_changed_since_is_warned_of(ensemble: list[Any]):
    """For each file that the run states; one that states none is not doubted."""
    files = [file for take in build(DATA, "data").load() for file in take.files]
    stated = {
        f"recording.{number}.{key}": getattr(file, key)
        for number, file in enumerate(files)
        for key in ("path", "sha256")
    }
    told: list[str] = []
    for change in ({}, {"recording.1.sha256": "0" * 64}):
        ensemble[0].params = {**stated, **change}
        planning.next_to_record(ensemble, 1, seed=0, notice=told.append)
    ensemble[0].params = {key: value for key, value in stated.items() if ".2." not in key}
    planning.next_to_record(ensemble, 1, seed=0, notice=told.append)
    assert [each for each in told if "warning" in each] == [
        f"warning: {files[1].path} changed since a learnt from it: what it learnt was another recording",
        f"warning: a learnt from {len(files) - 1} files, and its recording has {len(files)} by now",
    ]


def test_of_a_store_of_thousands_no_more_is_read_than_an_ensemble_needs():
    """Endless, as this one is."""
    asked: list[tuple[str, int]] = []
    same = {"model.units": "8", "model._target_": "a", "recording.0.path": "it's.wav"}

    def each(condition: str, *, first: int) -> Iterator[int]:
        asked.append((condition, first))
        return itertools.count()

    store = SimpleNamespace(each=each, tracked=lambda number: run("b", seed=str(number), **same))
    original = run("b", seed="own", **same)
    found = planning.siblings(original, planning.perhaps_alike(original, store))
    assert [one.params["seed"] for one in found] == ["own", *map(str, range(planning.MOST - 1))]
    assert asked == [("attributes.status = 'FINISHED' and params.`model.units` = '8'", 2 * planning.MOST)]
