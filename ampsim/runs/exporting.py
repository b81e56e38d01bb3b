"""A run's model in the formats of players, and in MLflow's registry."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from ampsim.config import plugins
from ampsim.export import Details, Export, export, formats_named
from ampsim.export import keras as served
from ampsim.metrics.scores import renamed
from ampsim.recordings import virtual_amp
from ampsim.recordings.sources import DEFAULT_RATE
from ampsim.runs.finished import load_model
from ampsim.runs.provenance import installed
from ampsim.runs.tracking import TrackedRun


def take_out(
    tracked: TrackedRun, formats: str, output: Path, *, overwrite: bool = False, **details: Any
) -> list[Export]:
    """A run's model in the formats of players and runtimes, proven, and kept with the run; `details` are of `Details`.

    Raises:
        AmpsimError: see `ampsim.export.export`.
    """
    plugins.load()  # which may bring formats
    chosen = formats_named(formats)
    metrics = renamed(tracked.metrics)
    scores = {name: value for name, value in metrics.items() if name.startswith("test_")}
    # Of the weights that were kept, and not of the last epoch.
    scores |= {key.removeprefix("best_"): value for key, value in metrics.items() if key.startswith("best_validation_")}
    exports = export(
        load_model(tracked),
        chosen,
        output,
        Details(**{"name": tracked.name, "scores": scores, **details}),
        overwrite=overwrite,
        inputs=[tracked.file("model.keras"), *recorded(tracked)],
    )
    with tempfile.TemporaryDirectory() as folder:
        for made in exports:
            kept = Path(folder) / "exports" / made.format.name  # two formats may give their files the same name
            kept.mkdir(parents=True)
            if made.format.folder:
                shutil.copytree(made.path, kept / made.path.name)
            else:
                shutil.copy(made.path, kept)
        tracked.log_folder(Path(folder))
    tracked.log_metrics({f"export_{made.format.name}_difference": made.proof.difference for made in exports})
    tracked.log_metrics({f"export_{made.format.name}_settled": made.proof.settled_difference for made in exports})
    tracked.log_tags({f"export.{made.format.name}": made.told() for made in exports})
    return exports


def recorded(tracked: TrackedRun) -> list[str]:
    """The files of the recording that a run learnt from, a capture among them."""
    return [value for key, value in tracked.params.items() if key.startswith("recording.") and key.endswith(".path")]


def register(tracked: TrackedRun, name: str) -> str:
    """Put a run's model into MLflow's registry, where `mlflow.pyfunc` loads it; returns its version there."""
    model = load_model(tracked)
    example = virtual_amp.guitar(0.1, model.sample_rate or DEFAULT_RATE, seed=0)[None]
    return tracked.register(
        name,
        tracked.file("model.keras"),
        loader=served.__name__,
        example=example,
        requirements=[f"{package}=={installed(package)}" for package in ("ampsim", "tensorflow", "keras", "numpy")],
    )
