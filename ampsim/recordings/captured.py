"""A capture as the amp of a recording: direct signals in, what it makes of them as targets."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ampsim import AmpsimError
from ampsim.players.loudness import loudness_db
from ampsim.players.nam import Capture, read
from ampsim.recordings import channels, virtual_amp
from ampsim.recordings.pairs import AudioPair, FileRecord, aligned, estimate_delay
from ampsim.recordings.sources import Source, listed, mono, record
from ampsim.signals import audio
from ampsim.signals.audio import Signal

GUITAR_S = 60.0  # of the embedded guitar, where no direct recording is named
# Between stated and measured loudness: a wrong reading, or a level changed afterwards, is further off.
TOLERANCE_DB = 1.5


@dataclass(frozen=True, kw_only=True)
class NamCapture(Source):
    """A capture that plays direct recordings; learning then can be studied on any public one.

    Args:
        path: the capture, a `.nam` file or RTNeural's JSON as AIDA-X plays it.
        input: one direct recording or several (mono, one take each), brought to the capture's sample rate; None takes a
            minute of the embedded guitar.
        slim: which net of a container plays, as a player's knob chooses, from 0 (the smallest) to 1; None is the largest.
    """

    files = ("path", "input")

    path: str
    input: str | list[str] | None = None
    slim: float | None = None

    def load(self) -> list[AudioPair]:
        capture = read(self.path, slim=self.slim)
        fault = level_fault(capture)
        if fault and self.checks == "strict":
            raise AmpsimError(f"{fault} (data.checks=warn goes on with it)")
        takes = [played(capture, *direct) for direct in self.directs(capture)]
        made = FileRecord(str(capture.path.absolute()), 0.0, audio.sha256(capture.path))
        return [replace(take, files=(*take.files, made)) for take in takes]

    def directs(self, capture: Capture) -> list[tuple[Signal, tuple[str, ...], int, str, tuple[FileRecord, ...]]]:
        """Samples, notes on them, rate, name and origin of each take."""
        if self.input is None:
            rate = capture.sample_rate
            return [(virtual_amp.guitar(GUITAR_S, rate, seed=0), (), rate, "guitar", ())]
        files = [audio.read(path) for path in listed("data.input", self.input)]
        return [(*mono(file), file.sample_rate, file.path.name, (record(file),)) for file in files]


@dataclass(frozen=True, kw_only=True)
class Distilled(Source):
    """A recording, and what a capture of a large model that learnt it makes of further direct signals.

    What the teacher played comes first, so that validation and test, which are laid from the end, are of the recording.

    Args:
        recording: the source of the recording, whose `delay` counts.
        teacher: the large model as a `.nam` file, at the recording's rate and without latency (`model.future=1`); None
            is the recording alone.
        input: direct recordings for the teacher to play (mono); None takes a minute of the embedded guitar.
        slim: which net of a container teaches; see `NamCapture`.
    """

    files = ("teacher", "input")

    recording: Source
    teacher: str | None
    input: str | list[str] | None = None
    slim: float | None = None
    delay: int | Literal["auto"] = 0  # of what `load` returns, which is aligned

    def load(self) -> list[AudioPair]:
        if self.recording.known_controls:
            raise AmpsimError(
                "data.recording has several settings of an amp, and a teacher plays one: name a recording of one"
            )
        recorded = self.recording.load()
        delay = self.recording.delay
        if any(fault for take in recorded for fault in channels.broken(take)):
            return recorded  # and let the checks say so
        samples = estimate_delay(recorded).samples if delay == "auto" else int(delay)
        recorded = [aligned(take, samples) for take in recorded]
        if self.teacher is None:
            return recorded
        taught = NamCapture(path=self.teacher, input=self.input, slim=self.slim, checks=self.checks).load()
        rates = {take.sample_rate for take in (*taught, *recorded)}
        if len(rates) > 1:
            raise AmpsimError(
                f"{self.teacher} plays at {taught[0].sample_rate} Hz and the recording has {recorded[0].sample_rate} Hz: "
                "the teacher has to be a model of this recording"
            )
        taken = {take.name for take in recorded}
        renamed = [replace(take, name=f"taught {take.name}" if take.name in taken else take.name) for take in taught]
        return [*renamed, *recorded]


def played(
    capture: Capture, direct: Signal, notes: tuple[str, ...], rate: int, name: str, files: tuple[FileRecord, ...]
) -> AudioPair:
    """One take, at the capture's rate."""
    if not np.isfinite(direct).all():
        raise AmpsimError(f"{name} holds NaN or infinity: export it again")
    direct, rate = np.asarray(audio.at_rate(direct, rate, capture.sample_rate), np.float32), capture.sample_rate
    target, notes = capture.player(direct), (*notes, *capture.notes)
    return AudioPair(direct, target, rate, name, files, name, f"{capture.path} (capture)", notes)


def level_fault(capture: Capture) -> str:
    """A sentence where a capture does not play as loud as its own metadata states, else nothing."""
    if capture.loudness_db is None:
        return ""
    measured = loudness_db(capture.player)
    if abs(measured - capture.loudness_db) <= TOLERANCE_DB:
        return ""
    return (
        f"{Path(capture.path)} states a loudness of {capture.loudness_db:.1f} dB and plays at {measured:.1f} dB: it was "
        "changed after it was measured, or is not read as it was meant"
    )
