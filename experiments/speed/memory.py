"""What a run holds in memory: over a recording of hours, and over hundreds of epochs.

    python experiments/speed/memory.py recording hours=2     # resident memory after each stage, and as training goes on
    python experiments/speed/memory.py epochs count=500      # a tiny net; does it grow with the epochs?

A recording is held as 32-bit floats: two hours of stereo at 48 kHz are 2.8 GB, and training keeps a copy of its split beside
it. Flat means here that nothing is added to that by time: not by steps, epochs, validations or checkpoints.
"""

import json
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from ampsim.losses import ESR, Sum
from ampsim.models import Dense
from ampsim.recordings import virtual_amp
from ampsim.recordings.preparing import prepare
from ampsim.recordings.sources import Stereo
from ampsim.recordings.splits import split
from ampsim.training.fit import levels
from ampsim.training.observer import Observer
from ampsim.training.schedules import Constant
from ampsim.training.segments import Segments
from ampsim.training.state import Progress
from ampsim.training.trainer import Trainer

RATE = 48_000
GB = 1e9


def resident() -> float:
    """GB of this process now, on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / GB


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GB


def tell(stage: str, **more: float) -> None:
    print(
        json.dumps({"stage": stage, "resident_gb": round(resident(), 3), "peak_gb": round(peak(), 3), **more}),
        flush=True,
    )


def recorded(path: Path, hours: float) -> Path:
    """A stereo file that repeats a minute of plucked strings through a tanh, each time a little softer or louder."""
    direct = virtual_amp.guitar(60.0, RATE, seed=0)
    amp = 0.7 * np.tanh(3 * direct)
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        for minute in range(round(60 * hours)):
            file.write(np.stack([direct, amp], axis=1) * (0.8 + 0.1 * np.sin(minute)))
    return path


def trainer(takes: list, folder: Path, *, epochs: float, splits: dict | None = None) -> Trainer:
    import keras

    model = Dense(window=64, future=9, layers=1, units=8)
    model.build()
    spans = split(takes, splits or {"train": 0.8, "validation": "20 s", "test": "20 s"}, gap=model.receptive_field)
    model.fit_levels(*levels(spans["train"]))
    segments = Segments(spans["train"], history=model.history, lookahead=model.lookahead, segment_length=2048)
    tell("segments")
    return Trainer(
        model,
        Sum(terms={"esr": ESR()}),
        keras.optimizers.Adam(1e-3),
        Constant(),
        segments,
        spans["validation"],
        epochs=epochs,
        checkpoint=folder / "checkpoint.npz",
        checkpoint_every_s=1.0,
    )


class Calls(Observer):
    """Tells the memory after 10, 100 and 1000 calls."""

    count = 0

    def progress(self, progress: Progress) -> None:
        self.count += 1
        if self.count in (10, 100, 1000):
            tell(f"{self.count} calls")


class Epochs(Observer):
    """Tells the memory after 1, 10 and every 100 epochs."""

    def interval(self, row: dict[str, float]) -> None:
        if row["epoch"] in (1, 10) or row["epoch"] % 100 == 0:
            tell(f"epoch {row['epoch']:g}")


def recording(hours: float, folder: Path) -> None:
    path = recorded(folder / "long.wav", hours)
    tell("made", float32_gb=round(hours * 3600 * RATE * 2 * 4 / GB, 3))
    prepared = prepare(Stereo(path=str(path)))
    tell("loaded, checked and aligned")
    fit = trainer(list(prepared.takes), folder, epochs=1)
    tell("trainer")
    fit.fit(Calls())
    tell("an epoch and its validation")


def epochs(count: float, folder: Path) -> None:
    path = recorded(folder / "short.wav", 2 / 60)
    takes = Stereo(path=str(path)).load()
    fit = trainer(takes, folder, epochs=count, splits={"train": "8 s", "validation": "2 s", "test": "2 s"})
    fit.fit(Epochs())


if __name__ == "__main__":
    what, words = sys.argv[1], dict(word.split("=") for word in sys.argv[2:])
    with tempfile.TemporaryDirectory() as place:
        if what == "recording":
            recording(float(words.get("hours", 2)), Path(place))
        else:
            epochs(float(words.get("count", 500)), Path(place))
