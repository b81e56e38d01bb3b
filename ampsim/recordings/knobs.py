"""Recordings of one amp at several settings of its knobs: those of a sheet, and the embedded amp's."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ampsim import AmpsimError
from ampsim.files import expanded, refuse_larger
from ampsim.recordings import circuits, virtual_amp
from ampsim.recordings.channels import alike
from ampsim.recordings.controls import Control, controls_of, named_values, refuse_nameless, setting_of, worded
from ampsim.recordings.pairs import APART, AudioPair, FileRecord
from ampsim.recordings.plan import Setting, planned
from ampsim.recordings.sheet import MOST, Row, Sheet, read_sheet, seconds
from ampsim.recordings.sources import DEFAULT_RATE, MADE_BYTES, Pair, Source, Stereo
from ampsim.signals.audio import AudioFile, Signal, clock, opened, read, sha256

SAME = 0.05  # ESR between two recordings of one setting: no hand sets a knob twice alike, and none misses it by more
FRAME_S = 0.05
THOROUGH = 3  # takes whose delay is measured behind a gain stage that is fitted to them, which takes seconds each
QUIET = 0.1  # of the frames, in which noise is looked for


@dataclass(frozen=True, kw_only=True)
class Knobs(Source):
    """One amp at several settings, one recording each, as a sheet names them; every take is split in itself.

    Args:
        path: the sheet, a CSV or YAML file: a row for each recording, with the files in the columns `input` and `target`
            (mono) or `path` (stereo), named relative to the sheet, and a column for each control. `start` and `stop`, in
            seconds or as 1:23.5, cut the recording out of a longer file.
        input: the direct signal of the rows that name none.
        controls: ranges of knobs and positions of switches, `{gain: [0, 10], bright: ["off", "on"]}`, where the sheet does
            not state them in the names of its columns.
        input_channel, target_channel: of stereo files.
    """

    files = ("path", "input")

    path: str
    input: str | None = None
    controls: Mapping[str, Any] | None = None
    input_channel: int = 0
    target_channel: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_nameless("data.controls", self.controls)

    @cached_property
    def sheet(self) -> Sheet:
        return read_sheet(expanded(self.path), self.controls or {})

    @property
    def known_controls(self) -> tuple[Control, ...]:
        return self.sheet.controls

    def load(self) -> list[AudioPair]:
        sheet = self.sheet
        pieces = [self.piece(row) for row in sheet.rows]
        refuse_overlapping(sheet, pieces)
        with_sizes(sheet, pieces)
        once: Callable[[Path], AudioFile] = cache(read)
        takes = [self.take(row, piece, once) for row, piece in zip(sheet.rows, pieces, strict=True)]
        takes = self.compared(takes)
        made = FileRecord(str(sheet.path.absolute()), 0.0, sha256(sheet.path))  # since it says what each file is
        first = takes[0]
        return timed([replace(first, files=(*first.files, made), notes=(*sheet.notes, *first.notes)), *takes[1:]])

    def piece(self, row: Row) -> "Piece":
        """The files of a row, and which part of them."""
        where = f"{self.path}, row {row.number}"
        start, stop = (seconds(self.sheet.path, row, name) for name in ("start", "stop"))
        if stop is not None and stop <= (start or 0):
            raise AmpsimError(f"{where}: it stops at {clock(stop)}, before it starts")
        folder = self.sheet.path.parent
        if "path" in row.cells:
            return Piece(where, None, folder / expanded(row.cells["path"]), start or 0.0, stop)
        if not (direct := row.cells.get("input", "")) and not self.input:
            raise AmpsimError(
                f"{where} names no direct signal: put it into the column `input`, or, to train, "
                "name that of all rows with data.input"
            )
        shared = expanded(direct) if direct else expanded(str(self.input))
        return Piece(where, folder / shared, folder / expanded(row.cells["target"]), start or 0.0, stop)

    def take(self, row: Row, piece: "Piece", once: Callable[[Path], AudioFile]) -> AudioPair:
        try:
            if piece.direct is None:
                channels = {"input_channel": self.input_channel, "target_channel": self.target_channel}
                whole = Stereo(path=str(piece.amp), **channels).take(once(piece.amp))  # type: ignore[arg-type]
            else:
                pair = Pair(input=str(piece.direct), target=str(piece.amp), checks=self.checks)
                whole = pair.take(once(piece.direct), once(piece.amp))
        except AmpsimError as error:
            raise AmpsimError(f"{piece.where}: {error}") from error
        first, last = (
            len(whole.input) if at is None else round(at * whole.sample_rate) for at in (piece.start_s, piece.stop_s)
        )
        if max(first + 1, last) > len(whole.input):
            raise AmpsimError(f"{piece.where}: {piece.amp} ends at {clock(whole.duration_s)}, before start or stop")
        name = row.cells.get("path") or row.cells["target"]
        name += f" {clock(piece.start_s)}" if row.cells.get("start") else ""
        cut = {"input": whole.input[first:last], "target": whole.target[first:last]}
        return replace(whole, name=name, setting=row.setting, **cut)  # type: ignore[arg-type]

    def compared(self, takes: list[AudioPair]) -> list[AudioPair]:
        """The takes, with a note on those of one setting.

        Raises:
            AmpsimError: two of one setting sound different, and the checks are strict.
        """
        notes: dict[int, str] = {}
        first: dict[Setting, int] = {}
        for other, take in enumerate(takes):
            if (one := first.setdefault(take.setting, other)) == other:
                continue
            rows = f"rows {self.sheet.rows[one].number} and {self.sheet.rows[other].number}"
            text = f"{self.path}: {rows} have one setting ({worded(self.known_controls, takes[one].setting)})"
            esr = difference(takes[one], takes[other])
            if esr is None:
                text += "; what each played differs, so that they cannot be compared"
            elif esr <= SAME:
                text += f" and sound the same (ESR between them {esr:.2g})"
            else:
                text += f" and sound different (ESR between them {esr:.2g}, without noise)"
                if self.checks == "strict":
                    raise AmpsimError(
                        f"{text}: one of them has a wrong value or file, or a control that moved has no column; correct it, "
                        "or take one out (data.checks=warn goes on with both)"
                    )
            notes[other] = text
        return [
            replace(take, notes=(*take.notes, notes[index])) if index in notes else take
            for index, take in enumerate(takes)
        ]


@dataclass(frozen=True)
class Piece:
    """What a row names: direct signal (None: in the other channel) and amp, and from when to when, in seconds."""

    where: str
    direct: Path | None
    amp: Path
    start_s: float
    stop_s: float | None


def refuse_overlapping(sheet: Sheet, pieces: Sequence[Piece]) -> None:
    """Refuse two rows that name the same sound: it was made at one setting."""
    by_file: dict[Path, list[int]] = {}
    for index, piece in enumerate(pieces):
        by_file.setdefault(piece.amp, []).append(index)
    for path, rows in by_file.items():
        in_order = sorted(rows, key=lambda index: pieces[index].start_s)
        for one, other in pairwise(in_order):
            stop_s = pieces[one].stop_s
            if stop_s is None or stop_s > pieces[other].start_s:
                numbers = sorted((sheet.rows[one].number, sheet.rows[other].number))
                raise AmpsimError(
                    f"{sheet.path}: rows {numbers[0]} and {numbers[1]} name the same part of {path}, which was made at one "
                    "setting: correct a name, or cut parts out with `start` and `stop`"
                )


def with_sizes(sheet: Sheet, pieces: Sequence[Piece]) -> None:
    """Refuse a sheet whose files are not there or take too much memory together, before any is read."""
    total, seen = 0, set()
    for piece in pieces:
        for path in filter(None, (piece.direct, piece.amp)):
            if path in seen:
                continue
            seen.add(path)
            try:
                with opened(path) as file:
                    total += 4 * file.frames * file.channels
            except AmpsimError as error:
                raise AmpsimError(f"{piece.where}: {error}") from error
    refuse_larger(f"{sheet.path} ({len(seen)} files)", total)


def difference(one: AudioPair, other: AudioPair) -> float | None:
    """ESR between the amp's signals of two takes at the best shift, without what noise there is in their rests; None where
    their direct signals differ."""
    size = min(len(one.input), len(other.input))
    if one.sample_rate != other.sample_rate or size <= 4 * APART or not alike(one.input[:size], other.input[:size]):
        return None
    reference = np.asarray(one.target[APART : size - APART], np.float64)
    # One after another, since each is a copy of minutes.
    shifted = (np.asarray(other.target[shift : size - 2 * APART + shift], np.float64) for shift in range(2 * APART + 1))
    rest = reference - max(shifted, key=lambda each: float(np.dot(reference, each)))
    frame = max(round(FRAME_S * one.sample_rate), 1)
    if len(rest) < frame or not np.any(reference) or not np.isfinite(rest).all():
        return None
    frames = len(rest) // frame
    level, left = (np.mean(np.square(x[: frames * frame].reshape(frames, frame)), axis=1) for x in (reference, rest))
    noise = float(np.mean(left[np.argsort(level)[: max(round(QUIET * frames), 1)]]))
    return max(float(np.mean(left)) - noise, 0.0) / float(np.mean(level))


def timed(takes: list[AudioPair]) -> list[AudioPair]:
    """The takes, of which some are timed thoroughly; see `estimate_delay`."""
    thorough = set(np.linspace(0, len(takes) - 1, THOROUGH).round().astype(int).tolist())
    return [replace(take, one_of_many=index not in thorough) for index, take in enumerate(takes)]


# ---------------------------------------------------------------------------------------------------- the embedded amp

CYCLE_S = sum(length_s for _, length_s in virtual_amp.CYCLE)
UNSEEN = 1_000_000  # what is played at unseen settings has seeds from here on
TURN = 0.5 * (5**0.5 - 1)  # the golden ratio: multiples of it are spread evenly


@dataclass(frozen=True, kw_only=True)
class VirtualKnobs(Source):
    """The embedded amp at several settings, for trials and studies in which the truth is known everywhere.

    Args:
        controls: which of the amp's controls are turned (gain, bass, middle, treble, master, presence from 0 to 10; bright
            off or on), and how far: `{gain: [1, 10], bright: ["off", "on"]}`. None: gain, treble and master.
        settings: of the controls, one recording each; None draws `count` of them as `plan.planned` does.
        plan_seed: of that draw.
        unseen: how many further settings, drawn at random, make the test split; 0 leaves it as `splits` says.
        fixed: values of the controls that are not turned; 5 and on by default.
        shared: every recording has the same playing; else each its own.
        duration_s: of each recording.
        sample_rate: in hertz.
        seed: of what is played, of the noise, and of the unseen settings.
        room_db, noise_db: as those of `virtual_amp.VirtualAmpSettings`.
    """

    controls: Mapping[str, Any] | None = None
    settings: Sequence[Mapping[str, Any]] | None = None
    count: int = 16
    plan_seed: int = 0
    unseen: int = 0
    fixed: Mapping[str, Any] | None = None
    shared: bool = False
    duration_s: float = 10.0
    sample_rate: int = DEFAULT_RATE
    seed: int = 0
    room_db: float = -18.0
    noise_db: float = -75.0

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_nameless("data.controls", self.controls)
        refuse_nameless("data.fixed", self.fixed)
        for name, most in (("seed", None), ("plan_seed", None), ("unseen", MOST)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0 or (most and value > most):
                raise ValueError(
                    f"data.{name} is a whole number from 0 {f'to {most:,}' if most else 'on'}, not {str(value)[:60]}"
                )
        if self.settings is not None:
            if not isinstance(self.settings, list | tuple) or not 0 < len(self.settings) <= MOST:
                raise ValueError(
                    f"data.settings is a list of 1 to {MOST:,} settings, [{{gain: 3}}, {{gain: 7}}], or null for `count` "
                    f"drawn ones, and not {str(self.settings)[:60]}"
                )
            for index, each in enumerate(self.settings):
                refuse_nameless(f"data.settings[{index}]", each)
        if self.unseen:
            object.__setattr__(self, "splits", {**self.splits, "test": self.names[-self.unseen :]})

    @cached_property
    def known_controls(self) -> tuple[Control, ...]:
        of_amp = {control.name: control for control in circuits.CONTROLS}
        if self.controls is None and self.settings:
            return tuple(of_amp[name] for name in self.settings[0] if name in of_amp)
        return controls_of(self.controls or {"gain": [1, 10], "treble": [0, 10], "master": [1, 10]})

    @cached_property
    def chosen(self) -> list[Setting]:
        """The settings, the unseen ones last."""
        controls = self.known_controls
        random = np.random.default_rng([self.seed, 2])
        unseen = [
            tuple(
                float(random.integers(len(each.positions)))
                if each.positions
                else round(random.uniform(each.low, each.high), 2)
                for each in controls
            )
            for _ in range(self.unseen)
        ]
        if self.settings is None:
            return [*planned(controls, self.count, seed=self.plan_seed), *unseen]
        return [*(setting_of(controls, each) for each in self.settings), *unseen]

    @cached_property
    def names(self) -> list[str]:
        """Of the takes: `gain=3 treble=7`, with a number where a setting comes again."""
        found: list[str] = []
        for values in self.chosen:
            said = " ".join(
                f"{each.name}={each.text(value)}" for each, value in zip(self.known_controls, values, strict=True)
            )
            number = 1 + sum(values == before for before in self.chosen[: len(found)])
            found.append((said or "virtual_amp") + (f" ({number})" if number > 1 else ""))
        return found

    def load(self) -> list[AudioPair]:
        try:
            text = f"data.duration_s={self.duration_s:g} at {self.sample_rate:,} Hz, {len(self.chosen)} times"
            refuse_larger(text, (MADE_BYTES + 8 * len(self.chosen)) * self.duration_s * self.sample_rate)
            return timed([self.take(index, setting) for index, setting in enumerate(self.chosen)])
        except (TypeError, ValueError) as error:
            raise AmpsimError(f"data=virtual_knobs: {error}") from error

    def take(self, index: int, setting: Setting) -> AudioPair:
        named = {**(self.fixed or {}), **named_values(self.known_controls, setting)}
        seen = len(self.chosen) - self.unseen
        noise_seed = self.seed + (index if index < seen else UNSEEN + index - seen)  # however many were seen
        seed = self.seed if self.shared else noise_seed
        # Each recording begins elsewhere in the guitar's cycle, so that the short splits of all hold every kind of playing.
        begins_s = 0.0 if self.shared else TURN * noise_seed % 1 * CYCLE_S

        def made() -> tuple[Signal, Signal]:
            first = round(begins_s * self.sample_rate)
            whole = virtual_amp.guitar(self.duration_s + begins_s, self.sample_rate, seed=seed)
            direct = whole[first : first + round(self.duration_s * self.sample_rate)]
            settings = {"seed": noise_seed, "room_db": self.room_db, "noise_db": self.noise_db}
            return direct, circuits.amplify(direct, self.sample_rate, named, **settings)

        values = dict(zip(circuits.USUAL, circuits.setting(named), strict=True))
        decide = {name: getattr(self, name) for name in ("duration_s", "sample_rate", "room_db", "noise_db")}
        key = {**values, **decide, "seed": seed, "noise_seed": noise_seed, "begins_s": begins_s}
        direct, amp = virtual_amp.cached(made, key, circuits.__file__)
        digest = hashlib.sha256(direct.tobytes() + amp.tobytes()).hexdigest()
        record = FileRecord("virtual_knobs (made, not recorded)", len(direct) / self.sample_rate, digest)
        told = f"the amp's signal at {worded(self.known_controls, setting)}" if setting else ""
        name = self.names[index]
        return AudioPair(direct, amp, self.sample_rate, name, (record,), target_name=told, setting=setting)
