"""The figures and the listening page of a run."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ampsim import AmpsimError
from ampsim.files import atomic, read_json, refuse_existing
from ampsim.metrics import esr_over_time, gain_curve
from ampsim.metrics.scores import SCORES, of_test
from ampsim.models import AmpModel
from ampsim.models.packing import playable
from ampsim.models.rendering import Renderer
from ampsim.models.saving import load
from ampsim.recordings.controls import middle_of
from ampsim.report import plots
from ampsim.report.page import listening_page
from ampsim.runs.artifacts import PROBES, listened
from ampsim.runs.evaluation import Evaluation, Probes
from ampsim.runs.tracking import NOTE, Store, TrackedRun
from ampsim.runs.view import description
from ampsim.signals.audio import Signal
from ampsim.training.state import State

LONGEST = 44  # letters of a name, so that a caption fits
RESPONSE_S = 5.0  # of the test split, that is played as a knob turns


def record_pictures(
    tracked: TrackedRun, folder: Path, state: State, evaluation: Evaluation, model: AmpModel, sample_rate: int
) -> None:
    """Draw the figures as PNG into `figures/`, and write `listen.html`."""
    about = caption(tracked.name, folder / "recording.json", evaluation.scores["esr"])
    drawn = figures(evaluation.signals, evaluation.probes, sample_rate, state.intervals, state.best_step)
    if model.controls:
        from ampsim.report import knobs

        names = [each.name for each in model.controls]
        drawn["settings"] = knobs.error_over_settings(evaluation.settings, names)
        excerpt = evaluation.signals["direct"][: round(RESPONSE_S * sample_rate)]
        drawn["knobs"] = knobs.responses(as_knobs_turn(model, excerpt), sample_rate)
    put({name: plots.named(figure, about) for name, figure in drawn.items()}, folder / "figures")
    config = folder / "config.yaml"  # where it is although the store may not answer
    record_listening_page(tracked, folder, evaluation.signals, evaluation.scores, model, sample_rate, config)


def caption(name: str, recording: Path, esr: float) -> str:
    """What all figures of a run say below their title: run, recording and score."""
    files = list[str]()
    with suppress(AmpsimError, TypeError, KeyError):  # of a store from elsewhere
        described: Any = read_json(recording, "artifact of a run")
        files = [Path(str(each["path"])).name for each in described["files"]]
    told = ", ".join(files[:2]) + (f" and {len(files) - 2} more" if len(files) > 2 else "")
    parts = (name, told, f"test ESR {SCORES['esr'].text(esr)}")
    return " · ".join(part if len(part) <= LONGEST else f"{part[: LONGEST - 1]}…" for part in parts if part)


def figures(
    signals: Mapping[str, Signal],
    probes: Probes | None,
    sample_rate: int,
    intervals: Sequence[Mapping[str, float]],
    best_step: int,
) -> dict[str, Any]:
    """All figures of a run by name; `intervals` are the rows of its training curves, if it has any."""
    found = {"training": plots.training_curves(intervals, best_step)} if intervals else {}
    found |= {
        "waveforms": plots.waveforms(signals, sample_rate, at_s=plots.busiest(signals["amp"], sample_rate)),
        "fft": plots.spectra(signals, sample_rate),
        "spectrograms": plots.spectrograms(signals, sample_rate),
        "error": plots.error_over_time(esr_over_time(signals["amp"], signals["prediction"], sample_rate)),
        "gain": plots.gain_curves(
            {name: gain_curve(signals["direct"], signals[name], sample_rate) for name in ("amp", "prediction")}
        ),
    }
    if probes:
        found |= {
            "harmonics": plots.harmonics({"prediction": probes.fingerprint}),
            "aliasing": plots.aliasing(probes.aliasing),
            "hiss": plots.hiss(probes.hiss),
        }
    return found


def drawn_again(store: Store, tracked: TrackedRun) -> dict[str, Any]:
    """A finished run's figures by name, from what it keeps: neither its recording nor its model is asked for. A run from
    before it kept its probes has none of these.

    Raises:
        AmpsimError: its sound is gone.
    """
    signals, sample_rate = listened(tracked)
    probes = None
    with suppress(AmpsimError, ValueError, TypeError, KeyError, AttributeError):
        probes = Probes.from_json(read_json(tracked.file(PROBES), "artifact of a run"))
    rows: dict[int, dict[str, float]] = {}
    for key in ("epoch", "loss", "validation_loss", "validation_esr"):
        for step, value in store.history(tracked.id, key):
            rows.setdefault(step, {"step": step})[key] = value
    intervals = [row for _, row in sorted(rows.items()) if {"epoch", "loss"} <= row.keys() or "validation_loss" in row]
    validated = [row for row in intervals if {"epoch", "validation_loss", "validation_esr"} <= row.keys()]
    best = min(validated, key=lambda row: row["validation_loss"])["step"] if validated else -1
    about = caption(tracked.name, tracked.file("recording.json"), of_test(tracked.metrics).get("esr", math.nan))
    drawn = figures(signals, probes, sample_rate, intervals if validated else [], int(best))
    return {name: plots.named(figure, about) for name, figure in drawn.items()}


def put(drawn: Mapping[str, Any], folder: Path, *, kind: str = "png", overwrite: bool = False) -> list[Path]:
    """Write figures into a folder, each by its name, as `png` or `svg`.

    Raises:
        AmpsimError: a file exists, or cannot be written.
    """
    paths = [folder / f"{name}.{kind}" for name in drawn]
    for path in paths:
        refuse_existing(path, overwrite=overwrite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, figure in zip(paths, drawn.values(), strict=True):
            with atomic(path, overwrite=True) as part:
                plots.save(figure, part)
    except OSError as error:
        raise AmpsimError(f"{folder} cannot be written to: {error.strerror}") from error
    return paths


def as_knobs_turn(model: AmpModel, direct: Signal) -> dict[str, dict[str, Signal]]:
    """What a model plays of an excerpt at five places of each of its controls, the others in the middle."""
    renderer, played = Renderer(model), dict[str, dict[str, Signal]]()
    middle = middle_of(model.controls)
    for number, control in enumerate(model.controls):
        places = range(len(control.positions)) if control.positions else np.linspace(control.low, control.high, 5)
        for place in places:
            model.turn([*middle[:number], float(place), *middle[number + 1 :]])
            played.setdefault(control.name, {})[control.text(float(place))] = renderer(direct)
    return played


def record_listening_page(
    tracked: TrackedRun,
    folder: Path,
    signals: Mapping[str, Signal],
    scores: Mapping[str, float],
    model: AmpModel,
    sample_rate: int,
    config: Path,
) -> None:
    name = tracked.name
    listening_page(
        folder / "listen.html",
        {"direct": signals["direct"], "amp": signals["amp"]},
        {name: signals["prediction"]},
        sample_rate,
        title=tracked.name,
        scores={name: scores},
        runs={name: tracked.id},
        configs={name: config.read_text(encoding="utf-8")},
        facts={"run": tracked.id, "sample rate": f"{sample_rate:,} Hz"},
        amps=playable({name: model}),
    )


def complete(store: Store, tracked: TrackedRun) -> None:
    """Give a finished run the figures and the page that its job left for later, as artifacts.

    Raises:
        AmpsimError: its sound or its model is gone.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        put(drawn_again(store, tracked), folder / "figures")
        signals, sample_rate = listened(tracked)
        scores, model = of_test(tracked.metrics), load(tracked.file("model.keras"))
        record_listening_page(tracked, folder, signals, scores, model, sample_rate, tracked.file("config.yaml"))
        tracked.log_folder(folder)
    tracked.log_tags({NOTE: description(tracked.id, tracked.experiment_id, tracked.name, scores)})
