"""A capture as the amp of a recording: direct signals in, what it makes of them as targets."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ampsim import AmpsimError, audio, virtual_amp
from ampsim.audio import Signal
from ampsim.captures.loudness import loudness_db
from ampsim.captures.nam import Capture, read
from ampsim.pairs import DEFAULT_RATE, AudioPair, FileRecord, Source, listed, record

GUITAR_S = 60.0  # of the embedded guitar, where no direct recording is named
TOLERANCE_DB = (
    1.5  # between stated and measured loudness; a level compensated afterwards, or a wrong reading, is far off
)


@dataclass(frozen=True, kw_only=True)
class NamCapture(Source):
    """A `.nam` file that plays direct recordings; learning then can be studied on any public capture.

    Args:
        path: the capture.
        input: one direct recording or several (mono, one take each), brought to the capture's sample rate; None takes a
            minute of the embedded guitar.
    """

    path: str
    input: str | list[str] | None = None

    def load(self) -> list[AudioPair]:
        capture = read(self.path)
        fault = level_fault(capture)
        if fault and self.checks == "strict":
            raise AmpsimError(f"{fault} (data.checks=warn goes on with it)")
        takes = [played(capture, *direct) for direct in self.directs(capture)]
        made = FileRecord(str(capture.path.absolute()), 0.0, audio.sha256(capture.path))
        return [replace(take, files=(*take.files, made)) for take in takes]

    def directs(self, capture: Capture) -> list[tuple[Signal, int, str, tuple[FileRecord, ...]]]:
        """Samples, rate, name and origin of each take."""
        if self.input is None:
            rate = capture.sample_rate or DEFAULT_RATE
            return [(virtual_amp.guitar(GUITAR_S, rate, seed=0), rate, "guitar", ())]
        files = [audio.read(path) for path in listed("data.input", self.input)]
        for file in files:
            if file.samples.shape[1] != 1:
                raise AmpsimError(
                    f"{file.path} has {file.samples.shape[1]} channels; a capture is played by mono files"
                )
        return [(file.channel(0), file.sample_rate, file.path.name, (record(file),)) for file in files]


def played(capture: Capture, direct: Signal, rate: int, name: str, files: tuple[FileRecord, ...]) -> AudioPair:
    """One take, at the capture's rate."""
    if not np.isfinite(direct).all():
        raise AmpsimError(f"{name} holds NaN or infinity: export it again")
    if capture.sample_rate and capture.sample_rate != rate:
        import soxr  # here, so that a typo is answered without it

        direct, rate = soxr.resample(direct, rate, capture.sample_rate), capture.sample_rate
    return AudioPair(direct, capture.player(direct), rate, name, files, name, f"{capture.path} (capture)")


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
