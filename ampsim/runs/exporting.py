"""A run's model in the formats of players, and in MLflow's registry."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ampsim import AmpsimError
from ampsim.config import plugins
from ampsim.config.run_config import RunConfig
from ampsim.export import Details, Export, export, for_plugins, formats_named
from ampsim.export import keras as served
from ampsim.export.formats import file_stem
from ampsim.metrics.scores import renamed
from ampsim.recordings import virtual_amp
from ampsim.recordings.probe import Excerpt
from ampsim.recordings.sources import DEFAULT_RATE
from ampsim.runs.finished import load_model, refuse_unset
from ampsim.runs.provenance import installed
from ampsim.runs.tracking import NOTE, TrackedRun, recorded
from ampsim.signals import audio

Setting = Mapping[str, str | float]


def take_out(
    tracked: TrackedRun,
    formats: str,
    output: Path,
    *,
    setting: Setting | None = None,
    overwrite: bool = False,
    late: bool = False,
    **details: Any,
) -> list[Export]:
    """A run's model in the formats of players and runtimes, proven, probed and kept with the run; `details` are of `Details`.

    Args:
        setting: of the controls of an amp that the run has learnt; the export is then a plain model.
        late: keep files that answer later than the amp, or inverted.

    Raises:
        AmpsimError: see `ampsim.export.export`.
    """
    plugins.load()  # which may bring formats
    chosen = formats_named(formats)
    model = load_model(tracked, setting)
    if not all(format.keeps_controls for format in chosen):
        refuse_unset(model)
    name = f"{tracked.name} ({named_setting(setting)})" if setting else tracked.name
    exports = export(
        model,
        chosen,
        output,
        Details(**{"name": name, "scores": kept_scores(tracked), **stated_levels(tracked), **details}),
        overwrite=overwrite,
        inputs=[tracked.file("model.keras"), *(path for path, _ in recorded(tracked.params))],
        excerpt=None if setting or model.controls else excerpt(tracked),  # which is of many settings
        late=late,
    )
    keep_with(tracked, exports)
    return exports


def kept_scores(tracked: TrackedRun) -> dict[str, float]:
    """On the test and the validation split, of the weights that were kept and not of the last epoch."""
    metrics = renamed(tracked.metrics)
    tested = {name: value for name, value in metrics.items() if name.startswith("test_")}
    return tested | {
        name.removeprefix("best_"): value for name, value in metrics.items() if name.startswith("best_validation_")
    }


def keep_with(tracked: TrackedRun, exports: list[Export]) -> None:
    """Log what was exported with its run: the files, how they were proven, and when they answer."""
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
    tracked.log_tags({f"alignment.{made.format.name}": made.probe.told() for made in exports if made.probe})


def places(output: Path, formats: str, settings: Sequence[Setting | None]) -> list[tuple[Setting | None, Path]]:
    """Where the exports at several settings go: each into a file or folder of its own in `output`, named after it."""
    if len(settings) == 1:
        return [(settings[0], output)]
    chosen = formats_named(formats)
    ending = "" if len(chosen) > 1 or chosen[0].folder else chosen[0].ending
    return [(each, output / f"{file_stem(named_setting(each or {}))}{ending}") for each in settings]


def named_setting(setting: Setting) -> str:
    return ", ".join(f"{name} {value}" for name, value in setting.items())


def keep(tracked: TrackedRun, formats: str) -> None:
    """Keep a run's model with it in these formats, "auto" for what plugins play; why one cannot be had stands in the run's
    description."""
    try:
        if formats == "auto":
            model = load_model(tracked)
            refuse_unset(model)
            best = for_plugins(model)
            if not best:
                raise AmpsimError("no plugin plays this model from a file")
            formats = best.name
        with tempfile.TemporaryDirectory() as folder:
            take_out(tracked, formats, Path(folder) / ("all" if "," in formats else file_stem(tracked.name)))
    except AmpsimError as error:
        tracked.log_tags({NOTE: f"{tracked.tags.get(NOTE, '')}\n\nnot exported: {error}".lstrip()})


def stated_levels(tracked: TrackedRun) -> dict[str, Any]:
    """What the run's config says of full scale."""
    data = RunConfig.read(tracked.file("config.yaml"))[0]["data"]
    return {name: data[name] for name in ("input_level_dbu", "output_level_dbu") if data.get(name) is not None}


def excerpt(tracked: TrackedRun) -> Excerpt | None:
    """Direct signal and amp of the test split, as loud as they were recorded; None where the run does not hold them."""
    gain_db = tracked.tags.get("listening_gain_db", "")
    try:
        gain = 10 ** (float(gain_db) / 20)
        direct, amp = (audio.read(tracked.file("audio") / f"{name}.wav") for name in ("direct", "amp"))
    except (AmpsimError, ValueError, OSError, OverflowError):  # of a run that was cut off, or lost a file
        return None
    if direct.sample_rate != amp.sample_rate or len(direct.samples) != len(amp.samples) or not gain > 0:
        return None
    return Excerpt(direct.channel(0) / gain, amp.channel(0) / gain, direct.sample_rate, tracked.delay)


def register(tracked: TrackedRun, name: str, *, setting: Setting | None = None) -> str:
    """Put a run's model, at a setting where it has controls, into MLflow's registry, where `mlflow.pyfunc` loads it; returns
    its version there."""
    model = load_model(tracked, setting)
    refuse_unset(model)
    example = virtual_amp.guitar(0.1, model.sample_rate or DEFAULT_RATE, seed=0)[None]
    requirements = [f"{package}=={installed(package)}" for package in ("ampsim", "tensorflow", "keras", "numpy")]
    with tempfile.TemporaryDirectory() as folder:
        path = tracked.file("model.keras")
        if setting:
            model.save(path := Path(folder) / "model.keras")
        return tracked.register(name, path, loader=served.__name__, example=example, requirements=requirements)
