"""`ampsim train`: one run, or with -m many."""

import shlex
import shutil
import sys
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from ampsim import AmpsimError, __version__, counted
from ampsim.cli.terminal import load, new_console, say, short
from ampsim.commands.options import Train
from ampsim.commands.words import KEYS, NO_FILE, WIDTH, as_typed, help_of, of_today, with_keys
from ampsim.config.run_config import RunConfig
from ampsim.files import expanded
from ampsim.runs.locations import database_uri, refuse_unreachable
from ampsim.runs.machine import TerminatedError

if TYPE_CHECKING:
    from ampsim.studies.plans import Plan

HYDRAS_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")  # which --info may name
HELP = """\
{head}
Choices (GROUP=NAME):
{choices}
Values (KEY=VALUE), for instance:
  model.layers=2 optimizer=adam  another net, another optimizer
  training.epochs=50 seed=1      longer, from other random numbers; training.seconds=60 is a budget
  training.resume=true           continue a run that was interrupted
  input=di.wav target=amp.wav    two mono files; a folder of captures is named like a stereo file,
                                 and so is a sheet of an amp's settings (`ampsim plan` writes one)
  folder=/mnt/runs               where to keep the runs; with uri= and mlflow_experiment= in MLflow
  plugins=my_parts               parts of your own, from a folder with a package that has a conf/

--cfg job prints the whole config, --info where each value comes from. -m sweeps: one run for each
combination, several at a time with hydra/launcher=joblib; hydra/sweeper=optuna searches.
"""


def train(words: list[str]) -> None:
    from ampsim.config import settings

    if any(word in ("--help", "-h") for word in words):
        lines = [f"  {group:<11}{', '.join(settings.choices(group))}" for group in settings.groups()]
        folded = "".join(f"{fill(line, WIDTH, subsequent_indent=' ' * 13)}\n" for line in lines)
        print(HELP.format(head=help_of(Train), choices=folded), end="")
        return
    if "--version" in words:
        print(__version__)  # and not Hydra's
        return
    of_today(words, {key: word for word, key in KEYS.items()})  # which tells of them: a key is understood as it stands
    shown = "--info" in words and not set(words) & set(HYDRAS_INFO)
    words = [word for word in words if word != "--info"] if shown else words
    words = [settings.as_meant(word) for word in with_keys(with_recording(words))]
    if shown:
        from ampsim.commands.origins import table

        print(table(settings.split_flags(words)[0], shutil.get_terminal_size((100, 24)).columns), end="")
        return
    overrides, multirun = settings.split_flags(words)
    plan = planned(overrides, multirun)
    config = plan.configs[0] if plan else settings.composed(overrides)
    if {word for word in words if word not in overrides} - {"-m", "--multirun"}:
        through_hydra(words)
        return
    refuse_unreachable(config["tracking"]["uri"] or database_uri(config["tracking"]["folder"]))
    if plan:
        train_many(plan, words)
    else:
        train_one(config, overrides)


def with_recording(words: list[str]) -> list[str]:
    """The words with files and folders that are named without a key as the recording: a stereo file, the direct signal and
    the amp's, a sheet of settings, or a folder of captures.

    Raises:
        AmpsimError: there are more of them, or one is not there.
    """
    flagged = {after for flag, after in pairwise(words) if flag.startswith("-") and flag not in ("-m", "--multirun")}
    keys = [word for word in words if "=" in word or word[:1] in "-+" or (word[:1] == "~" and word[1:2] != "/")]
    keys = [word for word in keys if not expanded(word).is_file()]  # a file may be called `a=b.wav`
    plain = [word for word in words if word not in keys and word not in flagged]
    if not plain:
        return words
    if missing := [word for word in plain if not expanded(word).exists()]:
        raise AmpsimError(NO_FILE.format(missing[0]))
    if len(plain) > 2:
        raise AmpsimError(
            f"{len(plain)} files: name one stereo file, the direct signal and the amp's, or data.path=[...]"
        )
    from ampsim.api import data_words
    from ampsim.recordings.sheet import ENDINGS

    rest = [word for word in words if word not in plain]
    if len(plain) == 2:
        return [*data_words(None, plain[0], plain[1], {}), *rest]
    kind = {"data": "folder"} if expanded(plain[0]).is_dir() else {}
    kind = {"data": "knobs"} if plain[0].lower().endswith(ENDINGS) else kind
    return [*data_words(plain[0], None, None, kind), *rest]


def planned(overrides: list[str], multirun: bool) -> "Plan | None":
    """The sweep that a command asks for, or None for one run; an ampsim without `studies/` knows single runs alone."""
    if not find_spec("ampsim.studies"):
        if multirun:
            raise AmpsimError("this ampsim has no studies: -m is not to be had")
        return None
    from ampsim.studies import plans

    return plans.planned(overrides, multirun=multirun)


def through_hydra(words: list[str]) -> None:
    """Let Hydra act on its own flags: those of `settings.FLAGS`."""
    import hydra

    from ampsim.config import schema, settings
    from ampsim.config.plugins import config_folder

    failures: list[AmpsimError] = []

    @hydra.main(config_path=str(config_folder()), config_name="config", version_base="1.3")
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


def train_many(plan: "Plan", words: list[str]) -> None:
    """A sweep or a search: see `sweeps.run`."""
    from ampsim import api
    from ampsim.cli.display import standing_line, sweep_table
    from ampsim.cli.terminal import ProgressLine, duration, worded

    tracking = plan.configs[0]["tracking"]
    console, started = new_console(), time.perf_counter()
    load(console, "ampsim.studies.sweeps", "MLflow")

    def progress(standing: Any) -> None:
        for row in standing.ended:
            esr = row.metrics.get("best_validation_esr")
            came_to = " ".join(row.note.split()) if esr is None else f"validation ESR {esr:.4f}"
            ended = f"{row.name}: {row.status} after {duration(row.duration_s)}"
            say(console, ", ".join([ended, came_to] if came_to else [ended]))
        line.show(standing_line(standing))

    say(console, f"{'a search' if plan.search else counted(len(plan.jobs), 'job')}, {plan.workers} at a time")
    command = shlex.join(["ampsim", "train", *words])
    try:
        with ProgressLine(console) as line:
            swept = api.swept(plan, command=command, notice=lambda text: say(console, text), progress=progress)
    except KeyboardInterrupt as error:
        say(console, f"{ended_by(error)}; the same command goes on")
        raise
    result = swept.result
    console.print()
    console.print(sweep_table(result))
    console.print()
    if doubtful := [row for row in result.rows if row.finished and row.note]:
        told = f"{len(doubtful)} of {counted(len(result.rows), 'job')} may have learnt nothing; the first, {doubtful[0].name}"
        console.print(worded(f"{told}: {doubtful[0].note}", style="bold yellow"), soft_wrap=True)
    say(console, f"{duration(time.perf_counter() - started)} in all; see it all: ampsim ui{store_words(tracking)}")
    for number in result.best:
        say(console, f"best: ampsim train {shlex.join(as_typed(result.rows[number].overrides))}")
    if waiting := sum(row.status == "not begun" for row in result.rows):
        say(console, f"{waiting} jobs have not begun; the same command goes on with them")
    if result.failure:
        raise result.failure


def train_one(config: dict[str, Any], overrides: list[str]) -> None:
    from ampsim import api
    from ampsim.cli.display import score_table
    from ampsim.cli.terminal import TerminalObserver, duration, worded
    from ampsim.config.targets import build
    from ampsim.recordings.preparing import prepare

    started = time.perf_counter()
    console = new_console()
    with TerminalObserver(console) as observer:  # a recording that cannot work is told before TensorFlow is loaded
        recording = prepare(build(config["data"], "data"), notice=observer.notice)
    load(console, "ampsim.runs.experiment")
    going_on = shlex.join(["ampsim", "train", *drop_resume(as_typed(overrides)), "training.resume=true"])
    try:
        with TerminalObserver(console) as observer:
            composed = RunConfig(config, tuple(overrides))
            run = api.trained(composed, recording=recording, observer=observer, interruptible=True)
    except KeyboardInterrupt as error:  # and what is one, TerminatedError
        say(console, f"{ended_by(error)}; to go on: {going_on}")
        raise
    assert run.result is not None
    tracking = config["tracking"]
    epochs = next((each["epoch"] for each in reversed(run.result.state.intervals)), 0)
    spent = f"trained {duration(run.result.state.elapsed_s)} ({epochs:.3g} epoch{'' if epochs == 1 else 's'})"
    say(console, f"{spent}, {duration(time.perf_counter() - started)} in all")
    console.print()
    console.print(score_table(run.scores, f"{run.name} on the test split"))
    console.print()
    for doubt in run.result.doubts:
        console.print(worded(f"this run may have learnt nothing: {doubt}", style="bold yellow"), soft_wrap=True)
    where = store_words(tracking)
    of = f"{shlex.quote(run.name)}{where}" + (
        f" mlflow_experiment={shlex.quote(tracking['experiment'])}" if tracking["experiment"] != "ampsim" else ""
    )
    say(console, f"every score:    ampsim evaluate run={of} verbose=true")
    if run.tracked.here:  # from elsewhere come copies, which end with this process
        say(console, f"rendered audio: {as_last(run.audio['prediction'])}")
    if run.tracked.here and find_spec("ampsim.report"):
        say(console, f"listen to it:   {as_last(run.listen().path)} (in a browser)")
    say(console, f"see it all:     ampsim ui{where}")
    from ampsim.recordings.controls import in_the_middle

    setting = in_the_middle(run.model.controls)
    knobs = "".join(f" {shlex.quote(f'{name}={value}')}" for name, value in setting.items())
    say(console, f"play through it: ampsim render run={of} input=riff.wav output=out.wav{knobs}")
    if find_spec("ampsim.export"):
        say_plugin(console, (run.at(**setting) if setting else run).model, of + knobs)
    if run.result.stopped:
        say(console, f"interrupted; to go on: {going_on}")
        raise SystemExit(130)


def ended_by(error: KeyboardInterrupt) -> str:
    return str(error) if isinstance(error, TerminatedError) else "interrupted"


def say_plugin(console: Any, model: Any, of: str) -> None:
    """Which file plugins play the net from, who reads it and what it costs there."""
    from ampsim import export
    from ampsim.models.cost import told_speed

    found = export.for_plugins(model)
    if not found:
        say(console, "in a plugin:    none plays this model from a file (ampsim export format=onnx is for programs)")
        return
    say(
        console,
        f"in a plugin:    ampsim export run={of} format={found.name} output={'rig' if found.folder else 'exports'}",
    )
    for note in (found.players(model), told_speed(found.speed(model))):
        if note:
            say(console, f"                {note}")


def as_last(path: Path) -> Path:
    """A file among a run's artifacts as seen from here, by the store's link `last` while that leads to this run."""
    artifacts = next((each for each in path.parents if each.name == "artifacts"), path)
    last = artifacts.parents[2] / "last" if len(artifacts.parents) > 2 else artifacts
    named = last / path.relative_to(artifacts) if last.is_symlink() else path
    return short(named if named.exists() and named.samefile(path) else path)


def drop_resume(overrides: list[str]) -> list[str]:
    return [word for word in overrides if not word.startswith("training.resume=")]


def store_words(tracking: dict[str, Any]) -> str:
    """What a command needs to be told to look into this store."""
    where = "" if Path(tracking["folder"]) == Path("runs").absolute() else f" folder={shlex.quote(tracking['folder'])}"
    return where + (f" uri={shlex.quote(tracking['uri'])}" if tracking["uri"] else "")
