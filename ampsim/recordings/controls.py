"""The knobs and switches of an amp: their names, ranges and settings."""

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ampsim import AmpsimError
from ampsim.files import read_text
from ampsim.plain_yaml import words_of
from ampsim.recordings.table import read_table

TAKEN = ("seconds", "esr", "a_weighted_esr", "predicted_mushra")  # columns beside those of controls
NAME = re.compile(r"[^\W\d_][\w -]{0,39}")  # of a control, as a command and a column can say it
LARGEST = 1e9  # number of a knob; beyond, and where a range is narrower than these, arithmetic loses digits
NARROWEST, NARROWEST_SHARE = 1e-9, 1e-6


@dataclass(frozen=True)
class Control:
    """A knob with a range, or a switch with named positions.

    Args:
        low, high: the ends of a knob's range, in the numbers of its own scale.
        positions: of a switch, which then has no range.
    """

    name: str
    low: float = 0.0
    high: float = 10.0
    positions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.positions:
            if len(set(self.positions)) != len(self.positions) or len(self.positions) < 2:
                raise ValueError(
                    f"the switch {self.name} has the positions {list(self.positions)}: two or more, all different"
                )
            if odd := [each for each in self.positions if not each.strip() or "|" in each]:
                raise ValueError(
                    f"the switch {self.name} has the position {odd[0]!r}: a word, without |, which parts them"
                )
            if len(self.positions) == 2 and None not in map(finite, self.positions):  # which would be read as a range
                raise ValueError(
                    f"the switch {self.name} has two numbers as positions ({' and '.join(self.positions)}), as a knob's range "
                    "has: name the positions in words"
                )
        elif not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(
                f"the range of {self.name} is {self.low} to {self.high}: a lower number, then a higher one"
            )
        else:
            largest = max(abs(self.low), abs(self.high))
            if largest > LARGEST or self.high - self.low < max(NARROWEST, NARROWEST_SHARE * largest):
                raise ValueError(
                    f"the range of {self.name} is {self.low} to {self.high}: up to {LARGEST:,.0f}, and ends that differ by a "
                    "millionth at least; state it in another unit"
                )

    def text(self, value: float) -> str:
        """A value as it is written: `7.5`, or the position of a switch."""
        return self.positions[int(value)] if self.positions else f"{value:g}"

    @property
    def middle(self) -> float:
        """The middle of a knob's range, and a switch's first position."""
        return 0.0 if self.positions else (self.low + self.high) / 2

    @property
    def size(self) -> int:
        """How many numbers of `encoded` hold it."""
        return len(self.positions) or 1

    def value(self, text: str | float) -> float:
        """A setting as a number: of a knob itself, of a switch the index of the position.

        Raises:
            AmpsimError: it is no number, out of range, or no position of the switch.
        """
        if self.positions:
            if str(text).strip() not in self.positions:
                raise AmpsimError(f"{self.name}={text}: the switch has the positions {', '.join(self.positions)}")
            return float(self.positions.index(str(text).strip()))
        try:
            number = float(text)
        except (OverflowError, TypeError, ValueError):
            raise AmpsimError(f"{self.name}={text}: it is a number from {self.low:g} to {self.high:g}") from None
        if not self.low <= number <= self.high:
            raise AmpsimError(f"{self.name}={text}: it is from {self.low:g} to {self.high:g}")
        return number

    def encoded(self, value: float) -> tuple[float, ...]:
        """What a net sees of a setting, (size,): a knob from -1 to 1, one number a position of a switch, 1 for its own."""
        if self.positions:
            return tuple(float(index == value) for index in range(len(self.positions)))
        return (2 * (value - self.low) / (self.high - self.low) - 1,)


def described(controls: Sequence[Control]) -> dict[str, list[str | float]]:
    """What `controls_of` makes these of."""
    return {each.name: list(each.positions) or [each.low, each.high] for each in controls}


def controls_of(named: Mapping[str, Any]) -> tuple[Control, ...]:
    """From `{"gain": [0, 10], "bright": ["off", "on"]}`: two numbers are a knob's range, words a switch's positions.

    Raises:
        AmpsimError: a name that a command could not say, or neither a range nor positions.
    """
    refuse_nameless("controls", named)
    return tuple(control_of(name, ends) for name, ends in named.items())


def control_of(name: Any, ends: Any) -> Control:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise AmpsimError(
            f"{str(name)[:60]!r} is no name of a control: a letter, then letters, digits, _, - and spaces"
        )
    if name in TAKEN:
        raise AmpsimError(f"a control cannot be called {name}, as a column of the scores is: choose another name")
    if not isinstance(ends, list | tuple) or len(ends) < 2:
        raise AmpsimError(
            f"{name} is {str(ends)[:60]}: [0, 10] is the range of a knob and [off, on] a switch's positions"
        )
    if any(isinstance(end, bool) for end in ends):  # as YAML reads on, off, yes and no
        raise AmpsimError(f"{name} has true or false among its positions: put them in quotes, ['off', 'on']")
    numbers = [finite(end) for end in ends]
    try:
        if len(ends) == 2 and None not in numbers:
            return Control(name, float(ends[0]), float(ends[1]))
        return Control(name, positions=tuple(str(end).strip() for end in ends))
    except ValueError as error:
        raise AmpsimError(str(error)) from error


def refuse_nameless(key: str, named: Any) -> None:
    """Refuse what holds no values by the names of controls; None, which says nothing of them, passes.

    Raises:
        AmpsimError: it is no mapping with texts as its keys.
    """
    if named is not None and not isinstance(named, Mapping):
        raise AmpsimError(f"{key} holds values by the names of controls, {{gain: ...}}, and not {str(named)[:60]}")
    for name in named or {}:
        if not isinstance(name, str):
            raise AmpsimError(f"{key} names a control {str(name)[:60]}, which is no text: put it in quotes")


def finite(text: Any) -> float | None:
    """A finite number, or None where it is none."""
    try:
        value = float(text)
    except (OverflowError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def encoded(controls: Sequence[Control], setting: Sequence[float]) -> list[float]:
    """All controls' numbers in a row, as a net sees them."""
    return [number for control, value in zip(controls, setting, strict=True) for number in control.encoded(value)]


def setting_of(controls: Sequence[Control], named: Mapping[str, str | float]) -> tuple[float, ...]:
    """The values of all controls in their order.

    Raises:
        AmpsimError: one is missing or unknown, or a value is no setting of its control.
    """
    names = [control.name for control in controls]
    if unknown := [name for name in named if name not in names]:
        raise AmpsimError(f"there is no control {unknown[0]}: there are {', '.join(names) or 'none'}")
    if missing := [name for name in names if name not in named]:
        raise AmpsimError(f"no value for {missing[0]}: each of {', '.join(names)} needs one")
    return tuple(control.value(named[control.name]) for control in controls)


def middle_of(controls: Sequence[Control]) -> tuple[float, ...]:
    """The setting with every control in its middle."""
    return tuple(each.middle for each in controls)


def named_values(controls: Sequence[Control], setting: Sequence[float]) -> dict[str, str | float]:
    """What `setting_of` makes this setting of: numbers of knobs and positions of switches, by the controls' names."""
    pairs = zip(controls, setting, strict=True)
    return {each.name: each.text(value) if each.positions else value for each, value in pairs}


def in_the_middle(controls: Sequence[Control]) -> dict[str, str]:
    """A setting as a command would name it, for an example: every knob in the middle."""
    return {each.name: each.text(each.middle) for each in controls}


def worded(controls: Sequence[Control], setting: Sequence[float]) -> str:
    """A setting as people say it: `gain 7, bright on`."""
    return ", ".join(f"{control.name} {control.text(value)}" for control, value in zip(controls, setting, strict=True))


SETTING_BYTES = 100_000  # of what a command says of settings
AUTOMATION_BYTES = 10_000_000


def named_settings(text: str) -> list[dict[str, str | float]]:
    """Settings as a command says them: `{gain: 7, bright: on}`, or a list of such.

    Raises:
        AmpsimError: it is neither.
    """
    if len(text) > SETTING_BYTES:
        raise AmpsimError(f"setting has {len(text):,} letters: {SETTING_BYTES:,} at most")
    try:
        found = words_of(text)
    except AmpsimError:
        found = None
    listed = found if isinstance(found, list) else [found]
    if not listed or not all(
        isinstance(each, dict) and each and all(isinstance(value, str) for value in each.values()) for each in listed
    ):
        raise AmpsimError(f"setting={text[:100]}: a setting is {{gain: 7, treble: 3}}, and several are a list of such")
    return listed


@dataclass(frozen=True)
class Automation:
    """Settings over time: a knob moves on a straight line from one row to the next, a switch jumps.

    Args:
        times_s: of the rows, ascending.
        values: (num_rows, num_controls).
    """

    controls: tuple[Control, ...]
    times_s: Sequence[float]
    values: Sequence[Sequence[float]]

    def at(self, time_s: float) -> tuple[float, ...]:
        """The setting at a time; before the first row as there, and after the last."""
        row = max(bisect_right(self.times_s, time_s) - 1, 0)
        after = min(row + 1, len(self.times_s) - 1)
        length = self.times_s[after] - self.times_s[row]
        share = min(max((time_s - self.times_s[row]) / length, 0.0), 1.0) if length else 0.0
        pairs = zip(self.controls, self.values[row], self.values[after], strict=True)
        return tuple(low if control.positions else low + share * (high - low) for control, low, high in pairs)


def read_automation(path: Path, controls: Sequence[Control]) -> Automation:
    """From a CSV file with a column `seconds` and one for each control.

    Raises:
        AmpsimError: it cannot be read, a column is missing or unknown, a row is no setting, or times do not ascend.
    """
    _, rows = read_table(path, read_text(path, "automation file", AUTOMATION_BYTES), "automation file")
    times, values = list[float](), list[tuple[float, ...]]()
    for number, row in rows:
        try:
            time_s = finite(row.pop("seconds", None))
            if time_s is None or time_s < 0 or (times and time_s <= times[-1]):
                raise AmpsimError("`seconds` is a number, and larger than in the row before")
            values.append(setting_of(controls, row))
        except AmpsimError as error:
            raise AmpsimError(f"{path}, line {number}: {error}") from error
        times.append(time_s)
    if not times:
        raise AmpsimError(
            f"{path} has no row: a column `seconds` is needed and one for each control, and a row for each time"
        )
    return Automation(tuple(controls), times, values)
