"""What a notebook types. The command line calls these functions and shows what they return."""

import html
import io
import os
import shlex
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ampsim import AmpsimError
from ampsim.commands.words import FORMER, KEYS
from ampsim.config.run_config import RunConfig, assignment, titled, worded
from ampsim.files import expanded

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from ampsim.comparing.ranking import Ranking
    from ampsim.doctor import Diagnosis
    from ampsim.export import Export
    from ampsim.judging.reproduction import Verdict
    from ampsim.judging.scorecard import Scorecard
    from ampsim.models import AmpModel
    from ampsim.players.levelling import Loudness
    from ampsim.recordings.levels import Calibration
    from ampsim.recordings.preparing import Recording
    from ampsim.recordings.sheet import ToRecord
    from ampsim.runs.experiment import Result
    from ampsim.runs.tracking import Store, TrackedRun
    from ampsim.signals.audio import Signal
    from ampsim.studies.plans import Plan
    from ampsim.studies.sweeps import Result as SweepResult
    from ampsim.studies.sweeps import Standing
    from ampsim.training.observer import Observer

Files = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Notice = Callable[[str], None]
MOST_OVERSAMPLING = 64
OF_A_USER = ("controls", "fixed")  # of `data`: whose keys no config has beforehand
STORE = {word: key for word, key in KEYS.items() if key.startswith("tracking.")}  # words that say where the runs are
Given = ParamSpec("Given")
Returned = TypeVar("Returned")


def in_words_of_today(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """The function, which understands `experiment=` still where that named the experiment in MLflow, with a notice."""

    @wraps(function)
    def called(*arguments: Given.args, **options: Given.kwargs) -> Returned:
        former, today = "experiment", FORMER["experiment"]
        if former in options:
            if today in options:
                raise AmpsimError(f"{former}= is the former word for {today}=: keep one of them")
            notice = f"{former}= is now {today}= here; {former}= of ampsim.train chooses a whole run"
            warnings.warn(notice, FutureWarning, stacklevel=2)
            options[today] = options.pop(former)
        return function(*arguments, **options)

    return called


# ---- Recordings -----------------------------------------------------------------------------------------------------


def load(
    path: Files | None = None,
    *,
    direct: Files | None = None,
    amp: Files | None = None,
    settings: str | os.PathLike[str] | Sequence[Mapping[str, Any]] | None = None,
    **options: Any,
) -> "Recording":
    """Load, check and align a recording.

    Args:
        path: stereo files (left: direct, right: amp), one a take; or
        direct, amp: mono files, as many of the one as of the other; or
        settings: a sheet (CSV or YAML) that names recordings of one amp at several settings of its knobs; of
            `data="virtual_knobs"` the settings themselves.
        options: of the `data` section: `delay=-9`, `splits={"test": "20 s"}`, `checks="warn"`, `drift="correct"`,
            `input_channel=1`. Without any file `data="virtual_amp"` (the default) or another choice of that group.

    Returns:
        Takes of float32 samples, (num_samples,), full scale at 1, with the delay taken out; `findings` of the checks.

    Raises:
        AmpsimError: a file is missing or cannot be read, or a fault would spoil training; it says which, where and what
            to do.
    """
    from ampsim.config.targets import build
    from ampsim.recordings.preparing import prepare
    from ampsim.report.shown import ShownRecording

    sheet = isinstance(settings, str | os.PathLike)
    if sheet and (path is not None or direct is not None or amp is not None):
        raise AmpsimError("settings= names a sheet, which itself names the files: without path=, direct= and amp=")
    if sheet:
        path, options = settings, {"data": "knobs", **options}  # type: ignore[assignment]
    elif settings is not None:
        options["settings"] = settings
    words = data_words(path, direct, amp, options)
    source = build(RunConfig.compose(words)["data"], "data")
    recording = prepare(source, notice=lambda text: None)  # what it tells is in `findings`
    return ShownRecording(**{**vars(recording), "words": tuple(words)})


def data_words(path: Files | None, direct: Files | None, amp: Files | None, options: Mapping[str, Any]) -> list[str]:
    """The words of a command that name a recording."""
    if path is not None and (direct is not None or amp is not None):
        raise AmpsimError("a recording is either path= (stereo) or direct= and amp= (two mono files)")
    if (direct is None) != (amp is None):
        raise AmpsimError("direct= and amp= belong together: name both files")
    options = dict(options)
    usual = "stereo" if path is not None else "pair" if direct is not None else "virtual_amp"
    words = assignment("data", options.pop("data", usual))
    for key, files in (("path", path), ("input", direct), ("target", amp)):
        if files is not None:
            words += assignment(f"data.{key}", listed(files))
    named = [f"data.{key}={worded(options.pop(key))}" for key in OF_A_USER if key in options]
    return [*words, *named, *(word for key, value in options.items() for word in assignment(f"data.{key}", value))]


def listed(files: Files) -> str | list[str]:
    if isinstance(files, str | os.PathLike):
        return os.fspath(files)
    return [os.fspath(file) for file in files]


@in_words_of_today
def plan(
    controls: Mapping[str, Sequence[Any]] | None = None,
    count: int = 12,
    *,
    settings: str | os.PathLike[str] | None = None,
    run: "Run | str | None" = None,
    seed: int = 0,
    notice: Notice = print,
    **store: Any,
) -> "ToRecord":
    """Say which settings of an amp to record: a few that are far from each other, corners of the whole range among them.

    Args:
        controls: `{"gain": [0, 10], "bright": ["off", "on"]}`; or
        settings: a sheet of what is recorded, to which the plan adds; `controls` are the ranges that it does not state; or
        run: a run on such a sheet: the plan adds where it and the runs that differ from it in their seed alone disagree.
        count: of settings.
        seed: of the draws.
        store: folder, uri and mlflow_experiment, as of `open`.

    Returns:
        `controls`, `settings` (tuples, in order of worth: any beginning is a plan too) and `csv`. Printed, it is a sheet to
        tick off; `.write("settings.csv")` writes the sheet that `load(settings=...)` reads.

    Raises:
        AmpsimError: a control has neither range nor positions, there are not so many settings, or the sheet is at fault.
    """
    if (controls is None and settings is None) == (run is None):
        raise AmpsimError(
            "a plan begins from controls='{gain: [0, 10], bright: [off, on]}', from settings=, a sheet of what is recorded "
            "(with controls=, where its columns state no ranges), or from run=, which learnt such a sheet: name one of them"
        )
    if run is not None:
        from ampsim.runs.planning import next_to_record, perhaps_alike, siblings

        first = handle(run, **store)
        ensemble = siblings(first.tracked, perhaps_alike(first.tracked, first.store))
        return next_to_record(ensemble, count, seed=seed, notice=notice)
    from ampsim.recordings.controls import controls_of, refuse_nameless
    from ampsim.recordings.plan import following, planned
    from ampsim.recordings.sheet import ToRecord, read_sheet

    if settings is None:
        known = controls_of(controls or {})
        return ToRecord(known, tuple(planned(known, count, seed=seed)))
    refuse_nameless("controls", controls)
    sheet = read_sheet(expanded(settings), controls or {})
    recorded = [row.setting for row in sheet.rows]
    return ToRecord(sheet.controls, tuple(following(sheet.controls, recorded, count, seed=seed)), len(recorded))


def doctor(
    input: str,
    target: str = "",
    *,
    input_channel: int = 0,
    target_channel: int = 1,
    input_level_dbu: float | str | None = None,
    output_level_dbu: float | str | None = None,
) -> "Diagnosis":
    """Diagnose a recording: a stereo file, the direct signal and the amp's as two mono files, or a sheet of settings.

    Args:
        input_level_dbu, output_level_dbu: of full scale, where they are known; see `calibrate`.

    Returns:
        `findings` with severity, sentence, remedy and times in seconds, worst first.

    Raises:
        AmpsimError: a file is missing or not audio, or has no such channel, or a level cannot be.
    """
    from ampsim.doctor import diagnosed, diagnosed_sheet, loaded
    from ampsim.recordings import levels
    from ampsim.recordings.sheet import ENDINGS

    stated = levels.level("input_level_dbu", input_level_dbu), levels.level("output_level_dbu", output_level_dbu)
    channels = {"input_channel": input_channel, "target_channel": target_channel}
    if input.lower().endswith(ENDINGS) and not target:
        return diagnosed_sheet(input, stated, **channels)
    take, known = loaded(input, target, **channels)
    return diagnosed(take, [*known, *levels.findings(take, *stated)])


def calibrate(
    input: str | os.PathLike[str],
    *,
    volts: float | str | None = None,
    dbu: float | str | None = None,
    channel: int | None = None,
) -> "Calibration":
    """Say what full scale is in dBu, by a test tone in a file and what was measured of the same tone in the cable.

    Args:
        volts: RMS, as a meter shows it; or
        dbu: the same in dBu.
        channel: of the file, counted from 0; needed where it has several.

    Returns:
        `dbu` of full scale (of a sine whose peaks reach it), `frequency_hz`, `tone_db`, `beside_db` and `notes`.

    Raises:
        AmpsimError: neither or both are stated, they cannot be, or the file holds no steady tone alone.
    """
    from ampsim.recordings import levels

    return levels.calibrate(os.fspath(input), volts=volts, dbu=dbu, channel=channel)


def loudness(
    *captures: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    level: float | str | None = None,
    overwrite: bool = False,
) -> "list[Loudness]":
    """How loud captures are, as measured and as stated, and copies of them that are equally loud.

    Args:
        output: a folder for the copies; None writes none.
        level: how loud they are to be, in dB; None is the median of the captures.

    Returns:
        `measured_db`, `stated_db` and, where there are copies, `copy` and `gain_db`, of each in its order.

    Raises:
        AmpsimError: a file is no capture that can be played, or a copy exists or would take a capture's place.
    """
    from ampsim.players import levelling
    from ampsim.recordings.levels import number

    wanted = None if level in (None, "") else number("level", level)
    found = levelling.measured([os.fspath(path) for path in captures])
    if not output:
        return found
    return levelling.evened(found, os.fspath(output), level_db=wanted, overwrite=overwrite)


def score(
    target: str | os.PathLike[str],
    candidates: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    metric: str = "esr",
    channel: int | None = None,
    report: Notice = lambda text: None,
) -> "Scorecard":
    """Score renders of any tool against an amp's recording, and put them in order.

    Each is aligned to a thousandth of a sample and turned to the target's polarity, both of which it says; levels are left
    as they are. All are scored on the part of the target that they have in common.

    Args:
        target: the amp's recording.
        candidates: audio files, or a folder of them; resampled to the target's rate where theirs differs.
        metric: the score to put them in order by.
        channel: of the target, counted from 0; needed where its channels differ.
        report: given a line about each step.

    Returns:
        `candidates`, best first, each with its `scores`, delay, polarity and level; the difference of each to the best
        with its interval; `left_out`, those that could not be scored, and why. `.to_pandas()`, `.listen("page.html")`,
        `.write("folder")`.

    Raises:
        AmpsimError: the target cannot be read, is silent or holds NaN, or no candidate can be scored.
    """
    from ampsim.judging import scorecard

    files = scorecard.audio_files(listed(candidates))
    return scorecard.scored(target, files, metric=metric, channel=channel, report=report)


# ---- Runs -----------------------------------------------------------------------------------------------------------


class Run:
    """A run in the store. In a notebook it shows its scores, plays its audio and draws its FFT comparison."""

    def __init__(
        self,
        tracked: "TrackedRun",
        store: "Store",
        *,
        result: "Result | None" = None,
        setting: "Mapping[str, str | float] | None" = None,
    ) -> None:
        self.tracked, self.store = tracked, store
        self.result = result  # of a run that was trained just now
        self.setting = setting  # of the amp's controls, at which it plays and exports
        self.id, self.name = tracked.id, tracked.name

    def __repr__(self) -> str:
        return f"<Run {self.name} ({self.id}), {self.tracked.status.lower()}>"

    @property
    def status(self) -> str:
        """FINISHED, RUNNING, FAILED or KILLED, as MLflow says it."""
        return self.tracked.status

    @cached_property
    def config(self) -> RunConfig:
        """The config that the run was made from; raises AmpsimError for one that names what it may not."""
        return RunConfig.read(self.tracked.file("config.yaml"))[0]

    @property
    def scores(self) -> dict[str, float]:
        """Scores on the test split by name; `esr` is the error-to-signal ratio."""
        from ampsim.metrics.scores import of_test

        if self.result:
            return self.result.scores
        return of_test(self.tracked.metrics)

    @cached_property
    def model(self) -> "AmpModel":
        """The best weights of the run, as a Keras model: (batch, receptive_field - 1 + n) -> (batch, n)."""
        from ampsim.runs.finished import load_model

        return load_model(self.tracked, self.setting)

    def at(self, /, **setting: str | float) -> "Run":
        """The run at one setting of its amp's controls, where it has learnt some: `run.at(gain=7, treble=3).play(...)`.

        What it plays and exports is then a plain model; its scores are those of the whole run.
        """
        return Run(self.tracked, self.store, result=self.result, setting=setting)

    @property
    def audio(self) -> dict[str, Path]:
        """Direct, amp and prediction of the test split, as files with one common gain."""
        return {path.stem: path for path in sorted(self.tracked.file("audio").glob("*.wav"))}

    @property
    def figures(self) -> dict[str, Path]:
        """PNG files by name: training, fft, spectrograms, waveforms and more."""
        return {path.stem: path for path in sorted(self.tracked.file("figures").glob("*.png"))}

    def draw(self, folder: str | Path = "", *, kind: str = "png", overwrite: bool = False) -> list[Path]:
        """Draw the figures anew from what the run keeps, as `png` or `svg` files in a folder; without one they become
        artifacts of the run, with its listening page.

        Raises:
            AmpsimError: a file exists, `kind` is another, or the run's sound is gone.
        """
        from ampsim.runs import pictures

        if kind not in ("png", "svg"):
            raise AmpsimError(f"format={kind}: figures are drawn as png or svg")
        if not folder:
            pictures.complete(self.store, self.tracked)
            return [*self.figures.values(), self.listen().path]
        return pictures.put(
            pictures.drawn_again(self.store, self.tracked), expanded(folder), kind=kind, overwrite=overwrite
        )

    def play(self, samples: "Signal", sample_rate: int) -> "Signal":
        """What the model makes of a signal.

        Args:
            samples: (num_samples,), full scale at 1.
            sample_rate: of the samples, in hertz; resampled to the model's and back where they differ.

        Returns:
            (num_samples,), float32, in time with its input.

        Raises:
            AmpsimError: `samples` are no signal, hold NaN or infinity, or the model plays such.
        """
        import numpy as np

        from ampsim.signals.playing import resampled, sound

        if np.ndim(samples) != 1 or not len(samples):
            raise AmpsimError(f"play takes one channel, (num_samples,), and got an array of shape {np.shape(samples)}")
        if not np.isfinite(samples).all():
            raise AmpsimError(
                f"the signal to play holds NaN or infinity at sample {int(np.argmin(np.isfinite(samples))):,}"
            )

        model_rate = self.model.sample_rate or sample_rate
        there = resampled([np.asarray(samples, np.float32)], sample_rate, model_rate)
        blocks = sound(self.renderer, self.renderer.blocks(there), model_rate)
        played = np.concatenate([*resampled(blocks, model_rate, sample_rate)])[: len(samples)]
        return np.pad(played, (0, len(samples) - len(played)))

    @cached_property
    def renderer(self) -> Any:
        """The model, compiled once for one block length; raises AmpsimError where it has controls and no setting."""
        from ampsim.models.rendering import Renderer
        from ampsim.runs.finished import refuse_unset

        refuse_unset(self.model)
        return Renderer(self.model)

    def render(self, input: str | Path, output: str | Path, **options: Any) -> Path:
        """Play a file of any length through the model into another, in constant memory; `options` are those of `render`."""
        return render(input, output, run=self, **options)[0]

    def evaluate(self, split: str = "test", *, oversample: int = 1, notice: Notice = print) -> dict[str, float]:
        """Score the model again on `train`, `validation` or `test` of its recording, played at `oversample` times its rate.

        Raises:
            AmpsimError: the recording is not where it was, or there is no such split.
        """
        from ampsim.config.targets import nearest
        from ampsim.recordings.sources import SPLITS
        from ampsim.runs.finished import score_again

        if split not in SPLITS:
            raise AmpsimError(f"split={split}{nearest(split, list(SPLITS))}")
        check_oversample(oversample)
        return score_again(self.tracked, split, notice=notice, oversample=oversample)

    def export(
        self, output: str | Path, *, format: str = "nam", overwrite: bool = False, late: bool = False, **details: Any
    ) -> "list[Export]":
        """Write the model for players and runtimes, and prove that it plays there as it does here.

        Args:
            format: nam, rig (a folder: net and impulse responses), rtneural, aidax, onnx, litert, page (HTML) or keras;
                several with commas between them, into a folder.
            late: keep files that answer later than the amp, or inverted, which are refused otherwise.
            details: name, modeled_by, gear_type, gear_make, gear_model, tone_type, input_level_dbu, output_level_dbu,
                block_length (samples).

        Raises:
            AmpsimError: the format does not hold such a model, the file exists, or a sample is off by more than 1e-5.
        """
        from ampsim.runs.exporting import take_out

        output = Path(output)
        return take_out(self.tracked, format, output, setting=self.setting, overwrite=overwrite, late=late, **details)

    def register(self, name: str) -> str:
        """Put the model into MLflow's registry; returns its version there."""
        from ampsim.runs import exporting

        return exporting.register(self.tracked, name, setting=self.setting)

    def listen(self) -> "Page":
        """The listening page: blind tests, loops, switching at one instant. A notebook shows it in a frame."""
        return Page(self.tracked.file("listen.html"))

    def _repr_html_(self) -> str:
        from ampsim.metrics.scores import SCORES
        from ampsim.report import notebook

        scores = self.scores
        rows = [(score.title, score.text(scores[key]), score.meaning) for key, score in SCORES.items() if key in scores]
        shown = [f"<h3>{html.escape(self.name)}</h3>", notebook.table(rows)]
        with suppress(AmpsimError, KeyError):  # a run that did not come so far
            shown += [notebook.players(self.audio), notebook.picture(self.figures["fft"])]
        return "\n".join(shown)


@dataclass(frozen=True)
class Page:
    """An HTML file that a notebook shows in a frame; elsewhere it is the path to open in a browser."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def _repr_html_(self) -> str:
        from ampsim.report.notebook import framed

        return framed(self.path)


class Runs(Sequence[Run]):
    """Several runs, newest first; a notebook shows them as a table."""

    def __init__(self, found: Sequence[Run]) -> None:
        self.found = list(found)

    def __getitem__(self, index: Any) -> Any:
        return Runs(self.found[index]) if isinstance(index, slice) else self.found[index]

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.found)

    def to_pandas(self) -> "pandas.DataFrame":
        """One row a run: id, name, status, the parameters that differ, and every score on the test split."""
        import pandas

        params = [run.tracked.params for run in self.found]
        keys = dict.fromkeys(key for each in params for key in each)
        differing = [key for key in keys if len({each.get(key) for each in params}) > 1]
        rows = [
            {"run": run.name, "id": run.id, "status": run.status}
            | {key: run.tracked.params.get(key) for key in differing}
            | run.scores
            for run in self.found
        ]
        return pandas.DataFrame(rows)

    def _repr_html_(self) -> str:
        return self.to_pandas().to_html(index=False)


def opened_store(folder: str | Path, uri: str | None, experiment: str) -> "Store":
    """The store, which must be there already."""
    from ampsim.runs.locations import refuse_empty, refuse_unreachable

    folder = expanded(folder)
    refuse_unreachable(uri)
    refuse_empty(folder, uri)
    from ampsim.runs.tracking import Store

    return Store(folder, uri=uri or None, experiment=experiment)


@in_words_of_today
def open(
    run: str = "last", *, folder: str | Path = "runs", uri: str | None = None, mlflow_experiment: str = "ampsim"
) -> Run:
    """A run by its id, its name or `last`, the newest that finished.

    Args:
        folder: that holds the runs.
        uri: of another MLflow store, such as http://host:5000.
        mlflow_experiment: the experiment in MLflow that holds them; `experiment` is a word of `train`, and another thing.

    Raises:
        AmpsimError: there is no such run (the nearest names are given), or no store.
    """
    store = opened_store(folder, uri, mlflow_experiment)
    return Run(store.find(run), store)


@in_words_of_today
def runs(
    *, sweep: str = "", folder: str | Path = "runs", uri: str | None = None, mlflow_experiment: str = "ampsim"
) -> Runs:
    """All runs of the store, newest first, or those of one sweep (its parent's id or name, or `last`).

    The store is that of `open`.

    Raises:
        AmpsimError: there is no such sweep, or no store.
    """
    from ampsim.runs.tracking import SWEEP

    store = opened_store(folder, uri, mlflow_experiment)
    found = store.children(store.find_sweep(sweep).id)[::-1] if sweep else store.runs()
    return Runs([Run(store.tracked(run), store) for run in found if SWEEP not in run.data.tags])


def train(
    recording: "Recording | Files | None" = None,
    *,
    name: str = "",
    overrides: Sequence[str] = (),
    observer: "Observer | None" = None,
    interruptible: bool = False,
    **settings: Any,
) -> Run:
    """Train a model on a recording, score it, and keep everything in the store.

    Args:
        recording: of `load`, or a stereo file; None is the embedded recording.
        name: of the run; by default made of what was chosen.
        overrides: words of the command line, such as "model.layers=6".
        observer: is told what happens, and may stop the training; None prints notices and a progress line.
        interruptible: the first Ctrl-C ends the epoch and keeps the best weights.
        settings: the same as keyword arguments: `experiment="five_minutes"`, `model="lstm"`, `seed=1`,
            `training={"seconds": 30}`. `folder`, `uri` and `mlflow_experiment` say where the run is kept, as of `open`.

    Raises:
        AmpsimError: the recording or a setting is at fault.
        DivergedError: the loss became NaN or infinite.
    """
    from ampsim.config.settings import as_meant
    from ampsim.recordings.preparing import Recording

    words = [word for key, value in settings.items() for word in assignment(STORE.get(key, key), value)]
    prepared = recording if isinstance(recording, Recording) else None
    if prepared and any(key == "data" for key in settings):
        raise AmpsimError("the recording is loaded already: give its options to ampsim.load")
    if prepared:
        words = [*prepared.words, *words]
    elif recording is not None:
        words = [*data_words(recording, None, None, {}), *words]  # type: ignore[arg-type]
    config = RunConfig.compose([*words, *map(as_meant, overrides)])
    return trained(config, name=name, recording=prepared, observer=observer, interruptible=interruptible)


def trained(
    config: RunConfig,
    *,
    name: str = "",
    recording: "Recording | None" = None,
    observer: "Observer | None" = None,
    interruptible: bool = False,
) -> Run:
    """The run that a composed config describes; `train` is the same with words."""
    from ampsim.runs.machine import quiet_stderr

    with quiet_stderr():  # TensorFlow greets there
        from ampsim.runs import experiment

    with watched(observer) as watching:
        result = experiment.run(
            config,
            name=name or config["name"] or config.title,
            recording=recording,
            observer=watching,
            interruptible=interruptible,
        )
    return Run(result.tracked, result.store, result=result)


@contextmanager
def watched(observer: "Observer | None") -> "Iterator[Observer]":
    """The observer itself, or one that prints."""
    if observer is not None:
        yield observer
        return
    from ampsim.cli.terminal import TerminalObserver, new_console

    with TerminalObserver(new_console()) as terminal:
        yield terminal


@in_words_of_today
def render(
    input: str | Path,
    output: str | Path,
    *,
    run: Run | str = "last",
    capture: str = "",
    slim: float | str | None = None,
    setting: "Mapping[str, str | float] | None" = None,
    automation: str = "",
    channel: int | None = None,
    oversample: int = 1,
    overwrite: bool = False,
    notice: Notice = print,
    report: Callable[[Path, float, float], None] = lambda path, done_s, total_s: None,
    **store: Any,
) -> list[Path]:
    """Play files of any length through a run's model, or through a `.nam` capture, in constant memory.

    Args:
        input, output: an audio file (.wav, .flac, .aiff), or a folder of them.
        slim: which net of a container plays, as a player's knob chooses, from 0 (the smallest) to 1; None is the largest.
        setting: of the amp's controls, where the run has learnt some: {"gain": 7, "treble": 3}.
        automation: or a CSV file with a column `seconds` and one for each control, which turns them meanwhile.
        channel: of the input, counted from 0; needed where it has several.
        oversample: play the net at so many times its sample rate, which takes as much longer; see `signals.playing`.
        report: given each file with the seconds done and the seconds in all.
        store: folder, uri and mlflow_experiment, as of `open`.

    Returns:
        The files written, each as long as its input and in time with it.

    Raises:
        AmpsimError: the input cannot be read or holds NaN, the output exists, or a capture or setting cannot be played.
    """
    from ampsim.signals.audio import destinations

    check_oversample(oversample)
    read = [each for each in (capture, automation) if each]
    planned = destinations(Path(input), Path(output), overwrite=overwrite, inputs=read)
    refuse_contradiction(capture, slim, setting, automation)
    play = partial(renderer_of, setting=setting, automation=automation)
    chosen = capture_player(capture, notice, slim) if capture else play(handle(run, **store))
    from ampsim.signals.playing import render_file

    options: dict[str, Any] = {"channel": channel, "oversample": oversample, "overwrite": overwrite, "notice": notice}
    for source, destination in planned:
        for done_s, total_s in render_file(chosen, source, destination, **options):
            report(source, done_s, total_s)
    return [destination for _, destination in planned]


def refuse_contradiction(
    capture: str, slim: float | str | None, setting: "Mapping[str, str | float] | None", automation: str
) -> None:
    if slim not in (None, "") and not capture:
        raise AmpsimError("slim chooses a net of a container: name it with capture=")
    if capture and (setting or automation):
        raise AmpsimError("a capture has no controls: a setting and an automation are for a run that has learnt some")
    if setting and automation:
        raise AmpsimError("a setting and an automation are two ways to say one thing: choose one")


def renderer_of(run: Run, setting: "Mapping[str, str | float] | None", automation: str) -> Any:
    """What plays a run, at a setting or as an automation file turns its controls."""
    if not automation:
        return (run.at(**setting) if setting else run).renderer
    from ampsim.models.rendering import Automated
    from ampsim.recordings.controls import read_automation

    if not run.model.controls:
        raise AmpsimError(f"{run.name} has learnt one setting of its amp: there is no control to automate")
    return Automated(run.model, read_automation(Path(automation), run.model.controls))


def check_oversample(factor: int) -> None:
    if not 1 <= factor <= MOST_OVERSAMPLING:
        raise AmpsimError(f"oversample={factor}: it is 1 (as the model was trained) to {MOST_OVERSAMPLING}")


def handle(run: Run | str, **store: Any) -> Run:
    return run if isinstance(run, Run) else open(run, **store)


def capture_player(path: str, notice: Notice, slim: float | str | None = None) -> Any:
    """What plays a capture, after a look at whether it is as loud as it states."""
    from ampsim.players import read
    from ampsim.recordings.captured import level_fault

    capture = read(path, slim=slim)
    for note in capture.notes:
        notice(note)
    fault = level_fault(capture)
    stated = "" if capture.loudness_db is None else f", loudness {capture.loudness_db:.1f} dB"
    notice(f"warning: {fault}" if fault else f"{capture.name}: a {capture.architecture}{stated}")
    return capture.player


# ---- Many runs ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sweep:
    """What a sweep or a search came to: its jobs in order, and its parent run in the store."""

    result: "SweepResult"
    tracking: dict[str, Any]

    @property
    def name(self) -> str:
        return self.result.name

    @property
    def runs(self) -> Runs:
        """The runs that the jobs left in the store, newest first."""
        return runs(sweep=self.result.run_id, **self.store)

    @property
    def store(self) -> dict[str, Any]:
        """Where the runs are, in the words of `open`."""
        return {word: self.tracking[key.removeprefix("tracking.")] for word, key in STORE.items()}

    def compare(self, metric: str = "esr") -> "Comparison":
        """The runs in order of a score; see `compare`."""
        return compare(sweep=self.result.run_id, metric=metric, **self.store)

    def to_pandas(self) -> "pandas.DataFrame":
        """One row a job: status, note, the values that differ, and its scores."""
        from ampsim.comparing import outcomes

        return from_csv(outcomes.table(self.result.rows, self.result.keys))

    def _repr_html_(self) -> str:
        return f"<h3>{html.escape(self.name)}</h3>{self.to_pandas().to_html(index=False)}"


def sweep(
    *,
    overrides: Sequence[str] = (),
    notice: Notice = print,
    progress: Callable[["Standing"], None] = lambda standing: None,
    **settings: Any,
) -> Sweep:
    """Train every combination of the values given, each in a process of its own; the same call goes on with an unfinished one.

    Args:
        overrides: words of the command line, such as "model.layers=1,2,3" or "hydra/launcher=joblib".
        notice: given each sentence about what happens.
        progress: told now and then how the sweep stands.
        settings: as of `train`; a list is swept over: `seed=[0, 1, 2]`, `model={"layers": [1, 2]}`.

    Raises:
        AmpsimError: a job cannot be composed or built (none is begun then), or the same sweep is running now. A job that
            fails does not raise: its row says so.
    """
    from ampsim.config.settings import as_meant
    from ampsim.studies import plans

    words = [word for key, value in settings.items() for word in swept_over(key, value)]
    words += map(as_meant, overrides)
    plan = plans.planned(words, multirun=True)
    assert plan is not None
    return swept(plan, command=shlex.join(["ampsim", "train", "-m", *words]), notice=notice, progress=progress)


def swept_over(key: str, value: Any) -> list[str]:
    """The words that set a key, or sweep it over a list."""
    key = STORE.get(key, key)
    if isinstance(value, Mapping) and value:
        return [word for inner, part in value.items() for word in swept_over(f"{key}.{inner}", part)]
    if isinstance(value, list | tuple):
        return [f"{key}=" + ",".join(assignment("x", each)[0].removeprefix("x=") for each in value)]
    return assignment(key, value)


def swept(plan: "Plan", *, command: str, notice: Notice, progress: Callable[["Standing"], None]) -> Sweep:
    """Carry out what `plans.planned` understood."""
    from ampsim.studies import sweeps
    from ampsim.studies.jobs import Job, Limits
    from ampsim.studies.launchers import Launcher
    from ampsim.studies.search import Search

    tracking, options = plan.configs[0]["tracking"], plan.sweep
    common = [word for word in plan.jobs[0] if all(word in words for words in plan.jobs)]

    def job(words: list[str], sections: dict[str, Any]) -> Job:
        own = [word for word in words if word not in common]
        name = titled(RunConfig(sections), own, unnamed=["data"])
        return Job(sections["name"] or name, words, sections, sweeps.key_of(sections))

    def made(words: list[str]) -> Job:
        return job(words, dict(RunConfig.compose(words).sections))

    jobs = [job(*each) for each in zip(plan.jobs, plan.configs, strict=True)]
    keep = None
    if plan.folder:
        from ampsim.pages import captures

        found = captures.diagnoses({job.name: job.config["data"] for job in jobs}, notice)
        keep = partial(captures.keep, found=found, notice=notice)
    search = None
    if plan.search:
        folder = Path(tracking["folder"])
        search = Search(plan.search, plan.space or {}, plan.jobs[0], made, folder=folder, workers=plan.workers)
    deadline = None if options.budget_s is None else time.time() + options.budget_s
    result = sweeps.run(
        jobs,
        launcher=Launcher(plan.overrides),
        limits=Limits(plan.threads, options.job_timeout_s, deadline),
        name=sweep_name(plan, common),
        command=command,
        tracking=tracking,
        resume=options.resume,
        notice=notice,
        progress=progress,
        search=search,
        figures=None if plan.folder else options.figures,
        export=options.export or ("auto" if plan.folder and options.export is None else ""),
        keep=keep,
    )
    return Sweep(result, tracking)


def sweep_name(plan: "Plan", common: list[str]) -> str:
    """What is swept, and what the jobs have in common: sweep-layers-optimizer-virtual_amp-dense-units=8."""
    if plan.folder:
        words = ["data=folder", *(word for word in common if not word.startswith("data"))]
        return titled(RunConfig(plan.configs[0]), words).replace("folder", plan.folder.absolute().name, 1)[:120]
    swept = list(plan.space or []) or [word.partition("=")[0] for word in plan.jobs[0] if word not in common]
    keys = [key.lstrip("+").rpartition(".")[2] for key in swept]
    parts = ["search" if plan.search else "sweep", *keys, titled(RunConfig(plan.configs[0]), common, unnamed=swept)]
    return "-".join(part for part in parts if part)[:120]


@dataclass(frozen=True)
class Comparison:
    """Runs in order of a score, grouped over their seeds, and what made the difference."""

    ranking: "Ranking"
    title: str
    store: "Store"

    @property
    def sentences(self) -> list[str]:
        """Which factor matters, what the seeds do, where the metrics disagree."""
        from ampsim.comparing import comparison

        return comparison.sentences(self.ranking)

    def to_pandas(self) -> "pandas.DataFrame":
        """One row a config: its rank, seeds, and the mean and the spread of every score over the seeds."""
        from ampsim.comparing import comparison

        return from_csv(comparison.table(self.ranking))

    def plot(self) -> "Figure":
        """Each config's score with its runs, and ties."""
        from ampsim.comparing import comparison

        return comparison.figure(self.ranking)

    def write(self, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Table (CSV), figure (PNG), summary (Markdown) and listening page, into a folder.

        Raises:
            AmpsimError: the folder holds some of these already.
        """
        from ampsim.comparing import comparison

        folder = expanded(folder)
        comparison.refuse_existing(folder, overwrite=overwrite)
        comparison.write(self.store, self.ranking, folder, title=self.title)
        return [folder / name for name in comparison.FILES]

    def page(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """The study page as an HTML file: a table to sort and filter, effects, scores against each other, learning curves, and
        the sound of the best; that of others is linked to where it lies in the store.

        Raises:
            AmpsimError: the file exists or cannot be written.
        """
        from ampsim.pages import study

        return study.write(self.store, self.ranking, path, title=self.title, overwrite=overwrite)

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.sentences)
        return f"<h3>{html.escape(self.title)}</h3>{self.to_pandas().to_html(index=False)}<ul>{notes}</ul>"


def from_csv(text: str) -> "pandas.DataFrame":
    """The table that a file of the same content gives, so that a notebook and a spreadsheet see one thing."""
    import pandas

    return pandas.read_csv(io.StringIO(text))


@in_words_of_today
def compare(
    runs: Sequence[Run | str] = (),
    *,
    sweep: str = "",
    metric: str = "esr",
    folder: str | Path = "runs",
    uri: str | None = None,
    mlflow_experiment: str = "ampsim",
) -> Comparison:
    """Put runs in order: single ones, or all of a sweep (its parent's id or name, or `last`).

    Raises:
        AmpsimError: a run is not there, fewer than two finished, or none has this score.
    """
    from ampsim.comparing import comparison

    if sweep and runs:
        raise AmpsimError("say what to compare: either sweep=<its parent run> or runs=a,b,c, not both")
    store = opened_store(folder, uri, mlflow_experiment)
    if not (sweep or runs):
        raise AmpsimError(f"say what to compare: {store.offered()}")
    if sweep:
        parent = store.find_sweep(sweep)
        return Comparison(comparison.of_sweep(store, parent, metric), parent.name, store)
    names = [run.id if isinstance(run, Run) else run for run in runs]
    return Comparison(comparison.of_runs(store, names, metric), f"{len(names)} runs", store)


@in_words_of_today
def reproduce(
    run: Run | str = "last",
    *,
    config: str | Path | None = None,
    data: str | Path | None = None,
    observer: "Observer | None" = None,
    folder: str | Path = "runs",
    uri: str | None = None,
    mlflow_experiment: str = "ampsim",
) -> "tuple[Run, Verdict]":
    """Train again from a run's saved config, or from a config file, and judge how close it comes.

    Args:
        config: a saved config.yaml in place of a run; what lies beside it is compared with.
        data: the folder in which the recording is now, if it was moved.

    Raises:
        AmpsimError: a file of the recording is missing, or is not the one that the original was trained on.
    """
    from ampsim.judging import reproduction

    if config is None:
        again = handle(run, folder=folder, uri=uri, mlflow_experiment=mlflow_experiment)
        saved, notes = RunConfig.read(again.tracked.file("config.yaml"))
        original, store = reproduction.of_run(again.tracked, dict(saved.sections)), again.store
    else:
        from ampsim.runs.tracking import Store

        path = expanded(config)
        saved, notes = RunConfig.read(path)
        store = Store(folder, uri=uri or None, experiment=mlflow_experiment)
        original = reproduction.of_file(path, dict(saved.sections))
    moved = None if data is None else expanded(data)
    with watched(observer) as watching:
        for note in notes:
            watching.notice(note)
        result, verdict = reproduction.reproduce(original, store, recordings=moved, observer=watching)
    return Run(result.tracked, store, result=result), verdict
