"""A sheet of recordings at known settings of an amp: a CSV or YAML file that people write, read with care."""

import csv
import html
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ampsim import AmpsimError
from ampsim.config.targets import nearest
from ampsim.files import expanded, read_text, write_text
from ampsim.plain_yaml import words_of
from ampsim.recordings.controls import Control, control_of, finite
from ampsim.recordings.table import as_point, read_table, refuse_repeated, with_points

ENDINGS = (".csv", ".yaml", ".yml")
BYTES = 1_000_000  # of a sheet
MOST = 1000  # recordings of a sheet, as of a folder
COLUMNS = ("input", "target", "path", "start", "stop")  # that are no controls
KIND = "sheet of settings (CSV or YAML)"
HEADING = re.compile(r"(.*?)\s*\[(.*)\]")  # `gain [0..10]`, `bright [off|on]`
BEGINS = re.compile(r"[+-]?[.,]?\d")  # as a number does
PARTS = ["recordings", "controls"]  # of a sheet in YAML


@dataclass(frozen=True)
class Row:
    """A recording: which row of the sheet it is (that of the column names is 1), its cells, and the controls' values."""

    number: int
    cells: Mapping[str, str]
    setting: tuple[float, ...] = ()


@dataclass(frozen=True)
class Sheet:
    path: Path
    controls: tuple[Control, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def read_sheet(path: Path, ranges: Mapping[str, Any]) -> Sheet:
    """The recordings and controls of a sheet.

    Args:
        ranges: of controls, as `controls_of` takes them; they come before those that the sheet states. What neither
            states is 0 to 10 where all values lie in that, else from the lowest to the highest.

    Raises:
        AmpsimError: it is no sheet; a column or a cell is missing, said twice or of no use; it says which row.
    """
    text = read_text(path, KIND, BYTES)
    names, rows = from_yaml(path, text) if path.suffix.lower() in ENDINGS[1:] else from_csv(path, text)
    refuse_repeated(path, [bare(name) for name in names])
    refuse_strange(path, ranges, names)
    stated = {**dict(stated_of(path, names)), **ranges}
    rows = [Row(row.number, {bare(name): cell for name, cell in row.cells.items()}) for row in rows]
    refuse_columns(path, [bare(name) for name in names], rows)
    found = [control(path, name, stated.get(name), rows) for name in map(bare, names) if name not in COLUMNS]
    controls, notes = tuple(each for each, _ in found), tuple(note for _, note in found if note)
    return Sheet(path, controls, tuple(Row(row.number, row.cells, setting(path, controls, row)) for row in rows), notes)


def from_csv(path: Path, text: str) -> tuple[list[str], list[Row]]:
    names, lines = read_table(path, text, KIND)
    if not names:
        raise AmpsimError(f"{path} is empty: a first row of column names, then a row for each recording")
    return names, [Row(number, cells) for number, cells in lines]


def from_yaml(path: Path, text: str) -> tuple[list[str], list[Row]]:
    """As `from_csv`, of `recordings: [{target: ..., gain: 3}]` and perhaps `controls: {gain: [0, 10]}`."""
    try:
        content = words_of(text)
    except AmpsimError as error:
        raise AmpsimError(f"{path}, {error}") from error
    listed = content.get("recordings") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed or not all(isinstance(each, dict) for each in listed):
        raise AmpsimError(f"{path} is no {KIND}: it needs `recordings:` with a list of files and settings")
    if strange := [name for name in content if name not in PARTS]:
        raise AmpsimError(f"{path}: a {KIND} has no `{strange[0]}`{nearest(str(strange[0]), PARTS)}")
    ranges = content.get("controls", {})
    if not isinstance(ranges, dict):
        raise AmpsimError(f"{path}: `controls:` holds names with ranges, such as `gain: [0, 10]`")
    for name, ends in ranges.items():
        control_of(name, ends)
    names = list(dict.fromkeys(str(name) for each in listed for name in each))
    if odd := [
        (index, name) for index, each in enumerate(listed, 1) for name in each if not isinstance(each[name], str)
    ]:
        raise AmpsimError(f"{path}, recording {odd[0][0]}: {odd[0][1]} holds more than one value")
    refuse_repeated(path, names)
    refuse_strange(path, ranges, names)
    said = {name: heading(name, ranges.get(name)) for name in names}
    lines = [(index, {name: each.get(name, "").strip() for name in names}) for index, each in enumerate(listed, 1)]
    return list(said.values()), [
        Row(number, {said[name]: cell for name, cell in cells.items()}) for number, cells in with_points(path, lines)
    ]


def refuse_strange(path: Path, ranges: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse the range of a control that the sheet does not have: a typing error."""
    known = [name for name in map(bare, names) if name not in COLUMNS]
    if strange := [name for name in ranges if name not in known]:
        raise AmpsimError(
            f"a range or positions are stated for {strange[0]}, which is no control of {path}{nearest(strange[0], known)}"
        )


def bare(name: str) -> str:
    """A column's name without its range; those of files in lower case."""
    plain = found[1].strip() if (found := HEADING.fullmatch(name)) else name
    return plain.lower() if plain.lower() in COLUMNS else plain


def stated_of(path: Path, names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The ranges and positions that the column names state: `gain [0..10]`, `bright [off|on]`."""
    for name in names:
        if found := HEADING.fullmatch(name):
            switch = "|" in found[2]
            apart = [each.strip() for each in found[2].split("|" if switch else "..")]
            numbers = [finite(each if switch else as_point(each)) for each in apart]
            if len(apart) < 2 or (not switch and (len(apart) > 2 or None in numbers)):
                raise AmpsimError(f"{path}: the column `{name}` states no range, as [0..10] or [off|on] would")
            if switch and len(apart) == 2 and None not in numbers:
                raise AmpsimError(
                    f"{path}: the column `{name}` has two numbers, as a knob has, and |, as a switch has: "
                    f"[{'..'.join(apart)}] is a knob; for a switch name the positions in words, here and in the rows"
                )
            yield bare(name), apart if switch else [as_point(each) for each in apart]


def heading(name: str, ends: Sequence[str | float] | None) -> str:
    """What `stated_of` reads."""
    if ends is None:
        return name
    knob = len(ends) == 2 and all(finite(end) is not None for end in ends)
    return f"{name} [{('..' if knob else '|').join(map(str, ends))}]"


def refuse_columns(path: Path, names: Sequence[str], rows: Sequence[Row]) -> None:
    """Refuse a sheet that says too little to be of use."""
    if not {"target", "path"} & set(names):
        raise AmpsimError(
            f"{path} has the columns {', '.join(names)[:200]}: it needs `target` for the amp's files, with `input` for the "
            "direct signals, or `path` for stereo files"
        )
    if "path" in names and {"target", "input"} & set(names):
        raise AmpsimError(
            f"{path} has columns for stereo files (path) and for mono ones (target, input): one kind a sheet"
        )
    if not set(names) - set(COLUMNS):
        raise AmpsimError(
            f"{path} has no column for a control: add one for each knob, with its value in each recording"
        )
    if not rows:
        raise AmpsimError(f"{path} names no recording: add a row for each below the names of the columns")
    if len(rows) == 1:
        raise AmpsimError(
            f"{path} names one recording, and a control is learnt from several: add a row for each other setting, or train on "
            "this one alone (data=pair, data=stereo)"
        )
    if len(rows) > MOST:
        raise AmpsimError(f"{path} names {len(rows):,} recordings; a sheet may name {MOST:,}")
    for row in rows:
        if blank := [name for name in names if not row.cells[name] and name not in ("input", "start", "stop")]:
            raise AmpsimError(f"{path}, row {row.number}: {blank[0]} is empty: every recording needs a value")


def control(path: Path, name: str, stated: Any, rows: Sequence[Row]) -> tuple[Control, str]:
    """A column as a control, and a note where its range was guessed."""
    cells = [row.cells[name] for row in rows]
    if len(set(cells)) == 1:
        raise AmpsimError(
            f"{path}: {name} is {cells[0]} in all {len(rows)} rows, from which nothing can be learnt: take the column out, or "
            "record other values of it too"
        )
    if stated is not None:
        try:
            return control_of(name, stated), ""
        except AmpsimError as error:
            raise AmpsimError(f"{path}: {error}") from error
    numbers = [finite(cell) for cell in cells]
    if None not in numbers:
        low, high = min(map(float, cells)), max(map(float, cells))
        inside = low >= Control.low and high <= Control.high
        ends = [Control.low, Control.high] if inside else [low, high]
        note = f"{name} is taken to go from {low:g} to {high:g}, as in the rows: `{name} [0..{high:g}]` as its column's name"
        return control_of(name, ends), "" if inside else f"{path}: {note} would state another range"
    if any(each is not None for each in numbers):
        word, value = numbers.index(None), next(index for index, each in enumerate(numbers) if each is not None)
        raise AmpsimError(
            f"{path}, row {rows[word].number}: {name} is `{cells[word][:60]}`, and {cells[value]} in row {rows[value].number}: a "
            f"knob has numbers alone, a switch words; for a switch with both, name the column `{name} [1|2|max]`"
        )
    if all(BEGINS.match(cell) for cell in cells):
        raise AmpsimError(
            f"{path}, row {rows[0].number}: {name} is `{cells[0][:60]}`, which begins as a number and is none: a knob has "
            f"numbers alone, without a unit; for a switch, name the column `{name} [{'|'.join(dict.fromkeys(cells))[:100]}]`"
        )
    return control_of(name, list(dict.fromkeys(cells))), ""


def setting(path: Path, controls: Sequence[Control], row: Row) -> tuple[float, ...]:
    try:
        return tuple(control.value(row.cells[control.name]) for control in controls)
    except AmpsimError as error:
        raise AmpsimError(f"{path}, row {row.number}: {error}") from error


def seconds(path: Path, row: Row, name: str) -> float | None:
    """A time of a row, `83.5` or `1:23.5`; None where it has none."""
    text = row.cells.get(name, "")
    if not text:
        return None
    minutes, _, rest = text.rpartition(":")
    whole, part = finite(minutes or 0), finite(rest)
    if whole is None or part is None or whole < 0 or part < 0:
        raise AmpsimError(f"{path}, row {row.number}: {name} is `{text[:60]}`: a time is in seconds (83.5) or 1:23.5")
    return 60 * whole + part


def exact(control: Control, value: float) -> str:
    """A value as it is written, with as many digits as reading it back takes."""
    text = control.text(value)
    return text if control.positions or float(text) == value else repr(float(value)).removesuffix(".0")


@dataclass(frozen=True)
class ToRecord:
    """Settings to record; printed, a sheet to tick off.

    Args:
        recorded: how many recordings there are already, after which the files' names count on.
    """

    controls: tuple[Control, ...]
    settings: tuple[tuple[float, ...], ...]
    recorded: int = 0

    @property
    def rows(self) -> list[dict[str, str]]:
        """Each as a row of a sheet, by the columns' names; files by names to record under."""
        names = [
            heading(each.name, each.positions or (exact(each, each.low), exact(each, each.high)))
            for each in self.controls
        ]
        return [
            {"input": "direct.wav", "target": f"take_{number:02}.wav"}
            | {name: exact(control, value) for name, control, value in zip(names, self.controls, setting, strict=True)}
            for number, setting in enumerate(self.settings, self.recorded + 1)
        ]

    @property
    def csv(self) -> str:
        """The sheet that `data=knobs` reads, once the files are there."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write `csv`; raises AmpsimError where the file exists and `overwrite` is off."""
        path = expanded(path)
        write_text(path, self.csv, overwrite=overwrite)
        return path

    def __str__(self) -> str:
        titles = [*(control.name for control in self.controls), "file"]
        lines = [
            [*(exact(control, value) for control, value in zip(self.controls, setting, strict=True)), row["target"]]
            for setting, row in zip(self.settings, self.rows, strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(titles, *lines, strict=True)]
        return "\n".join(
            f"{box}  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for box, line in [("   ", titles), *(("[ ]", line) for line in lines)]
        )

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"
