"""`ampsim plan` as it is typed, and the sheet that it leaves."""

from pathlib import Path
from typing import Any

import pytest

import ampsim
from ampsim.cli import main as cli
from ampsim.recordings.sheet import read_sheet

CONTROLS = "controls={gain: [0, 10], bright: [off, on]}"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_plan_is_shown_and_written_as_a_sheet(capsys: pytest.CaptureFixture):
    assert cli.main(["plan", CONTROLS, "count=5", "output=s.csv"]) == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("[ ]")]
    sheet = read_sheet(Path("s.csv"), {})
    assert [(float(line[2]), line[3]) for line in shown] == [
        (setting[0], ("off", "on")[int(setting[1])]) for setting in (row.setting for row in sheet.rows)
    ]
    plan = ampsim.plan({"gain": [0, 10], "bright": ["off", "on"]}, 5)
    assert [row.setting for row in sheet.rows] == list(plan.settings)
    assert "gain" in plan._repr_html_()


def test_what_is_recorded_is_added_to(capsys: pytest.CaptureFixture):
    assert cli.main(["plan", CONTROLS, "count=5", "output=s.csv"]) == 0
    assert cli.main(["plan", "settings=s.csv", "count=2", "output=more.csv"]) == 0
    assert "take_06.wav" in capsys.readouterr().out
    more = [line.partition(",take_")[2] for line in Path("more.csv").read_text().splitlines()[1:]]
    assert [line[:2] for line in more] == ["06", "07"]
    assert not {line[7:] for line in more} & {
        line.partition(",take_")[2][7:] for line in Path("s.csv").read_text().split()
    }


def test_what_is_recorded_may_leave_its_ranges_to_the_command(capsys: pytest.CaptureFixture):
    Path("s.csv").write_text("path,gain,bright\na.wav,4,off\nb.wav,6,off\n")
    words = ["plan", "settings=s.csv", "count=2", "output=more.csv"]
    assert cli.main([*words, "controls={gian: [0, 4]}"]) == 2
    assert "did you mean `gain`?" in capsys.readouterr().err
    Path("s.csv").write_text("path,gain,bright\na.wav,4,off\nb.wav,6,on\n")
    assert cli.main([*words, "controls={gain: [2, 8], bright: [off, on, bright]}"]) == 0
    rows = Path("more.csv").read_text().splitlines()
    assert rows[0] == "input,target,gain [2..8],bright [off|on|bright]"
    assert {row.split(",")[3] for row in rows[1:]} == {"bright"}  # which nothing is recorded of


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["plan"], "a plan begins from"),
        (["plan", "controls={gain"], "controls={gain is not understood"),
        (["plan", "controls=gain"], "controls=gain is not understood"),
        (["plan", "controls={gain: 3}"], "[0, 10] is the range of a knob"),
        (["plan", "controls={gain: [0, 10], gain=: [0, 1]}"], "'gain=' is no name of a control"),
        (["plan", CONTROLS, "count=1"], "count=1: it is from 2 to 42"),
        (["plan", CONTROLS, "settings=s.csv"], "s.csv does not exist"),
        (["plan", "settings=s.csv"], "s.csv does not exist"),
        (["plan", CONTROLS, "output=there.csv"], "there.csv exists; say overwrite=true"),
    ],
)
def test_what_cannot_be_planned_is_said(words: list[str], sentence: str, capsys: pytest.CaptureFixture):
    Path("there.csv").touch()
    assert cli.main(words) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("words", [{}, {"controls": {"gain": [0, 9]}, "run": "x"}, {"settings": "s.csv", "run": "x"}])
def test_a_plan_begins_from_one_thing(words: dict[str, Any]):
    with pytest.raises(ampsim.AmpsimError, match="a plan begins from"):
        ampsim.plan(**words)


@pytest.mark.parametrize("settings", [None, "s.csv"])
def test_controls_of_a_plan_go_by_names(settings: str | None):
    with pytest.raises(ampsim.AmpsimError, match="controls holds values by the names of controls"):
        ampsim.plan(["gain"], settings=settings)  # type: ignore[arg-type]
