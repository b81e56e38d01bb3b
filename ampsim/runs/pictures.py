"""The figures and the listening page of a run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ampsim.metrics import esr_over_time, gain_curve
from ampsim.metrics.scores import SCORES
from ampsim.models import AmpModel
from ampsim.models.packing import playable
from ampsim.models.rendering import Renderer
from ampsim.report import plots
from ampsim.report.page import listening_page
from ampsim.runs.evaluation import Evaluation
from ampsim.runs.tracking import TrackedRun
from ampsim.signals.audio import Signal
from ampsim.training.state import State

LONGEST = 44  # letters of a name, so that a caption fits
RESPONSE_S = 5.0  # of the test split, that is played as a knob turns


def record_pictures(
    tracked: TrackedRun, folder: Path, state: State, evaluation: Evaluation, model: AmpModel, sample_rate: int
) -> None:
    """Draw the figures as PNG into `figures/`, and write `listen.html`."""
    about = caption(tracked.name, folder / "recording.json", evaluation.scores["esr"])
    drawn = figures(evaluation, sample_rate, state.intervals, state.best_step)
    if model.controls:
        from ampsim.report import knobs

        names = [each.name for each in model.controls]
        drawn["settings"] = knobs.error_over_settings(tracked.name, evaluation.settings, names)
        excerpt = evaluation.signals["direct"][: round(RESPONSE_S * sample_rate)]
        drawn["knobs"] = knobs.responses(tracked.name, as_knobs_turn(model, excerpt), sample_rate)
    (folder / "figures").mkdir()
    for name, figure in drawn.items():
        plots.save(plots.named(figure, about), folder / "figures" / f"{name}.png")
    record_listening_page(tracked, folder, evaluation, model, sample_rate)


def caption(name: str, recording: Path, esr: float) -> str:
    """What all figures of a run say below their title: run, recording and score."""
    files = [Path(each["path"]).name for each in json.loads(recording.read_text(encoding="utf-8"))["files"]]
    told = ", ".join(files[:2]) + (f" and {len(files) - 2} more" if len(files) > 2 else "")
    parts = (name, told, f"test ESR {SCORES['esr'].text(esr)}")
    return " · ".join(part if len(part) <= LONGEST else f"{part[: LONGEST - 1]}…" for part in parts if part)


def figures(
    evaluation: Evaluation, sample_rate: int, intervals: Sequence[Mapping[str, float]], best_step: int
) -> dict[str, Any]:
    """All figures of a run by name; `intervals` are the rows of its training curves."""
    signals = evaluation.signals
    return {
        "training": plots.training_curves(intervals, best_step),
        "waveforms": plots.waveforms(signals, sample_rate, at_s=plots.busiest(signals["amp"], sample_rate)),
        "fft": plots.spectra(signals, sample_rate),
        "spectrograms": plots.spectrograms(signals, sample_rate),
        "error": plots.error_over_time(esr_over_time(signals["amp"], signals["prediction"], sample_rate)),
        "gain": plots.gain_curves(
            {name: gain_curve(signals["direct"], signals[name], sample_rate) for name in ("amp", "prediction")}
        ),
        "harmonics": plots.harmonics({"prediction": evaluation.fingerprint}),
        "aliasing": plots.aliasing(evaluation.aliasing),
        "hiss": plots.hiss(evaluation.hiss),
    }


def as_knobs_turn(model: AmpModel, direct: Signal) -> dict[str, dict[str, Signal]]:
    """What a model plays of an excerpt at five places of each of its controls, the others in the middle."""
    renderer, played = Renderer(model), dict[str, dict[str, Signal]]()
    middle = [each.middle for each in model.controls]
    for number, control in enumerate(model.controls):
        places = range(len(control.positions)) if control.positions else np.linspace(control.low, control.high, 5)
        for place in places:
            model.turn([*middle[:number], float(place), *middle[number + 1 :]])
            played.setdefault(control.name, {})[control.text(float(place))] = renderer(direct)
    return played


def record_listening_page(
    tracked: TrackedRun, folder: Path, evaluation: Evaluation, model: AmpModel, sample_rate: int
) -> None:
    signals, name = evaluation.signals, tracked.name
    listening_page(
        folder / "listen.html",
        {"direct": signals["direct"], "amp": signals["amp"]},
        {name: signals["prediction"]},
        sample_rate,
        title=tracked.name,
        scores={name: evaluation.scores},
        runs={name: tracked.id},
        configs={name: (folder / "config.yaml").read_text(encoding="utf-8")},
        facts={"run": tracked.id, "sample rate": f"{sample_rate:,} Hz"},
        amps=playable({name: model}),
    )
