"""A recording as a notebook shows it: what it is, what the checks say, its sound and its spectrograms."""

import html
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ampsim import counted
from ampsim.recordings.preparing import Recording
from ampsim.report import notebook
from ampsim.signals import audio

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_S = 20.0  # of each channel goes into a notebook


@dataclass(frozen=True)
class ShownRecording(Recording):
    """A recording that draws and plays itself."""

    def plot(self) -> "Figure":
        """Spectrograms of direct and amp, over all takes."""
        from ampsim.report import plots

        signals = {
            "direct": np.concatenate([take.input for take in self.takes]),
            "amp": np.concatenate([take.target for take in self.takes]),
        }
        return plots.spectrograms(signals, self.sample_rate)

    def _repr_html_(self) -> str:
        lead = "leads" if self.delay.samples < 0 else "lags"
        facts = [
            (
                "takes",
                ", ".join(take.name for take in self.takes),
                f"{self.duration_s:.1f} s at {self.sample_rate:,} Hz",
            ),
            ("delay", counted(abs(self.delay.samples), "sample"), f"by which the amp {lead}; taken out"),
        ]
        sentences = "".join(
            f"<li>{html.escape(each.sentence)}</li>" for each in self.findings if each.severity in ("error", "warning")
        )
        take, length = self.takes[0], int(SHOWN_S * self.sample_rate)
        sounds = {
            name: audio.flac(audio.to_pcm(samples[:length]), self.sample_rate)
            for name, samples in (("direct", take.input), ("amp", take.target))
        }
        file = io.BytesIO()
        self.plot().savefig(file, format="png", dpi=90)
        return "\n".join(
            [
                notebook.table(facts),
                f"<ul>{sentences}</ul>" if sentences else "",
                notebook.sounds(sounds),
                notebook.image(file.getvalue(), "spectrograms"),
            ]
        )
