"""A recording that is made: the embedded guitar through a clipper."""

import hashlib
from dataclasses import dataclass

import numpy as np

from ampsim.recordings import AudioPair, FileRecord, Source, virtual_amp


@dataclass(frozen=True, kw_only=True)
class Clipper(Source):
    """The embedded guitar, and what a tanh makes of it.

    Args:
        duration_s: of the recording, in seconds.
        sample_rate: in hertz.
        drive: gain before the tanh.
    """

    duration_s: float = 10.0
    sample_rate: int = 44100
    drive: float = 5.0

    def load(self) -> list[AudioPair]:
        direct = virtual_amp.guitar(self.duration_s, self.sample_rate, seed=0)
        amp = (0.5 * np.tanh(self.drive * direct)).astype(np.float32)
        digest = hashlib.sha256(direct.tobytes() + amp.tobytes()).hexdigest()
        made = FileRecord("clipper (made, not recorded)", self.duration_s, digest)
        return [AudioPair(direct, amp, self.sample_rate, "clipper", (made,))]
