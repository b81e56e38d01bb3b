"""A fast part of the study of alignment, whose delays were put there by a route of its own."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

STUDY = Path(__file__).parents[2] / "experiments" / "alignment" / "study.py"


@pytest.fixture(scope="module")
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("alignment_study", STUDY)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["alignment_study"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["clean", "crunch", "compressor"])
def test_amps_without_a_cabinet_are_told_within_half_a_sample(study: ModuleType, name: str):
    take = study.Take("chugs", study.part(2, 3, seed=5))
    rows = study.measured(take, getattr(study, name), (7.1, 7.5))
    assert [row["clear"] for row in rows] == [True, True]
    assert max(abs(row["found"] - row["delay"]) for row in rows) < 0.5
    assert all(row["samples"] <= row["delay"] for row in rows)
    head, *_, every = (line.strip("| ").split(" | ") for line in study.table(rows, "amp"))
    shares = dict(zip(head, every, strict=True))
    assert shares["within 0.5"] == "100.0%"
    assert {shares[fault] for fault in ("told and wrong", "beyond its bound", "removed too much")} == {"0.0%"}


@pytest.mark.parametrize(
    ("name", "delay", "sign"),
    [
        ("clean_cabinet", 50.0, 1),
        ("crunch_cabinet", -23.4, -1),
        ("lopsided_cabinet", -49.7, 1),
        ("inverting", 11.8, -1),
        ("fuzz_cabinet", 0.6, -1),
    ],
)
def test_a_cabinet_and_noise_leave_the_delay_within_a_sample_and_the_polarity(
    study: ModuleType, name: str, delay: float, sign: int
):
    take = study.Take("whole cycle", study.part(6, 0, seed=11), noise_db=-40.0)
    (row,) = study.measured(take, getattr(study, name), (delay,), sign=sign)
    assert row["clear"]
    assert row["found"] == pytest.approx(delay, abs=1)
    assert row["inverted"] == row["found_inverted"] == ((sign < 0) != (name == "inverting"))


def test_an_octave_fuzz_of_which_no_sign_comes_through_is_found_by_the_rectified_input(study: ModuleType):
    take = study.Take("chords", study.part(3, 6.3, seed=6))
    for row in study.measured(take, study.octave, (7.1,)):
        assert row["clear"]
        assert row["found"] == pytest.approx(7.1, abs=0.5)
