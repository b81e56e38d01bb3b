"""What the study of knobs trains, and on which settings; no fit is made."""

import importlib.util
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pytest

STUDY = Path(__file__).parents[2] / "experiments" / "knobs" / "study.py"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("knobs_study", STUDY)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "knobs_study", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results.csv")
    monkeypatch.setattr(module, "HERE", tmp_path)
    return module


def test_settings_by_chance_are_rounded_as_the_plan_s_are_and_inside(study: ModuleType):
    chance = study.by_chance(16, 3)
    plan = study.drawn({"draw": "plan", "count": 16, "seed": 3}, {}, "")
    for settings in (chance, plan):
        assert len(settings) == 16
        assert all((2 * value).is_integer() for each in settings for value in each.values())
        assert all(low <= each[name] <= high for each in settings for name, (low, high) in study.CONTROLS.items())
    assert chance == study.by_chance(16, 3) != study.by_chance(16, 4)


def test_nets_alone_learn_the_settings_that_are_unseen_by_the_others(study: ModuleType):
    from ampsim.recordings import VirtualKnobs

    settings = [{"gain": 3, "treble": 2, "master": 5}, {"gain": 4, "treble": 2, "master": 6}]
    source = VirtualKnobs(controls=study.CONTROLS, settings=settings, unseen=5)
    assert source.chosen[2:] == [tuple(each.values()) for each in study.unseen_settings(5)]


def test_what_a_run_sorts_by_setting_is_put_back_into_the_order_of_the_nets_alone(study: ModuleType):
    settings = study.unseen_settings(6)
    rows = [{**{name: str(value) for name, value in each.items()}, "esr": str(n)} for n, each in enumerate(settings)]
    by_setting = sorted(rows, key=lambda row: [float(row[name]) for name in study.CONTROLS])
    assert by_setting != rows
    assert study.in_order(by_setting, settings) == [0, 1, 2, 3, 4, 5]
    assert study.in_order(rows[::-1], []) == [5, 4, 3, 2, 1, 0]


def test_a_study_goes_on_where_it_ended_and_shows_what_there_is(study: ModuleType, capsys: pytest.CaptureFixture):
    chosen = {
        "counts": [4, 8],
        "draws": ["plan", "next"],
        "models": ["lstm"],
        "conditioning": ["film"],
        "seeds": [0, 1],
    }
    options = Namespace(**chosen, seconds=60.0, steps=0, alone=2, stages="stages")
    jobs = study.jobs(options)
    assert len(jobs) == 2 * 2 * 2 + 2 * 2 + (1 + 2) * 2
    for number, job in enumerate(jobs[:5]):
        study.append({**job, "median_esr": 0.1 * number, "worst_esr": 1.0, "esrs": "[]"})
    assert [study.done(job) for job in jobs] == [True] * 5 + [False] * (len(jobs) - 5)
    study.table()
    assert "virtual_knobs  plan  4  lstm  film  60.0" in capsys.readouterr().out
    assert (study.HERE / "figure.png").exists()
    of_steps = study.jobs(Namespace(**{**vars(options), "steps": 500}))
    assert {(job["seconds"], job["steps"]) for job in of_steps} == {("", 500)}
    assert not any(study.done(job) for job in of_steps)
