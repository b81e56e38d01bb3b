"""The commands. Each loads what it needs and no more, so that `--help` and a typo answer at once."""

import io
import os
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from ampsim import AmpsimError, __version__, printable
from ampsim.config.plugins import name_folders
from ampsim.config.targets import assignments, nearest
from ampsim.runs.locations import refuse_unreachable

HELP = """\
ampsim {version}: learn a guitar amplifier from a recording of its input and output

  ampsim train [key=value ...]        train a net, score it, keep everything in MLflow
  ampsim doctor input=... [target=...]
                                      what is wrong with a recording, before it costs a training
  ampsim evaluate [run=last]          score a run's model again
  ampsim render run=last input=... output=...
                                      play a recording through a run's model, or capture=amp.nam
  ampsim compare sweep=... | runs=a,b,c
                                      put runs in order, and say what made the difference
  ampsim reproduce [run=last] | config=config.yaml
                                      train from a saved config and judge how close it comes
  ampsim export [run=last] format=nam output=...
                                      take a run's model out: nam, rtneural, aidax, onnx, litert, keras
  ampsim register [run=last] name=... put a run's model into MLflow's registry
  ampsim sync                         send what runs kept on disk while their MLflow server was away
  ampsim ui                           open MLflow's page of the runs on 127.0.0.1
  ampsim votes file.json ...          sum up what listeners answered on listening pages

`ampsim COMMAND --help` tells about one of them. Start with `ampsim train`: it needs no recording.
A run is named by its id, its name or `last`. AMPSIM_DEBUG=1 shows where an error came from.
Exit codes: 0 done, 2 something to mend (the message says what), 3 the training diverged, 4 a reproduction came out
different, 130 interrupted, 1 anything else.
"""

TRAIN_HELP = """\
ampsim train [key=value ...] trains the run that the config describes.

Choices (GROUP=NAME):
{choices}
Values (KEY=VALUE), for instance:
  data=stereo data.path=my_amp.wav    your own recording: left direct, right amp
  model.layers=2 optimizer=adam       another net, another optimizer
  training.epochs=50 seed=1           longer, from other random numbers
  training.seconds=60                 a budget in seconds instead
  training.resume=true                go on with a run that was interrupted
  plugins=my_parts                    parts of your own, from a folder with a package that has a conf/ inside
`ampsim train --cfg job` prints the whole config. -m sweeps: `ampsim train -m model.layers=1,2,3 seed=0,1` makes six runs,
several at a time with hydra/launcher=joblib; hydra/sweeper=optuna searches. The README tells more.
"""

VOTES_HELP = """\
ampsim votes file.json ... sums up what listeners answered on listening pages (listen.html of a run or a comparison).

Each names one or more files that the page's Download or Copy made. ABX tests: right answers of all listeners, the
exact one-sided binomial p and Clopper and Pearson's 95 % interval. MUSHRA: mean ratings with 95 % intervals over
listeners, without those who, after ITU-R BS.1534, miss the hidden reference in more than 15 % of the excerpts.
"""


def needed(text: str) -> Any:
    return field(metadata={"help": text})


def option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    folder: str = option("runs", "where the runs are kept")
    uri: str = option("", "another MLflow store, as tracking.uri in the config")
    experiment: str = option("ampsim", "the MLflow experiment, as tracking.experiment in the config")

    def __post_init__(self) -> None:
        refuse_unreachable(self.uri)  # before anything is loaded, which takes seconds

    def store(self) -> Any:
        from ampsim.runs.tracking import Store

        return Store(self.folder, uri=self.uri or None, experiment=self.experiment)


@dataclass(frozen=True, kw_only=True)
class Evaluate(StoreOptions):
    """Score a run's model on its recording."""

    run: str = option("last", "id, name or last")
    split: str = option("test", "train, validation or test")


@dataclass(frozen=True, kw_only=True)
class Render(StoreOptions):
    """Play a recording of any length through a run's model, or through a capture, at constant memory."""

    input: str = needed("an audio file, or a folder of them")
    output: str = needed("the file to write (.wav, .flac, .aiff), or a folder")
    run: str = option("last", "id, name or last")
    capture: str = option("", "a .nam file to play in place of a run")
    channel: int = option(-1, "which channel of the input to play, counted from 0; needed where it has several")
    overwrite: bool = option(False, "replace what exists")


@dataclass(frozen=True, kw_only=True)
class Compare(StoreOptions):
    """Put runs in order by a score, grouped over their seeds, and say what made the difference."""

    sweep: str = option("", "all runs of a sweep: its parent's id or name, or last")
    runs: str = option("", "or single runs, a,b,c: each an id, a name or last")
    metric: str = option("esr", "the score to order by, as `ampsim evaluate` has them")
    output: str = option("", "a folder for the table (CSV), the figure (PNG) and a summary (Markdown)")
    overwrite: bool = option(False, "replace what is in that folder")


@dataclass(frozen=True, kw_only=True)
class Reproduce(StoreOptions):
    """Train again from a run's saved config, on the same recording, and judge how close it comes."""

    run: str = option("last", "id, name or last")
    config: str = option("", "or a saved config.yaml; what lies beside it is compared with")
    data: str = option("", "the folder in which the recording is now, if it was moved")


@dataclass(frozen=True, kw_only=True)
class Export(StoreOptions):
    """Write a run's model for players and runtimes, and prove that it plays there as it does here."""

    format: str = needed("nam, rtneural, aidax, onnx, litert or keras; several with commas between them")
    output: str = needed("the file to write, or a folder")
    run: str = option("last", "id, name or last")
    name: str = option("", "what a player shows; the run's name if nothing is said")
    modeled_by: str = option("", "who made the model")
    gear_type: str = option("", "amp, pedal, pedal_amp, amp_cab, amp_pedal_cab, preamp or studio")
    gear_make: str = option("", "of the amp")
    gear_model: str = option("", "of the amp")
    tone_type: str = option("", "clean, overdrive, crunch, hi_gain or fuzz")
    block: int = option(256, "samples in a block, for onnx and litert")
    overwrite: bool = option(False, "replace what exists")


@dataclass(frozen=True, kw_only=True)
class Register(StoreOptions):
    """Put a run's model into MLflow's registry, with its signature and an example, as the next version of a name."""

    name: str = needed("of the registered model")
    run: str = option("last", "id, name or last")


@dataclass(frozen=True, kw_only=True)
class Ui(StoreOptions):
    """Serve MLflow's page of the runs on 127.0.0.1."""

    port: int = option(5000, "the port to listen on")


@dataclass(frozen=True, kw_only=True)
class Sync:
    """Send what runs kept on disk while their MLflow server was away; it may be said again at any time."""

    folder: str = option("runs", "where the runs are kept")


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Diagnose a recording: delay, drift, gaps, clipping, hum, and what else would spoil training."""

    input: str = needed("a stereo file (left: direct, right: amp), or the direct signal")
    target: str = option("", "the amp's file, where it is another one")
    input_channel: int = option(0, "channel of the direct signal in a stereo file, counted from 0")
    target_channel: int = option(1, "channel of the amp in a stereo file")
    json: str = option("", "a file for the findings as JSON")
    html: str = option("", "a file for a page with figures")
    overwrite: bool = option(False, "replace what exists")


def main(arguments: Sequence[str] | None = None) -> int:
    """The `ampsim` command; returns its exit code: 0 done, 2 the user can mend it, 3 diverged, 4 a reproduction
    came out different, 130 interrupted, 1 anything else."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command, rest = (words[0], words[1:]) if words else ("--help", [])
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a letter of a file's name is no reason to stop
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        if command in ("--help", "-h", "help"):
            print(HELP.format(version=__version__), end="")
        elif command == "--version":
            print(__version__)
        elif command in COMMANDS:
            COMMANDS[command](name_folders(rest))
        else:
            raise AmpsimError(f"there is no command `{command}`{nearest(command, list(COMMANDS))}")
    except AmpsimError as error:
        if os.environ.get("AMPSIM_DEBUG"):
            traceback.print_exc()
        print(f"ampsim: {printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nampsim: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except OSError as error:  # a disk, a folder or a name that the system refuses, wherever that comes up
        if os.environ.get("AMPSIM_DEBUG"):
            traceback.print_exc()
        print(printable(f"ampsim: {error.filename or 'the system'}: {error.strerror or error}"), file=sys.stderr)
        return AmpsimError.exit_code
    except Exception as error:
        # NumPy's and TensorFlow's, wherever memory ends; TensorFlow may not be imported to ask for its own.
        if os.environ.get("AMPSIM_DEBUG") or not (
            isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
        ):
            raise
        print(
            "ampsim: the memory does not suffice: a shorter recording, a smaller model or training.batch_size, "
            "or a machine with more",
            file=sys.stderr,
        )
        return AmpsimError.exit_code
    return 0


# ---- train ----------------------------------------------------------------------------------------------------------


def train(words: list[str]) -> None:
    from ampsim.config import settings
    from ampsim.studies import plans

    if any(word in ("--help", "-h") for word in words):
        lines = [f"  {group:<11}{', '.join(settings.choices(group))}\n" for group in settings.groups()]
        print(TRAIN_HELP.format(choices="".join(lines)), end="")
        return
    overrides, multirun = settings.split_flags(words)
    plan = plans.planned(overrides, multirun=multirun)
    config = plan.configs[0] if plan else settings.composed(overrides)
    if {word for word in words if word not in overrides} - {"-m", "--multirun"}:
        through_hydra(words)
        return
    refuse_unreachable(config["tracking"]["uri"])
    if plan:
        train_many(plan, words)
    else:
        train_one(config, overrides)


def through_hydra(words: list[str]) -> None:
    """Let Hydra act on its own flags: those of `settings.FLAGS`."""
    import hydra

    from ampsim.config import schema, settings

    failures: list[AmpsimError] = []

    @hydra.main(config_path=str(settings.config_folder()), config_name="config", version_base="1.3")
    def job(config: Any) -> None:
        from hydra.core.hydra_config import HydraConfig

        try:
            train_one(schema.checked(settings.plain(config)), list(HydraConfig.get().overrides.task))
        except AmpsimError as error:
            failures.append(error)

    settings.register_schema()
    sys.argv = ["ampsim train", *words]
    job()
    if failures:
        raise failures[-1]


def train_many(plan: Any, words: list[str]) -> None:
    """A sweep or a search: see `sweeps.run`."""
    from functools import partial

    from ampsim.cli.display import ProgressLine, duration, standing_line, sweep_table
    from ampsim.config import settings
    from ampsim.studies import plans

    tracking = plan.configs[0]["tracking"]
    console, started = new_console(), time.perf_counter()
    with console.status("loading MLflow ..."):
        from ampsim.studies import sweeps
        from ampsim.studies.jobs import Job, Task
        from ampsim.studies.search import Seeker

    common = [word for word in plan.jobs[0] if all(word in words for words in plan.jobs)]

    def job(overrides: list[str], config: dict[str, Any]) -> Job:
        # A name may be cut, so what is the job's own stands first.
        name = run_name(config, sorted(overrides, key=common.__contains__))
        return Job(config["name"] or name, overrides, config, sweeps.key_of(config))

    jobs = [job(*each) for each in zip(plan.jobs, plan.configs, strict=True)]
    seeker = None
    if plan.search:
        make = lambda overrides: job(overrides, settings.composed(overrides))  # noqa: E731
        folder = Path(tracking["folder"])
        seeker = Seeker(plan.search, plan.space, plan.jobs[0], make, folder=folder, workers=plan.workers)

    def progress(standing: Any) -> None:
        for row in standing.ended:
            esr = row.metrics.get("best_validation_esr")
            came_to = row.note if esr is None else f"validation ESR {esr:.4f}"
            say(console, ", ".join([f"{row.job.name}: {row.status} after {duration(row.duration_s)}", came_to]))
        line.show(standing_line(standing))

    options = plan.sweep
    task = Task([], {}, plan.threads, options.job_timeout_s)
    task.deadline = None if options.budget_s is None else time.time() + options.budget_s
    say(console, f"{'a search' if seeker else f'{len(jobs)} jobs'}, {plan.workers} at a time")
    with ProgressLine(console) as line:
        result = sweeps.run(
            jobs,
            name=sweep_name(plan, common),
            command=shlex.join(["ampsim", "train", *words]),
            tracking=tracking,
            resume=options.resume,
            task=task,
            launch=partial(plans.launch, plan.overrides),
            notice=partial(say, console),
            progress=progress,
            seeker=seeker,
        )
    console.print()
    console.print(sweep_table(result))
    console.print()
    say(console, f"{duration(time.perf_counter() - started)} in all; see it all: ampsim ui{store_words(tracking)}")
    for number in result.best:
        say(console, f"best: ampsim train {shlex.join(result.rows[number].job.overrides)}")
    if waiting := sum(row.status == "not begun" for row in result.rows):
        say(console, f"{waiting} jobs have not begun; the same command goes on with them")
    if result.failure:
        raise result.failure


def train_one(config: dict[str, Any], overrides: list[str]) -> None:
    from ampsim.cli.display import ProgressLine, duration, score_table

    started = time.perf_counter()
    console = new_console()
    name = config.get("name") or run_name(config, overrides)
    with console.status("loading TensorFlow ..."), quiet_stderr():
        from ampsim.runs import experiment
    with ProgressLine(console) as line:
        result = experiment.run(
            config,
            name=name,
            overrides=overrides,
            notice=lambda text: say(console, text),
            report=line.training,
            interruptible=True,
        )
    tracking = config["tracking"]
    epochs = result.state.rounds[-1]["epoch"] if result.state.rounds else 0
    say(
        console,
        f"trained {duration(result.state.elapsed_s)} ({epochs:g} epochs), {duration(time.perf_counter() - started)} in all",
    )
    console.print()
    console.print(score_table(result.scores, f"{result.name} on the test split"))
    console.print()
    where = store_words(tracking)
    of = f"{shlex.quote(result.name)}{where}" + (
        f" experiment={shlex.quote(tracking['experiment'])}" if tracking["experiment"] != "ampsim" else ""
    )
    say(console, f"rendered audio: {short(result.audio)}\nlisten to it:   {short(result.page)} (in a browser)")
    say(console, f"see it all:     ampsim ui{where}")
    say(console, f"play through it: ampsim render run={of} input=riff.wav output=out.wav")
    if result.stopped:
        words = [word for word in overrides if not word.startswith("training.resume=")]
        say(console, f"interrupted; to go on: {shlex.join(['ampsim', 'train', *words, 'training.resume=true'])}")
        raise SystemExit(130)


def store_words(tracking: dict[str, Any]) -> str:
    """What a command needs to be told to look into this store."""
    where = "" if Path(tracking["folder"]) == Path("runs").absolute() else f" folder={shlex.quote(tracking['folder'])}"
    return where + (f" uri={shlex.quote(tracking['uri'])}" if tracking["uri"] else "")


def run_name(config: dict[str, Any], overrides: Sequence[str]) -> str:
    """A readable name from the choices and what was overridden: virtual_amp-dense-layers=2-optimizer=sgd."""
    chosen = assignments(overrides)
    whole = chosen.pop("experiment", "null")  # a whole run has said what data and model are
    kind = config["model"]["_target_"].rpartition(".")[2].lower()
    usual = {"data": "virtual_amp", "model": kind} if whole == "null" else {}
    named = [chosen.pop(group, usual.get(group, "")) for group in ("data", "model")]
    parts = [part for part in (*([] if whole == "null" else [whole]), *named) if part]
    for key, value in chosen.items():
        if not key.startswith(("tracking", "name", "training.resume", "hydra", "sweep")) and not value.startswith("["):
            parts.append(f"{key.rpartition('.')[2]}={Path(value).name}")
    return "-".join(parts)[:120]


def sweep_name(plan: Any, common: list[str]) -> str:
    """What is swept, and what the jobs have in common: sweep-layers-optimizer-virtual_amp-dense-units=8."""
    swept = list(plan.space or []) or [word.partition("=")[0] for word in plan.jobs[0] if word not in common]
    keys = [key.lstrip("+").rpartition(".")[2] for key in swept]
    return "-".join(["search" if plan.search else "sweep", *keys, run_name(plan.configs[0], common)])[:120]


# ---- doctor ----------------------------------------------------------------------------------------------------------


def doctor(words: list[str]) -> None:
    options = parsed(Doctor, words)
    from ampsim.cli.display import findings_table
    from ampsim.doctor import diagnosed, loaded, page

    for path in filter(None, (options.json, options.html)):
        if Path(path).expanduser().exists() and not options.overwrite:
            raise AmpsimError(f"{path} exists; say overwrite=true to replace it")
    console = new_console()
    with console.status("listening ..."):
        take, known = loaded(
            options.input, options.target, input_channel=options.input_channel, target_channel=options.target_channel
        )
        found = diagnosed(take, known)
    console.print(findings_table(found.findings))
    say(console, f"\n{found.name}, {page.summary(found)}")
    for path, make in ((options.json, page.as_json), (options.html, page.as_html)):
        if path:
            page.write(Path(path).expanduser(), make(found))
            say(console, f"-> {path}")
    if found.count("error"):
        raise SystemExit(AmpsimError.exit_code)


# ---- evaluate, render, ui, votes ------------------------------------------------------------------------------------


def evaluate(words: list[str]) -> None:
    options = parsed(Evaluate, words)
    if options.split not in ("train", "validation", "test"):
        raise AmpsimError(f"split={options.split}{nearest(options.split, ['train', 'validation', 'test'])}")
    refuse_empty(options)
    from ampsim.config.saved import read_config

    console = new_console()
    with console.status("loading TensorFlow ..."), quiet_stderr():
        from ampsim.cli.display import score_table
        from ampsim.runs import experiment
    tracked = options.store().find(options.run)
    read_config(tracked.file("config.yaml"))  # the store may come from someone else
    with console.status("rendering ..."):
        scores = experiment.score_again(tracked, options.split, notice=lambda text: say(console, text))
    console.print(score_table(scores, f"{tracked.name} on the {options.split} split"))


def render(words: list[str]) -> None:
    options = parsed(Render, words)
    from ampsim.cli.display import ProgressLine, duration
    from ampsim.signals.audio import destinations

    planned = destinations(Path(options.input), Path(options.output), overwrite=options.overwrite)
    console = new_console()
    renderer: Any = player(options.capture, console) if options.capture else None
    if not options.capture:
        refuse_empty(options)
    with console.status("loading TensorFlow ..."), quiet_stderr():
        from ampsim.models.rendering import Renderer, render_file
    if not options.capture:
        from ampsim.runs import experiment

        renderer = Renderer(experiment.load_model(options.store().find(options.run)))
    channel = None if options.channel < 0 else options.channel
    for source, destination in planned:
        started = time.perf_counter()
        with ProgressLine(console) as line:
            for done, total in render_file(
                renderer,
                source,
                destination,
                channel=channel,
                overwrite=options.overwrite,
                notice=lambda text: say(console, text),
            ):
                elapsed = time.perf_counter() - started
                left = elapsed * (total - done) / max(done, 1e-9)
                line.show(
                    f"{source.name}: {duration(done)} of {duration(total)}, {done / elapsed:.1f}× real time, "
                    f"{duration(left)} left"
                )
        say(console, f"{source} -> {destination}")


def compare(words: list[str]) -> None:
    options = parsed(Compare, words)
    wanted = [name.strip() for name in options.runs.split(",") if name.strip()]
    if bool(options.sweep) == bool(wanted):
        raise AmpsimError("say what to compare: either sweep=<its parent run> or runs=a,b,c")
    refuse_empty(options)
    console = new_console()
    with console.status("reading the runs ..."):
        from ampsim.cli.display import ranking_table
        from ampsim.comparing import comparison

        if options.output:
            comparison.refuse_existing(Path(options.output), overwrite=options.overwrite)
        store = options.store()
        parent = store.find_sweep(options.sweep) if options.sweep else None
        ranking = (
            comparison.of_sweep(store, parent, options.metric)
            if parent
            else comparison.of_runs(store, wanted, options.metric)
        )
    title = parent.name if parent else f"{len(wanted)} runs"
    console.print(ranking_table(ranking, f"{title} on the test split", told=comparison.told, width=console.width))
    console.print()
    for sentence in comparison.sentences(ranking):
        say(console, sentence)
    for note in ranking.notes:
        say(console, f"warning: {note}")
    for name, why in ranking.left_out:
        say(console, f"left out: {name} ({why})")
    if options.output:
        comparison.write(store, ranking, Path(options.output), title=title)
        say(console, f"written: {', '.join(str(Path(options.output) / name) for name in comparison.FILES)}")
    if parent:
        say(console, f"kept in MLflow: comparison/ of {parent.name}")


def reproduce(words: list[str]) -> None:
    options = parsed(Reproduce, words)
    if options.config and any(word.startswith("run=") for word in words):
        raise AmpsimError("say what to make again: either run=... or config=...")
    from ampsim.config.saved import read_config

    path = Path(options.config).expanduser()
    if options.config:
        config, notes = read_config(path)
    else:
        refuse_empty(options)
    store = options.store()
    if not options.config:
        tracked = store.find(options.run)
        config, notes = read_config(tracked.file("config.yaml"))
    from ampsim.cli.display import ProgressLine, score_table

    console = new_console()
    with console.status("loading TensorFlow ..."), quiet_stderr():
        from ampsim.comparing import reproduction
    for note in notes:
        say(console, note)
    original = reproduction.of_file(path, config) if options.config else reproduction.of_run(tracked, config)
    with ProgressLine(console) as line:
        result, verdict = reproduction.reproduce(
            original,
            store,
            recordings=Path(options.data).expanduser() if options.data else None,
            notice=lambda text: say(console, text),
            report=line.training,
        )
    console.print(score_table(result.scores, f"{result.name} on the test split"))
    console.print()
    say(console, str(verdict))
    if verdict.word == "different":
        raise reproduction.DifferentError(f"{result.name} is not what {original.name} was")


def player(path: str, console: Any) -> Any:
    """What plays a capture, after a look at whether it is as loud as it states."""
    from ampsim.players import read
    from ampsim.recordings.captured import level_fault

    capture = read(path)
    fault = level_fault(capture)
    stated = "" if capture.loudness_db is None else f", loudness {capture.loudness_db:.1f} dB"
    say(console, f"warning: {fault}" if fault else f"{capture.name}: a {capture.architecture}{stated}")
    return capture.player


def export(words: list[str]) -> None:
    options = parsed(Export, words)
    refuse_empty(options)
    console = new_console()
    with console.status("loading TensorFlow ..."), quiet_stderr():
        from ampsim.runs import experiment
    tracked = options.store().find(options.run)
    details = {
        key: getattr(options, key) for key in ("modeled_by", "gear_type", "gear_make", "gear_model", "tone_type")
    }
    with console.status("writing and proving ..."), quiet_stderr():
        exports = experiment.take_out(
            tracked,
            options.format,
            Path(options.output),
            overwrite=options.overwrite,
            name=options.name or tracked.name,
            block_length=options.block,
            **details,
        )
    for made in exports:
        say(console, made.told())
        if made.players:
            say(console, made.players)
    if exports[0].latency:
        say(console, f"the model hears the future, so a player gives its output late: by {exports[0].latency}")


def register(words: list[str]) -> None:
    options = parsed(Register, words)
    refuse_empty(options)
    console = new_console()
    with console.status("loading TensorFlow ..."), quiet_stderr():
        from ampsim.runs import experiment
    tracked = options.store().find(options.run)
    with console.status("registering ..."), quiet_stderr():
        version = experiment.register(tracked, options.name)
    of = f"{options.name}/{version}"
    say(console, f"{tracked.name} is version {version} of {options.name}: mlflow.pyfunc.load_model('models:/{of}')")


def sync(words: list[str]) -> None:
    options = parsed(Sync, words)
    if not (Path(options.folder) / "unsent").exists():
        raise AmpsimError(f"{Path(options.folder).absolute()} holds no run that waits to be sent: say folder=...")
    from ampsim.runs import tracking

    tracking.sync(Path(options.folder), notice=print)


def ui(words: list[str]) -> None:
    options = parsed(Ui, words)
    refuse_empty(options)
    from ampsim.runs.locations import serve_page

    print(f"http://127.0.0.1:{options.port} shows the runs in {options.folder}; Ctrl-C ends it", flush=True)
    code = serve_page(options.folder, options.uri or None, options.port)
    if code not in (0, -2, 130):
        raise AmpsimError(
            f"MLflow's page ended with exit code {code}: is port {options.port} taken? Try port={options.port + 1}"
        )


def votes(words: list[str]) -> None:
    if any(word in ("--help", "-h") for word in words):
        print(VOTES_HELP, end="")
        return
    if not words:
        raise AmpsimError("name the files with votes: ampsim votes anna.json ben.json")
    from ampsim.cli.display import abx_table, mushra_table
    from ampsim.report.votes import summaries

    console = new_console()
    abx, mushra = summaries([Path(word) for word in words], notice=lambda text: say(console, text))
    for pair in abx:
        console.print(abx_table(pair))
        console.print()
    for page in mushra:
        if page.ratings:
            console.print(mushra_table(page))
        for name, (missed, excerpts) in page.excluded.items():
            say(
                console,
                f"{name} is left out of {page.title}, after ITU-R BS.1534: the hidden reference got less than 90 in "
                f"{missed} of {excerpts} excerpts",
            )
        console.print()


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "train": train,
    "doctor": doctor,
    "evaluate": evaluate,
    "render": render,
    "compare": compare,
    "reproduce": reproduce,
    "export": export,
    "register": register,
    "sync": sync,
    "ui": ui,
    "votes": votes,
}


def refuse_empty(options: StoreOptions) -> None:
    folder = Path(options.folder)
    if not options.uri and not (folder / "mlflow.db").exists():
        raise AmpsimError(f"{folder.absolute()} holds no runs yet: make one with `ampsim train`, or say folder=...")


# ---- What the commands share ----------------------------------------------------------------------------------------


def parsed(options: type, words: Sequence[str]) -> Any:
    """`key=value` words as an instance of an options class; its help, if that is what was asked for."""
    known = {each.name: each for each in fields(options)}
    if any(word in ("--help", "-h") for word in words):
        print(f"ampsim {options.__name__.lower()} [key=value ...]: {options.__doc__}\n")
        width = max(map(len, known)) + 2
        for each in known.values():
            default = (
                "needed"
                if each.default is MISSING
                else f"default {each.default}"
                if each.default not in ("", -1)
                else ""
            )
            print(f"  {each.name:<{width}}{each.metadata['help']}{f' ({default})' if default else ''}")
        raise SystemExit(0)
    values: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in known:
            raise AmpsimError(f"`{word}` is not understood{nearest(name, list(known))} (options are key=value)")
        values[name] = converted(name, value, known[name].type)
    missing = [each.name for each in known.values() if each.default is MISSING and each.name not in values]
    if missing:
        raise AmpsimError(f"{missing[0]} has no value: add {missing[0]}=... to the command")
    return options(**values)


def converted(name: str, value: str, kind: Any) -> Any:
    if kind is bool:
        if value.lower() not in ("true", "false"):
            raise AmpsimError(f"{name}={value}: it is true or false")
        return value.lower() == "true"
    if kind is int:
        try:
            return int(value)
        except ValueError:
            raise AmpsimError(f"{name}={value}: it is a whole number") from None
    return value


def new_console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


def say(console: Any, text: str) -> None:
    """A line as it is: no markup read from file names, no line broken where it cannot be copied."""
    console.print(printable(text), markup=False, soft_wrap=True)


def short(path: Path) -> Path:
    """The path as seen from here, where that is shorter."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what is written to standard error below Python (TensorFlow greets there), unless something fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            hidden.seek(0)
            os.write(kept, hidden.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


if __name__ == "__main__":
    sys.exit(main())
