"""Names, ranges and settings of controls."""

from pathlib import Path
from typing import Any

import pytest

from ampsim import AmpsimError
from ampsim.recordings.controls import (
    Control,
    controls_of,
    described,
    encoded,
    named_settings,
    read_automation,
    setting_of,
    worded,
)

AMP = {"gain": [0, 10], "mix": ["0", "1"], "bright": ["off", "on"], "stage": [1, 2, 3]}


def test_two_numbers_are_a_range_and_anything_else_positions():
    gain, mix, bright, stage = controls_of(AMP)
    assert (gain, mix) == (Control("gain", 0, 10), Control("mix", 0, 1))
    assert (bright.positions, stage.positions) == (("off", "on"), ("1", "2", "3"))
    assert controls_of(described((gain, mix, bright, stage))) == (gain, mix, bright, stage)


def test_a_setting_is_what_a_net_sees_and_what_people_say():
    controls = controls_of(AMP)
    setting = setting_of(controls, {"stage": 2, "gain": "7.5", "mix": 0, "bright": " on"})
    assert setting == (7.5, 0, 1, 1)
    assert encoded(controls, setting) == [0.5, -1, 0, 1, 0, 1, 0]
    assert worded(controls, setting) == "gain 7.5, mix 0, bright on, stage 2"


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ({"gain": [10, 0]}, "the range of gain is 10.0 to 0.0"),
        ({"gain": [0]}, r"\[0, 10\] is the range of a knob"),
        ({"gain": "high"}, r"\[0, 10\] is the range of a knob"),
        ({"gain": [0, "nan"]}, r"^$"),
        ({"bright": [False, True]}, r"put them in quotes, \['off', 'on'\]"),
        ({"bright": ["on", "on"]}, "two or more, all different"),
        ({"a=b": [0, 1]}, "'a=b' is no name of a control"),
        ({3: [0, 1]}, "names a control 3, which is no text: put it in quotes"),
        (["gain"], r"holds values by the names of controls, .*, and not \['gain'\]"),
        ({"gain": [-1e308, 1e308]}, "up to 1,000,000,000, and ends that differ by a millionth"),
        ({"gain": [0, 1e-320]}, "ends that differ by a millionth"),
        ({"gain": [1e8, 1e8 + 1]}, "ends that differ by a millionth"),
        ({"mode": ["a|b", "c"]}, r"the position 'a\|b': a word, without \|"),
        ({"mode": ["", "c"]}, "the position '': a word"),
    ],
)
def test_what_is_no_control_is_refused(named: dict[Any, Any], sentence: str):
    if sentence == "^$":  # "nan" is a word as any other
        assert controls_of(named)[0].positions == ("0", "nan")
        return
    with pytest.raises(AmpsimError, match=sentence):
        controls_of(named)


def test_a_switch_of_two_numbers_would_be_saved_as_a_knob():
    with pytest.raises(
        ValueError, match=r"two numbers as positions \(1 and 2\), as a knob's range has: name the positions"
    ):
        Control("mode", positions=("1", "2"))
    (control,) = controls_of(described([Control("mode", positions=("1", "2", "3"))]))
    assert control.positions == ("1", "2", "3")


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ({"gain": 3}, "no value for bright: each of gain, bright needs one"),
        ({"gain": 3, "bright": "on", "bass": 3}, "there is no control bass: there are gain, bright"),
        ({"gain": 10**400, "bright": "on"}, "it is a number from 0 to 10"),
        ({"gain": 11, "bright": "on"}, "gain=11: it is from 0 to 10"),
        ({"gain": "nan", "bright": "on"}, "gain=nan: it is from 0 to 10"),
        ({"gain": "loud", "bright": "on"}, "gain=loud: it is a number from 0 to 10"),
        ({"gain": 3, "bright": "up"}, "bright=up: the switch has the positions off, on"),
    ],
)
def test_what_is_no_setting_is_refused(named: dict[str, Any], sentence: str):
    with pytest.raises(AmpsimError, match=sentence):
        setting_of(controls_of({"gain": [0, 10], "bright": ["off", "on"]}), named)


def test_settings_as_a_command_says_them():
    assert named_settings("{gain: 7, bright: on}") == [{"gain": "7", "bright": "on"}]  # and not true
    assert named_settings("[{gain: 7}, {gain: 8.5}]") == [{"gain": "7"}, {"gain": "8.5"}]


@pytest.mark.parametrize(
    "text", ["", "gain", "[]", "{gain: {a: 1}}", "[{gain: 1}, 2]", "{gain: 1", "!!python/object:os.x {}"]
)
def test_words_that_say_no_setting_are_refused(text: str):
    with pytest.raises(AmpsimError, match=r"a setting is \{gain: 7, treble: 3\}"):
        named_settings(text)


def test_an_automation_moves_knobs_on_lines_and_switches_in_steps(tmp_path: Path):
    path = tmp_path / "turned.csv"
    path.write_text("seconds,bright,gain\n0.5,off,2\n1.5,on,8\n2,off,8\n")
    found = read_automation(path, (Control("gain"), Control("bright", positions=("off", "on"))))
    times = [0.0, 0.5, 1.0, 1.5, 1.75, 2.0, 9.0]
    assert [found.at(each)[0] for each in times] == [2.0, 2.0, 5.0, 8.0, 8.0, 8.0, 8.0]
    assert [found.at(each)[1] for each in times] == [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "text",
    [
        "seconds, gain ,bright \n 0.5, 2.5 , off \n\n1.5,8,on\n",
        "\ufeffseconds;gain;bright\r\n0,5;2,5;off\r\n1,5;8;on\r\n",
        'seconds,gain,bright\n"0,5","2,5",off\n"1,5","8",on',
        "seconds\tgain\tbright\t\n0.5\t2.5\toff\t\n1.5\t8\ton\t\n",
    ],
    ids=["spaces", "semicolons from Windows", "decimal commas in quotes", "tabs"],
)
def test_an_automation_is_read_however_a_spreadsheet_writes_it(tmp_path: Path, text: str):
    path = tmp_path / "turned.csv"
    path.write_bytes(text.encode())
    found = read_automation(path, (Control("gain"), Control("bright", positions=("off", "on"))))
    assert (found.times_s, found.values) == ([0.5, 1.5], [(2.5, 0), (8, 1)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no row"),
        ("seconds,gain\n", "has no row"),
        ("gain\n3\n", "line 2: `seconds` is a number"),
        ("seconds,gain\n1,3\n1,4\n", "line 3: `seconds` is a number, and larger"),
        ("seconds,gain\nnan,3\n", "line 2: `seconds`"),
        ("seconds,gain\n1,11\n", "line 2: gain=11: it is from 0 to 10"),
        ("seconds,treble\n1,3\n", "line 2: there is no control treble"),
        ("seconds\n1\n", "line 2: no value for gain"),
        ("seconds,gain\n1\n", "line 2: gain=: it is a number"),
        ("seconds,gain\n1,2,3\n", "row 2: `3` is in no column"),
        ("seconds,gain,gain\n1,2,3\n", "has the column gain twice"),
        ("seconds,gain\n1," + "2" * 200_000, "is no automation file: field larger than field limit"),
    ],
)
def test_an_automation_that_makes_no_sense_names_its_line(tmp_path: Path, text: str, message: str):
    path = tmp_path / "turned.csv"
    path.write_text(text)
    with pytest.raises(AmpsimError, match=message):
        read_automation(path, (Control("gain"),))
