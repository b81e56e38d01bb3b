"""Sheets of settings as people write them, and what is wrong with them, by row."""

from pathlib import Path
from typing import Any

import pytest

from ampsim import AmpsimError
from ampsim.recordings.controls import Control, controls_of
from ampsim.recordings.plan import planned
from ampsim.recordings.sheet import Row, Sheet, ToRecord, read_sheet, seconds

GOOD = "input,target,gain,bright\nd.wav,a.wav,1,off\nd.wav,b.wav,7.5,on\n"


def sheet(folder: Path, text: str | bytes, ranges: dict[str, Any] | None = None, *, name: str = "s.csv") -> Sheet:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_sheet(path, ranges or {})


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "\ufeff" + GOOD.replace("\n", "\r\n"),
        GOOD.replace(",", ";").replace("7.5", "7,5"),
        GOOD.replace(",", "\t"),
        GOOD.replace("input,target", "Input, TARGET ") + ",,,\n\n",
        GOOD.replace("bright\n", "bright,\n"),
        '"input","target","gain","bright"\n"d.wav","a.wav","1","off"\n"d.wav","b.wav","7.5","on"',
    ],
    ids=["plain", "from Windows", "semicolons", "tabs", "capitals and empty rows", "comma at the end", "quotes"],
)
def test_a_csv_is_read_however_a_spreadsheet_writes_it(text: str, tmp_path: Path):
    found = sheet(tmp_path, text)
    assert found.controls == (Control("gain", 0, 10), Control("bright", positions=("off", "on")))
    assert [(row.number, row.setting) for row in found.rows] == [(2, (1, 0)), (3, (7.5, 1))]
    assert [(row.cells["input"], row.cells["target"]) for row in found.rows] == [("d.wav", "a.wav"), ("d.wav", "b.wav")]


def test_yaml_says_the_same(tmp_path: Path):
    text = "controls: {gain: [0, 10], bright: [off, on]}\nrecordings:\n- {input: d.wav, target: a.wav, gain: 1, bright: off}\n"
    text += "- input: d.wav\n  target: b.wav\n  gain: 7.5\n  bright: on\n"
    from_yaml, from_csv = sheet(tmp_path, text, name="s.yaml"), sheet(tmp_path, GOOD)
    assert from_yaml.controls == from_csv.controls
    assert [row.setting for row in from_yaml.rows] == [row.setting for row in from_csv.rows]


@pytest.mark.parametrize(
    ("column", "ranges", "values", "control"),
    [
        ("mix", {}, ("0.2", "0.9"), Control("mix", 0, 10)),
        ("hz", {}, ("200", "5000"), Control("hz", 200, 5000)),
        ("db", {}, ("-6", "3"), Control("db", -6, 3)),
        ("mix [0..1]", {}, ("0.2", "0.9"), Control("mix", 0, 1)),
        ("hz [ 20 .. 20e3 ]", {}, ("200", "5000"), Control("hz", 20, 20000)),
        ("mix [0..1]", {"mix": [0, 2]}, ("0.2", "0.9"), Control("mix", 0, 2)),
        ("mode", {}, ("lead", "clean"), Control("mode", positions=("lead", "clean"))),
        ("mode [1|2|max]", {}, ("max", "2"), Control("mode", positions=("1", "2", "max"))),
        ("mode", {"mode": ["clean", "crunch", "lead"]}, ("lead", "clean"), None),
    ],
)
def test_ranges_come_from_the_config_the_columns_name_or_the_rows(
    column: str, ranges: dict[str, Any], values: tuple[str, str], control: Control | None, tmp_path: Path
):
    found = sheet(tmp_path, f"path,{column}\na.wav,{values[0]}\nb.wav,{values[1]}\n", ranges)
    assert found.controls[0] == (control or Control("mode", positions=("clean", "crunch", "lead")))
    assert bool(found.notes) is (column in ("hz", "db"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"s\.csv is empty: a first row of column names"),
        ("\n,,\n", "is empty"),
        ("input,target,gain\n", "names no recording: add a row"),
        ("input,target,gain\nd.wav,a.wav,3\n", r"names one recording, .*\(data=pair, data=stereo\)"),
        ("d.wav,a.wav,3\nd.wav,b.wav,4\n", r"has the columns d\.wav, a\.wav, 3: it needs `target`"),
        ("input,gain\nd.wav,3\nd.wav,4\n", "it needs `target` for the amp's files"),
        ("input,target\nd.wav,a.wav\nd.wav,b.wav\n", "has no column for a control"),
        ("path,target,gain\na.wav,a.wav,1\nb.wav,b.wav,2\n", "one kind a sheet"),
        ("path,gain,gain\na.wav,1,1\nb.wav,2,2\n", "has the column gain twice"),
        ("path,Gain,gain [0..10]\na.wav,1,1\nb.wav,2,2\n", "has the column gain twice"),
        ("path,,gain\na.wav,1,1\nb.wav,2,2\n", "column 2 has no name"),
        ("path,gain\na.wav,5\nb.wav,5\n", "gain is 5 in all 2 rows, .* take the column out, or record other values"),
        ("path,gain\na.wav,5\n,6\n", "row 3: path is empty"),
        ("path,gain\na.wav,5\nb.wav,\n", "row 3: gain is empty: every recording needs a value"),
        ("path,gain\na.wav,5\nb.wav\n", "row 3: gain is empty"),
        ("path,gain\na.wav,5\nb.wav,6,7\n", "row 3: `7` is in no column, of which there are 2"),
        ("path,gain\na.wav,5\nb.wav,full\n", r"row 3: gain is `full`, and 5 in row 2: .*`gain \[1\|2\|max\]`"),
        ("path,gain [0..10]\na.wav,5\nb.wav,11\n", "row 3: gain=11: it is from 0 to 10"),
        ("path,gain [0..10]\na.wav,5\nb.wav,nan\n", "row 3: gain=nan: it is from 0 to 10"),
        ("path,bright [off|on]\na.wav,off\nb.wav,up\n", "row 3: bright=up: the switch has the positions off, on"),
        ("path,gain [10..0]\na.wav,5\nb.wav,6\n", "the range of gain is 10.0 to 0.0"),
        ("path,gain [10]\na.wav,5\nb.wav,6\n", r"the column `gain \[10\]` states no range"),
        ("path,gain [0..ten]\na.wav,5\nb.wav,6\n", r"the column `gain \[0\.\.ten\]` states no range"),
        ("path,gain [0..5..10]\na.wav,5\nb.wav,6\n", r"the column `gain \[0\.\.5\.\.10\]` states no range"),
        (
            "path,mode [1|2]\na.wav,1\nb.wav,2\n",
            r"has two numbers, .*: \[1\.\.2\] is a knob; for a switch name the positions",
        ),
        ("path,mode [|on]\na.wav,on\nb.wav,on\n", "mode is on in all 2 rows"),
        ("path,mode [|on|off]\na.wav,on\nb.wav,off\n", "the switch mode has the position ''"),
        ("path,level\na.wav,1 dB\nb.wav,2 dB\n", r"row 2: level is `1 dB`, which begins as .* `level \[1 dB\|2 dB\]`"),
        (
            'path,hz\na.wav,500\nb.wav,"1,500"\n',
            "row 3: hz is `1,500`, which may be 1500 or 1.500: write .* without commas",
        ),
        ("path,hz\na.wav,-1e308\nb.wav,1e308\n", "the range of hz is -1e.308 to 1e.308: up to 1,000,000,000"),
        ("path,ga=in\na.wav,5\nb.wav,6\n", "'ga=in' is no name of a control"),
        ('path,gain\na.wav,"5\nb.wav,6\n', "row 2|names one recording"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        ("path,gain\n" + "a.wav,5\nb.wav,6\n" * 5000, "names 10,000 recordings; a sheet may name 1,000"),
        ("path,gain\n" + "a.wav,5\n" * 200_000, "has more than 1,000,000 bytes"),
        ("path,gain\na.wav," + "5" * 200_000 + "\nb.wav,6\n", "field larger than field limit"),
    ],
)
def test_what_is_wrong_with_a_csv_is_said_with_its_row(text: str | bytes, sentence: str, tmp_path: Path):
    with pytest.raises(AmpsimError, match=sentence) as told:
        sheet(tmp_path, text)
    assert len(str(told.value)) < 500


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it needs `recordings:`"),
        ("[1, 2", r"s\.yml, line 1: this is no YAML"),
        ("recordings:\n- {path: a.wav, gain: 1}\n- {path: b.wav, gain: 3\n", r"s\.yml, line \d: this is no YAML"),
        ("recordings:\n- path: a.wav\n  gain: 1\n  gain: 2\n", r"s\.yml, line 4: `gain` is there a second time"),
        ("controls: {gian: [0, 2]}\nrecordings: [{path: a.wav, gain: 1}]", r"for gian, .* did you mean `gain`\?"),
        ("control: {gain: [0, 2]}\nrecordings: [{path: a.wav, gain: 1}]", r"no `control`; did you mean `controls`\?"),
        ("controls: {m: [a|b, c]}\nrecordings: [{path: a.wav, m: c}, {path: b.wav, m: a|b}]", r"position 'a\|b'"),
        ("- {path: a.wav, gain: 1}\n", "it needs `recordings:`"),
        (
            "recordings: [{path: a.wav, gain: [1, 2]}, {path: b.wav, gain: 3}]",
            "recording 1: gain holds more than one value",
        ),
        ("recordings: [{path: a.wav, gain: 1}, {path: b.wav}]", "row 2: gain is empty"),
        ("controls: {gain: [0, 2]}\nrecordings: [{path: a.wav, gain: 1}, {path: b.wav, gain: 3}]", "row 2: gain=3"),
        ("controls: {gain: 3}\nrecordings: [{path: a.wav, gain: 1}, {path: b.wav, gain: 3}]", "is the range of a knob"),
        ("controls: [gain]\nrecordings: [{path: a.wav, gain: 1}, {path: b.wav, gain: 3}]", "`controls:` holds names"),
        ("a: &a [*a]", r"line 1: it holds a reference"),
        ("!!python/object/apply:os.system ['true']", "line 1: it holds plain values only"),
    ],
)
def test_what_is_wrong_with_a_yaml_is_said(text: str, sentence: str, tmp_path: Path):
    with pytest.raises(AmpsimError, match=sentence):
        sheet(tmp_path, text, name="s.yml")


def test_a_range_for_a_column_that_is_not_there_is_a_typing_error(tmp_path: Path):
    with pytest.raises(AmpsimError, match=r"stated for gian, which is no control of .*; did you mean `gain`\?"):
        sheet(tmp_path, GOOD, {"gian": [0, 10]})
    with pytest.raises(AmpsimError, match="stated for target, which is no control"):
        sheet(tmp_path, GOOD, {"target": [0, 10]})


@pytest.mark.parametrize(("text", "value"), [("", None), ("83.5", 83.5), ("1:23.5", 83.5), ("0", 0.0)])
def test_times_are_seconds_or_minutes_and_seconds(text: str, value: float | None):
    assert seconds(Path("s.csv"), Row(4, {"start": text}), "start") == value


@pytest.mark.parametrize("text", ["soon", "-3", "1:-3", "nan", "1:2:3"])
def test_what_is_no_time_is_refused(text: str):
    with pytest.raises(AmpsimError, match=r"row 4: start is .*a time is in seconds"):
        seconds(Path("s.csv"), Row(4, {"start": text}), "start")


def test_a_planned_sheet_is_read_back(tmp_path: Path):
    controls = controls_of({"gain": [0, 12], "mix": [0, 1], "mode": ["1", "2", "max, or more"]})
    plan = planned(controls, 9)
    found = sheet(tmp_path, ToRecord(controls, tuple(plan)).csv)
    assert found.controls == controls
    assert [row.setting for row in found.rows] == plan
    assert found.rows[0].cells["target"] == "take_01.wav"


@pytest.mark.parametrize(
    "text",
    [
        'path,gain,mix\na.wav,"0,5",1\nb.wav,"2,5","0,25"\n',
        "path;gain;mix\na.wav;0,5;1\nb.wav;2,5;0,25\n",
        "path\tgain\tmix\na.wav\t0,5\t1\nb.wav\t2.5\t0,25\n",
        "path;gain [0..10];mix [0..10,0]\na.wav;0,5;1\nb.wav;2,5;0,25\n",
        'path, "gain [0..10]", "mix [0..10]"\na.wav, "0,5", "1"\nb.wav, "2,5", "0,25"\n',
    ],
    ids=["commas", "semicolons", "tabs", "a range with a comma", "spaces before quotes"],
)
def test_a_decimal_comma_is_a_number_whatever_parts_the_cells(text: str, tmp_path: Path):
    found = sheet(tmp_path, text)
    assert found.controls == (Control("gain", 0, 10), Control("mix", 0, 10))
    assert [row.setting for row in found.rows] == [(0.5, 1), (2.5, 0.25)]


def test_a_decimal_comma_in_yaml(tmp_path: Path):
    text = "recordings:\n- path: 1,5.wav\n  gain: 0,5\n- path: b.wav\n  gain: 2\n"
    found = sheet(tmp_path, text, name="s.yaml")
    assert [(row.cells["path"], row.setting) for row in found.rows] == [("1,5.wav", (0.5,)), ("b.wav", (2,))]


def test_words_that_begin_as_numbers_are_a_switch_that_is_stated(tmp_path: Path):
    found = sheet(tmp_path, "path,level [1 dB|2 dB]\na.wav,1 dB\nb.wav,2 dB\n")
    assert found.controls == (Control("level", positions=("1 dB", "2 dB")),)


@pytest.mark.parametrize(
    ("low", "high"), [(80, 1234567), (0.1234567, 0.7654321), (1 / 3, 2 / 3), (-1e9, 1e9), (1e-7, 1e-5)]
)
def test_a_planned_sheet_holds_all_digits(low: float, high: float, tmp_path: Path):
    controls = (Control("tone", low, high),)
    plan = planned(controls, 8)
    found = sheet(tmp_path, ToRecord(controls, tuple(plan)).csv)
    assert found.controls == controls
    assert [row.setting for row in found.rows] == plan


def test_a_plan_is_printed_to_be_ticked_off():
    controls = controls_of({"gain": [0, 10], "bright": ["off", "on"]})
    assert str(ToRecord(controls, ((7.5, 1), (10, 0)), recorded=8)).splitlines() == [
        "     gain  bright         file",
        "[ ]   7.5      on  take_09.wav",
        "[ ]    10     off  take_10.wav",
    ]
