"""The figures and the listening page of a run."""

from pathlib import Path

from ampsim.metrics import esr_over_time, gain_curve
from ampsim.models import AmpModel
from ampsim.models.packing import playable
from ampsim.report import plots
from ampsim.report.page import listening_page
from ampsim.runs.evaluation import Evaluation
from ampsim.runs.tracking import TrackedRun
from ampsim.training.state import State


def record_pictures(
    tracked: TrackedRun, folder: Path, state: State, evaluation: Evaluation, model: AmpModel, sample_rate: int
) -> None:
    """Draw the figures as PNG into `figures/`, and write `listen.html`."""
    signals = evaluation.signals
    figures = {
        "training": plots.training_curves(state.intervals, state.best_step),
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
    (folder / "figures").mkdir()
    for name, figure in figures.items():
        plots.save(figure, folder / "figures" / f"{name}.png")
    record_listening_page(tracked, folder, evaluation, model, sample_rate)


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
