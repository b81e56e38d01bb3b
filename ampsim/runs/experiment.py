"""One run, from a recording to scores, pictures, sound and a saved model in MLflow."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ampsim import counted
from ampsim.config import plugins
from ampsim.config.run_config import RunConfig
from ampsim.config.targets import build
from ampsim.metrics.scores import Pairs
from ampsim.recordings.preparing import Recording, prepare, prepare_as_then
from ampsim.runs.artifacts import Previews, record_result, record_setting, validation_scores
from ampsim.runs.evaluation import Evaluation, doubts, evaluate, floors, scores_of_others
from ampsim.runs.lifecycle import asked_to_end, begin, closing
from ampsim.runs.locks import alone
from ampsim.runs.tracking import Load, Store, TrackedRun
from ampsim.training.fit import Fit
from ampsim.training.observer import Observer
from ampsim.training.state import Progress, State


@dataclass(frozen=True)
class Result:
    """What a run came to: its scores on the test split, what it may be chosen by, and its place in the store."""

    tracked: TrackedRun
    store: Store
    scores: dict[str, float]
    validated: dict[str, float]
    state: State
    stopped: bool = False  # by Ctrl-C, before its budget was spent
    doubts: tuple[str, ...] = ()  # why it may have learnt nothing

    @property
    def name(self) -> str:
        return self.tracked.name

    @property
    def run_id(self) -> str:
        return self.tracked.id

    @property
    def audio(self) -> Path:
        """The rendered prediction of the test split, a WAV."""
        return self.tracked.file("audio") / "prediction.wav"

    @property
    def page(self) -> Path:
        """The listening page, an HTML file."""
        return self.tracked.file("listen.html")


def run(
    config: RunConfig,
    *,
    name: str,
    recording: Recording | None = None,
    observer: Observer | None = None,
    pace: list[float] | None = None,
    tags: Mapping[str, str] | None = None,
    interruptible: bool = False,
    pictures: bool = True,
) -> Result:
    """Train, evaluate and track the run that a config describes.

    Args:
        recording: what the config's `data` section names, where it is prepared already.
        observer: is told what happens, and may stop the training or, by raising PrunedError, the run.
        pace: of an earlier run with a budget in seconds, to be replayed instead of the clock; see `Budget`.
        tags: what else to tag the run with; a sweep names itself so.
        interruptible: the first Ctrl-C while it trains ends the epoch; the best weights so far are scored and kept.
        pictures: draw figures and write the listening page; `pictures.complete` does it later.

    Raises:
        AmpsimError: the recording, the config or the store is at fault. A run that had begun is marked as failed.
        DivergedError: the loss became NaN or infinite. The run is tagged `diverged`.
        PrunedError: as the observer raised it. The run is tagged `pruned`.
    """
    notice = (observer := observer or Observer()).notice
    fit = prepared(config, recording, observer)
    recording, store = fit.recording, Store(**config.tracking)
    tracked, checkpoint = begin(store, config, recording.digests, name=name, tags=tags, notice=notice)
    fit = as_begun(fit, tracked, observer)
    refusal = f"another process has just gone on with {tracked.name}"
    with alone(checkpoint.parent, refusal=refusal), closing(tracked), tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        record_setting(tracked, folder, fit)
        trainer = fit.trainer(checkpoint=checkpoint, resume=config["training"]["resume"], pace=pace)
        with asked_to_end(notice, interruptible=interruptible) as asked:
            state = trainer.fit(Recorder(tracked, observer, asked, Previews.of(config, recording.sample_rate)))
        observer.doing("rendering and scoring the test split")
        fit.model.save(folder / "model.keras")
        evaluation = scored(fit, notice)
        doubtful = record_doubts(tracked, doubts(trainer, evaluation), notice)
        observer.doing("drawing figures and keeping the results" if pictures else "keeping the results")
        record_result(tracked, folder, state, evaluation, fit.model, recording.sample_rate, pictures=pictures)
        validated = validation_scores(trainer.renderers, fit.splits["validation"], state)
        tracked.log_metrics(validated, step=state.step)
        tracked.finish("KILLED" if trainer.stopped else "FINISHED")
    if not trainer.stopped:
        shutil.rmtree(checkpoint.parent, ignore_errors=True)
    return Result(tracked, store, evaluation.scores, validated, state, trainer.stopped, doubtful)


def prepared(config: RunConfig, recording: Recording | None, observer: Observer) -> Fit:
    """What is to be trained, on the recording that the config names where none is given."""
    for fault in plugins.load():
        observer.notice(fault)
    recording = recording or prepare(build(config["data"], "data"), notice=observer.notice)
    observer.doing("preparing the training")
    fit = Fit.of(config, recording)
    observer.notice(str(fit))
    return fit


def as_begun(fit: Fit, tracked: TrackedRun, observer: Observer) -> Fit:
    """For a run that goes on: the same with the delay that it began with, where that is another."""
    if tracked.delay in (None, fit.recording.delay.samples):
        return fit
    observer.notice(f"the delay of {counted(tracked.delay, 'sample')} with which {tracked.name} began is kept")
    return Fit.of(fit.config, prepare_as_then(fit.config["data"], tracked.delay, notice=lambda text: None))


def scored(fit: Fit, notice: Callable[[str], None]) -> Evaluation:
    """The test split's evaluation, with the floors of the recording among its scores."""
    found = evaluate(fit.model, fit.splits["test"])
    for note in found.notes:
        notice(note)
    found.scores.update(scores_of_others(fit.model, fit.splits["test"]))
    splits = [fit.splits[name] for name in ("train", "validation", "test")]
    found.scores.update(floors(*splits, future=fit.model.future))
    return found


def record_doubts(tracked: TrackedRun, found: list[str], notice: Callable[[str], None]) -> tuple[str, ...]:
    if found or "doubts" in tracked.tags:  # of a run that goes on, those from before
        tracked.log_tags({"doubts": "; ".join(found)})
    for doubt in found:
        notice(f"warning: {doubt}")
    return tuple(found)


@dataclass
class Recorder(Observer):
    """Keeps the training curves in the store before the observer of the run sees them."""

    tracked: TrackedRun
    observer: Observer
    asked: Callable[[], bool]  # to end
    previews: Previews | None

    def __post_init__(self) -> None:
        self.load = Load(self.tracked)

    def notice(self, text: str) -> None:
        self.observer.notice(text)

    def doing(self, what: str) -> None:
        self.observer.doing(what)

    def progress(self, progress: Progress) -> None:
        self.observer.progress(progress)

    def interval(self, row: dict[str, float]) -> None:
        self.tracked.log_round(row | self.load.since_last())
        self.observer.interval(row)

    def validated(self, step: int, pairs: Pairs) -> None:
        if self.previews:
            self.previews.keep(self.tracked, step, pairs)
        self.observer.validated(step, pairs)

    def stop(self) -> bool:
        return self.asked() or self.observer.stop()
