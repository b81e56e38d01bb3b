"""One run, from a recording to scores, pictures, sound and a saved model in MLflow."""

import hashlib
import json
import math
import os
import platform
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import yaml

import ampsim
from ampsim import AmpsimError, DivergedError, PrunedError
from ampsim.config import plugins
from ampsim.config.targets import NOT_OF_THE_RUN, build, without
from ampsim.export import Details, Export, export, formats_named
from ampsim.export import keras as keras_files
from ampsim.metrics import a_weighted_esr, esr_over_time, gain_curve
from ampsim.models import AmpModel
from ampsim.models.rendering import Renderer
from ampsim.recordings import virtual_amp
from ampsim.recordings.pairs import AudioPair, Delay, Span
from ampsim.recordings.preparing import align, checked
from ampsim.recordings.sources import DEFAULT_RATE, Source
from ampsim.recordings.splits import split
from ampsim.report import plots
from ampsim.report.page import listening_page
from ampsim.runs.evaluation import Evaluation, evaluate, limits
from ampsim.runs.tracking import Store, TrackedRun, alone, busy
from ampsim.signals import audio
from ampsim.training.segments import Segments
from ampsim.training.trainer import Progress, State, Trainer, distribution, ignore

Notice = Callable[[str], None]
Config = dict[str, Any]

PACKAGES = (
    "ampsim",
    "tensorflow",
    "keras",
    "numpy",
    "scipy",
    "soundfile",
    "pyloudnorm",
    "mlflow",
    "hydra-core",
    "omegaconf",
)


@dataclass(frozen=True)
class Result:
    """What a run came to: its scores on the test split, what it may be chosen by, and where its things are."""

    name: str
    run_id: str
    scores: dict[str, float]
    validated: dict[str, float]
    state: State
    audio: Path
    page: Path
    stopped: bool = False  # by Ctrl-C, before its budget was spent


def run(
    config: Config,
    *,
    name: str,
    overrides: list[str],
    notice: Notice,
    report: Callable[[Progress], None],
    pace: list[float] | None = None,
    tags: Mapping[str, str] | None = None,
    judge: Callable[[dict[str, float]], None] = ignore,
    interruptible: bool = False,
) -> Result:
    """Train, evaluate and track the run that a resolved config describes.

    Args:
        pace: of an earlier run with a budget in seconds, to be replayed instead of the clock; see `Trainer`.
        tags: what else to tag the run with; a sweep names itself so.
        judge: given each point of the training curves; it raises PrunedError to end a run that is not worth its time.
        interruptible: the first Ctrl-C while it trains ends the epoch; the best weights so far are scored and kept.

    Raises:
        AmpsimError: the recording, the config or the store is at fault. A run that had begun is marked as failed.
        DivergedError: the loss became NaN or infinite. The run is tagged `diverged`.
        PrunedError: as `judge` raised it. The run is tagged `pruned`.
    """
    training = dict(config["training"])
    resume, segment_length = training.pop("resume"), training.pop("segment_length")
    strategy = distribution(training.pop("devices"))

    for fault in plugins.load():
        notice(fault)

    # From the recording to aligned, split takes.
    source: Source = build(config["data"], "data")
    takes = checked(source, notice=notice)
    takes, delay = align(takes, source.delay, notice)
    sample_rate = takes[0].sample_rate

    # The model states its memory; the splits keep that much apart.
    make_deterministic(config["seed"])
    with strategy.scope():
        model: AmpModel = build(config["model"], "model", sample_rate=sample_rate)
        model.build()
        optimizer = build(config["optimizer"], "optimizer")
    splits = split(takes, source.splits, gap=model.receptive_field)
    model.fit_levels(*levels(splits["train"]))
    segments = Segments(
        splits["train"], history=model.history, lookahead=model.lookahead, segment_length=segment_length
    )
    loss = build(config["loss"], "loss").prepare(
        sample_rate=sample_rate, segment_length=segment_length, target=segments.targets()
    )
    notice(summary(model, splits, segments))

    store = Store(**config["tracking"])
    tracked, checkpoint = begin(
        store, config, takes, name=name, overrides=overrides, tags=tags, resume=resume, notice=notice
    )
    refusal = f"another process has just gone on with {tracked.name}"
    with alone(checkpoint.parent, refusal=refusal), closing(tracked), tempfile.TemporaryDirectory() as folder:
        record_setting(tracked, Path(folder), config, takes, delay, splits)
        with strategy.scope():
            trainer = Trainer(
                model,
                loss,
                optimizer,
                build(config["schedule"], "schedule"),
                segments,
                splits["validation"],
                seed=config["seed"],
                checkpoint=checkpoint,
                resume=resume,
                pace=pace,
                **training,
            )

        def on_round(row: dict[str, float]) -> None:
            tracked.log_round(row)
            if "loss" in row:  # what is solved for after the training can save nothing by being given up
                judge(row)

        with first_interrupt(notice) if interruptible else nullcontext(lambda: False) as stop:
            state = trainer.fit(report=report, on_round=on_round, stop=stop)
        model.save(Path(folder) / "model.keras")
        evaluation = evaluate(model, splits["test"])
        evaluation.scores.update(limits(splits["train"], splits["test"], future=model.future))
        record_result(tracked, Path(folder), state, evaluation, sample_rate)
        validated = validation_scores(trainer.renderer, splits["validation"], state)
        tracked.log_metrics(validated, step=state.step)
        tracked.finish("KILLED" if trainer.stopped else "FINISHED")
    if not trainer.stopped:
        shutil.rmtree(checkpoint.parent, ignore_errors=True)
    return Result(
        tracked.name,
        tracked.id,
        evaluation.scores,
        validated,
        state,
        audio=tracked.file("audio") / "prediction.wav",
        page=tracked.file("listen.html"),
        stopped=trainer.stopped,
    )


@contextmanager
def first_interrupt(notice: Notice) -> Iterator[Callable[[], bool]]:
    """Inside, the first Ctrl-C only asks for an end, of which the yielded function tells; a second one stops at once."""
    asked: list[str] = []  # what is still to be said, once it was asked

    def ask(*_: Any) -> None:
        asked.extend(["", "Ctrl-C: the epoch is finished, then the best weights are scored; again stops at once"])
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop() -> bool:
        if len(asked) > 1:
            notice(asked.pop())
        return bool(asked)

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as a shell has it for what runs in the background
        signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def levels(spans: list[Span]) -> tuple[float, float]:
    """The RMS of what goes in and of what comes out."""
    direct, target = zip(*((span.direct, span.target) for span in spans), strict=True)
    return audio.rms(np.concatenate(direct)), audio.rms(np.concatenate(target))


def make_deterministic(seed: int) -> None:
    """Same seed, same machine, same weights: seeds for everything that draws, and no operation that races."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def summary(model: AmpModel, splits: dict[str, list[Span]], segments: Segments) -> str:
    rate = splits["train"][0].take.sample_rate
    parts = ", ".join(f"{name} {sum(map(len, spans)) / rate:.1f} s" for name, spans in splits.items())
    window = f"{model.receptive_field:,} samples ({1000 * model.receptive_field / rate:.0f} ms)"
    return (
        f"{parts}; {model.count_params():,} parameters that see {window}; {segments.num_segments:,} segments an epoch"
    )


# ---- Beginning and ending a run in the store ------------------------------------------------------------------------


def begin(
    store: Store,
    config: Config,
    takes: list[AudioPair],
    *,
    name: str,
    overrides: list[str],
    resume: bool,
    notice: Notice,
    tags: Mapping[str, str] | None = None,
) -> tuple[TrackedRun, Path]:
    """The run in MLflow and the place of its checkpoint; with `resume`, those of the newest unfinished run of this config."""
    unfinished, mark = store.folder / "unfinished", fingerprint(config, takes)
    params = without(config, ["tracking"])
    earlier = sorted(unfinished.glob(f"{mark}-*"), key=lambda path: path.stat().st_mtime) if resume else []
    names = [path.name.partition("-")[2] for path in reversed(earlier)]
    # One that was killed right after it was made has no folder yet.
    names += store.begun({"config_hash": mark, "host": platform.node()}) if resume else []
    if trained_now := [name for name in dict.fromkeys(names) if busy(unfinished / f"{mark}-{name}")]:
        notice(f"another process trains {', '.join(trained_now)}, which is left to it")
    going_on = (store.resume(name) for name in names if name not in trained_now)
    tracked = next((found for found in going_on if found), None)  # no further than the newest that is still there
    if tracked:
        notice(f"going on with the unfinished run {tracked.name}")
        if tags:
            tracked.log_tags(tags)
        tracked.log_params({key: value for key, value in params.items() if key not in tracked.params})
    else:
        if resume:
            notice("no unfinished run of this config and recording to resume; starting a new one")
        made = {"config_hash": mark, "overrides": " ".join(overrides), "host": platform.node()}
        tracked = store.start(name, params=params, tags={**made, **code_version(), **(tags or {})})
    tracked.notice = notice
    folder = unfinished / f"{mark}-{tracked.id}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        tracked.finish("FAILED", note=str(error))
        raise AmpsimError(f"{folder} cannot be made ({error.strerror}): set tracking.folder") from error
    return tracked, folder / "checkpoint.npz"


@contextmanager
def closing(tracked: TrackedRun) -> Iterator[None]:
    """Mark the run in MLflow as what it came to, if it comes to an end before it says so itself."""
    try:
        yield
    except PrunedError as error:
        tracked.finish("KILLED", note=str(error), mark="pruned")
        raise
    except AmpsimError as error:
        tracked.finish("FAILED", note=str(error), mark="diverged" if isinstance(error, DivergedError) else "")
        raise
    except KeyboardInterrupt:
        tracked.finish("KILLED")
        raise
    except OSError as error:
        tracked.finish("FAILED", note=str(error))
        raise AmpsimError(
            f"what the run made cannot be written ({error}): mend that and go on from the last checkpoint, which holds the "
            "best weights, with training.resume=true"
        ) from error
    except BaseException:
        tracked.finish("FAILED")
        raise


def record_setting(
    tracked: TrackedRun,
    folder: Path,
    config: Config,
    takes: list[AudioPair],
    delay: Delay,
    splits: dict[str, list[Span]],
) -> None:
    """What the run starts from: config, recording, machine."""
    files = [asdict(record) for take in takes for record in take.files]
    spans = {
        name: [{"take": span.take.name, "start": span.start, "stop": span.stop} for span in chosen]
        for name, chosen in splits.items()
    }
    recording = {"files": files, "sample_rate": takes[0].sample_rate, "delay": asdict(delay), "splits": spans}
    environment: dict[str, Any] = {**machine(), "versions": versions(), **code_version()}
    environment["config_hash"] = fingerprint(config, takes)
    write_text(folder / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    write_text(folder / "recording.json", json.dumps(recording, indent=2, ensure_ascii=False))
    write_text(folder / "environment.json", json.dumps(environment, indent=2, ensure_ascii=False))
    tracked.log_folder(folder)
    facts: dict[str, Any] = {"recording.sample_rate": takes[0].sample_rate, "recording.delay": delay.samples}
    facts |= {f"recording.{number}.{key}": value for number, file in enumerate(files) for key, value in file.items()}
    tracked.log_params(facts)
    tracked.log_tags({"device": environment["device"], "host": environment["host"]})  # a resumed run may have moved


def record_result(tracked: TrackedRun, folder: Path, state: State, evaluation: Evaluation, sample_rate: int) -> None:
    """What the run came to: scores, pictures, sound and the model."""
    signals = evaluation.signals
    # To the last bit, and the sums of blocks beside them, by which `compare` tells two runs apart.
    finite = {name: value if math.isfinite(value) else None for name, value in evaluation.scores.items()}
    write_text(folder / "scores.json", json.dumps({"scores": finite, "blocks": asdict(evaluation.blocks)}))
    if state.pace:
        write_text(folder / "pace.json", json.dumps(state.pace))
    figures = {
        "training": plots.training_curves(state.rounds, state.best_step),
        "waveforms": plots.waveforms(signals, sample_rate, at_s=plots.busiest(signals["amp"], sample_rate)),
        "fft": plots.spectra(signals, sample_rate),
        "spectrograms": plots.spectrograms(signals, sample_rate),
        "error": plots.error_over_time(esr_over_time(signals["amp"], signals["prediction"], sample_rate)),
        "gain": plots.gain_curves(
            {name: gain_curve(signals["direct"], signals[name], sample_rate) for name in ("amp", "prediction")}
        ),
        "harmonics": plots.harmonics({"prediction": evaluation.fingerprint}),
        "aliasing": plots.aliasing(evaluation.aliasing),
    }
    (folder / "figures").mkdir()
    for name, figure in figures.items():
        plots.save(figure, folder / "figures" / f"{name}.png")
    # One gain for all, so that they stay as loud against each other as they are.
    loudest = max(audio.peak(samples) for samples in signals.values())
    gain = 0.9 / loudest if loudest > 0 else 1.0
    for name, samples in signals.items():
        audio.write(folder / "audio" / f"{name}.wav", samples * gain, sample_rate, subtype="PCM_16")
    record_listening_page(tracked, folder, evaluation, sample_rate)
    # At the step that the run came to and not its best one: those of a run that was stopped and went on come later.
    tracked.log_metrics({f"test_{name}": value for name, value in evaluation.scores.items()}, step=state.step)
    tracked.log_tags({"listening_gain_db": f"{audio.decibels(gain):.2f}"})  # and no param, which could not change
    tracked.log_folder(folder)


def validation_scores(renderer: Renderer, spans: list[Span], state: State) -> dict[str, float]:
    """What the weights that were kept score on the validation split: the figures that a choice between runs may use."""
    (best,) = [row for row in state.rounds if row["step"] == state.best_step]
    pairs = [(span.target, renderer.span(span)) for span in spans]
    return {
        "best_validation_loss": best["validation_loss"],
        "best_validation_esr": best["validation_esr"],
        "best_validation_a_weighted_esr": a_weighted_esr(pairs, spans[0].take.sample_rate),
    }


def record_listening_page(tracked: TrackedRun, folder: Path, evaluation: Evaluation, sample_rate: int) -> None:
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
    )


def score_again(tracked: TrackedRun, split_name: str, *, notice: Notice) -> dict[str, float]:
    """Scores of a finished run's model on a split of its recording, as its saved config describes it."""
    for fault in plugins.load():  # which may bring metrics
        notice(fault)
    config = load_config(tracked)
    source: Source = build(config["data"], "data")
    takes = checked(source, notice=notice)
    takes, _ = align(takes, source.delay, notice)
    model = load_model(tracked)
    spans = split(takes, source.splits, gap=model.receptive_field)
    scored = spans[split_name]
    return {**evaluate(model, scored).scores, **limits(spans["train"], scored, future=model.future)}


def load_model(tracked: TrackedRun) -> AmpModel:
    """The best weights of a run, as a model."""
    return keras_files.load(tracked.file("model.keras"))


def take_out(
    tracked: TrackedRun, formats: str, output: Path, *, overwrite: bool = False, **details: Any
) -> list[Export]:
    """A run's model in the formats of players and runtimes, proven, and kept with the run; `details` are of `Details`.

    Raises:
        AmpsimError: see `ampsim.export.export`.
    """
    plugins.load()  # which may bring formats
    chosen = formats_named(formats)
    metrics = tracked.metrics
    scores = {name: value for name, value in metrics.items() if name.startswith("test_")}
    # Of the weights that were kept, and not of the last epoch.
    scores |= {key.removeprefix("best_"): value for key, value in metrics.items() if key.startswith("best_validation_")}
    exports = export(
        load_model(tracked),
        chosen,
        output,
        Details(**{"name": tracked.name, "scores": scores, **details}),
        overwrite=overwrite,
    )
    with tempfile.TemporaryDirectory() as folder:
        for made in exports:
            kept = Path(folder) / "exports" / made.format.name  # two formats may give their files the same name
            kept.mkdir(parents=True)
            shutil.copy(made.path, kept)
        tracked.log_folder(Path(folder))
    tracked.log_metrics({f"export_{made.format.name}_difference": made.proof.difference for made in exports})
    tracked.log_metrics({f"export_{made.format.name}_settled": made.proof.settled_difference for made in exports})
    tracked.log_tags({f"export.{made.format.name}": made.told() for made in exports})
    return exports


def register(tracked: TrackedRun, name: str) -> str:
    """Put a run's model into MLflow's registry, where `mlflow.pyfunc` loads it; returns its version there."""
    model = load_model(tracked)
    example = virtual_amp.guitar(0.1, model.sample_rate or DEFAULT_RATE, seed=0)[None]
    return tracked.register(
        name,
        tracked.file("model.keras"),
        loader=keras_files.__name__,
        example=example,
        requirements=[f"{package}=={installed(package)}" for package in ("ampsim", "tensorflow", "keras", "numpy")],
    )


def load_config(tracked: TrackedRun) -> Config:
    return yaml.safe_load(tracked.file("config.yaml").read_text(encoding="utf-8"))


# ---- What a run remembers of where it was made ----------------------------------------------------------------------


def fingerprint(config: Config, takes: list[AudioPair]) -> str:
    """A hash of all that decides what a run comes to: the config and the recording."""
    decides = [without(config, NOT_OF_THE_RUN), [record.sha256 for take in takes for record in take.files]]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]


def machine() -> dict[str, str]:
    devices = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(device).get("device_name", device.name) for device in devices]
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "processor": platform.processor() or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "device": ", ".join(names) or "CPU",
    }


def versions() -> dict[str, str]:
    return {name: installed(name) for name in PACKAGES}


def installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # run from a folder, or installed under another name (tensorflow-cpu)
        return "unknown"


def code_version() -> dict[str, str]:
    """The version, and the git commit where ampsim runs from a checkout of its own."""
    checkout = Path(ampsim.__file__).parent.parent
    found = {"ampsim_version": ampsim.__version__}
    if (checkout / ".git").exists():
        command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
            found["mlflow.source.git.commit"] = answer.stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass  # no git on this machine, or a checkout without commits
    return found


def write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
