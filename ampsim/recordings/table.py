"""A table as people and spreadsheets write it, in CSV: of recordings, or of settings over time."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from ampsim import AmpsimError

WHOLE = re.compile(r"[+-]?\d+")
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")

Cells = dict[str, str]
Line = tuple[int, Cells]  # which row it is (that of the column names is 1), and its cells by the columns' names


def read_table(path: Path, text: str, kind: str) -> tuple[list[str], list[Line]]:
    """The names of the columns and the rows, without blank ones; commas, semicolons or tabs part the cells.

    Args:
        kind: what the file was taken for, for the sentence of an error.

    Raises:
        AmpsimError: it is no CSV, a cell is in no column, or a column has no name or that of another.
    """
    first = next(filter(str.strip, text.splitlines()), "")
    parted = max(",;\t", key=re.sub(r"\[.*?\]", "", first).count)  # a range holds commas of its own: `mix [0..0,5]`
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=parted, skipinitialspace=True)
    try:
        lines = [(number, [cell.strip() for cell in line]) for number, line in enumerate(reader, 1)]
    except csv.Error as error:
        raise AmpsimError(f"{path} is no {kind}: {error}") from error
    lines = [(number, line) for number, line in lines if any(line)]
    if not lines:
        return [], []
    (_, names), *rest = lines
    while names and not names[-1]:
        names.pop()
    refuse_repeated(path, names)
    rows = []
    for number, line in rest:
        if extra := [cell for cell in line[len(names) :] if cell]:
            raise AmpsimError(
                f"{path}, row {number}: `{extra[0][:60]}` is in no column, of which there are {len(names)}: a comma too many, or "
                "a name with a comma that needs quotes"
            )
        rows.append((number, dict(zip(names, [*line, *[""] * len(names)], strict=False))))
    if parted == ",":
        return names, with_points(path, rows)
    return names, [(number, {name: as_point(cell) for name, cell in cells.items()}) for number, cells in rows]


def with_points(path: Path, rows: Sequence[Line]) -> list[Line]:
    """The rows with a point for the decimal comma, in columns that hold nothing but numbers.

    Raises:
        AmpsimError: such a column may as well have thousands: `1,500`.
    """
    found = list(rows)
    for name in rows[0][1] if rows else ():
        stated = [(number, cells[name]) for number, cells in rows if cells[name]]
        if not all(WHOLE.fullmatch(cell) or DECIMAL_COMMA.fullmatch(cell) for _, cell in stated):
            continue
        if unclear := [each for each in stated if THOUSANDS.fullmatch(each[1])]:
            number, cell = unclear[0]
            raise AmpsimError(
                f"{path}, row {number}: {name} is `{cell}`, which may be {cell.replace(',', '')} or "
                f"{as_point(cell)}: write the column without commas"
            )
        found = [(number, {**cells, name: as_point(cells[name])}) for number, cells in found]
    return found


def as_point(cell: str) -> str:
    return cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell


def refuse_repeated(path: Path, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if not name:
            raise AmpsimError(f"{path}: column {number} has no name")
        if name.casefold() in seen:
            raise AmpsimError(f"{path} has the column {name} twice: rename one, or take it out")
        seen.add(name.casefold())
