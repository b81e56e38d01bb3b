"""What every export format says of itself, and how one is proven."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ampsim.models import AmpModel, recurrent
from ampsim.models.rendering import Renderer
from ampsim.recordings import virtual_amp
from ampsim.recordings.controls import middle_of
from ampsim.signals.audio import Signal, peak, refuse_unsound

LIMIT = 1e-5  # of full scale: float rounding stays below, any error in a layout is far above
PROOF_S = 5.0  # of guitar
LONGEST_STEM = 200  # bytes: file systems take 255 of a name, with its ending
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}

Play = Callable[[Signal], Signal]


@dataclass(frozen=True, kw_only=True)
class Details:
    """What a file tells about the model in it, where its format has a place for that."""

    name: str = "ampsim"
    modeled_by: str = ""
    gear_type: str = ""
    gear_make: str = ""
    gear_model: str = ""
    tone_type: str = ""
    input_level_dbu: float | str | None = None  # of full scale; see `ampsim.recordings.levels`
    output_level_dbu: float | str | None = None
    scores: dict[str, float] = field(default_factory=dict)
    date: datetime = field(default_factory=datetime.now)
    block_length: int = 256


@dataclass(frozen=True)
class Proof:
    """How far an exported file is from the model: the largest difference between two samples, full scale at 1."""

    difference: float
    settled_difference: float  # after half a second or the receptive field, whichever is longer
    peak: float

    @property
    def holds(self) -> bool:
        return bool(self.difference <= LIMIT * max(1.0, self.peak))


class Format:
    """One format. Each has a module of its own."""

    name: str
    ending: str
    folder = False  # whether it is a folder of several files
    # How its players start: "as after silence", or from zero states.
    start: str
    from_zero_states = False
    keeps_controls = False  # whether it holds an amp's controls; its `load` then takes a setting
    prover: str  # the implementation that reads it back

    def check(self, model: AmpModel) -> None:
        """Raises CannotHoldError for a model that the format cannot hold."""

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        raise NotImplementedError

    def load(self, path: Path) -> Play:
        """The file in an implementation that shares no code with `write`. Its output lags by the model's `lookahead`.

        A format that keeps controls takes a setting too, one value a control; without one the file itself says where they stand.
        """
        raise NotImplementedError

    def annotate(self, path: Path, facts: dict[str, Any]) -> bool:
        """Add facts to the file's metadata, under `ampsim`; False where the format has no place for them."""
        return False

    def players(self, model: AmpModel) -> str:
        """Which players read the file, as a sentence; nothing where all of the format's do."""
        return ""

    def speed(self, model: AmpModel) -> float | None:
        """How many times faster than real time a plugin plays it on one core, an estimate; None where there is none."""
        return None

    def advice(self, model: AmpModel) -> str:
        """What else is to be known by whoever plays the file, in sentences."""
        return ""

    def first_state(self, model: AmpModel) -> Any:
        """The model's state when a player of the format starts."""
        return model.zero_state() if self.from_zero_states else model.settled_state()

    def prove(self, model: AmpModel, path: Path) -> Proof:
        """Play five seconds of guitar through the file and through the model.

        Raises:
            AmpsimError: one of them plays NaN or infinity.
        """
        assert model.sample_rate
        guitar = virtual_amp.guitar(PROOF_S, model.sample_rate, seed=0)
        settled = max(round(recurrent.SETTLED_S * model.sample_rate), model.receptive_field)
        proofs = list[Proof]()
        for setting in settings_to_prove(model):
            model.turn(setting)
            expected = played(model, guitar, self.first_state(model))
            refuse_unsound("the model", expected, sample_rate=model.sample_rate)
            silence = np.zeros(model.lookahead, np.float32)
            play = self.load(path, *([setting] if self.keeps_controls else []))
            found = play(np.concatenate([guitar, silence]))[model.lookahead :]
            difference = np.abs(found.astype(np.float64) - expected)
            difference[~np.isfinite(difference)] = np.inf
            # A file starts as after silence at one setting; at any other it is settled first.
            whole = difference if not proofs else difference[settled:]
            proofs.append(Proof(peak(whole), peak(difference[settled:]), peak(expected)))
        return max(proofs, key=lambda each: each.difference / max(1.0, each.peak))


def settings_to_prove(model: AmpModel) -> list[list[float]]:
    """The middle of all controls, and both ends of all; no setting, once, where there are none."""
    ends = [
        [float(each.size - 1) if each.positions else each.high for each in model.controls],
        [0.0 if each.positions else each.low for each in model.controls],
    ]
    return [[*middle_of(model.controls)], *(ends if model.controls else [])]


def file_stem(name: str) -> str:
    """A name as that of a file on every system: of letters that all take, short enough, and no device of Windows."""
    plain = "".join(letter if letter.isalnum() or letter in "-_.=, " else "_" for letter in name)
    stem = plain.encode(errors="ignore")[:LONGEST_STEM].decode(errors="ignore").strip(". ") or "model"
    return f"_{stem}" if stem.partition(".")[0].rstrip().upper() in DEVICES else stem


def played(model: AmpModel, signal: Signal, state: Any = None) -> Signal:
    """What a model makes of a signal, in time with it; without a state to begin from as long after silence."""
    state = model.settled_state() if state is None else state
    return np.concatenate([*Renderer(model).blocks([signal], state=state)])
