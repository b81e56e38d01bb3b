"""The commands. Each loads what it needs and no more, so that `--help` and a typo answer at once."""

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

from ampsim import AmpsimError, __version__
from ampsim.targets import nearest

HELP = """\
ampsim {version}: learn a guitar amplifier from a recording of its input and output

  ampsim train [key=value ...]        train a net, score it, keep everything in MLflow
  ampsim doctor input=... [target=...]
                                      what is wrong with a recording, before it costs a training
  ampsim evaluate [run=last]          score a run's model again
  ampsim render run=last input=... output=...
                                      play a recording through a run's model
  ampsim ui                           open MLflow's page of the runs on 127.0.0.1

`ampsim COMMAND --help` tells about one of them. Start with `ampsim train`: it needs no recording.
A run is named by its id, its name or `last`. AMPSIM_DEBUG=1 shows where an error came from.
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
`ampsim train --cfg job` prints the whole config; -m sweeps (model.layers=1,2,3).
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

    def store(self) -> Any:
        from ampsim.tracking import Store

        return Store(self.folder, uri=self.uri or None, experiment=self.experiment)


@dataclass(frozen=True, kw_only=True)
class Evaluate(StoreOptions):
    """Score a run's model on its recording."""

    run: str = option("last", "id, name or last")
    split: str = option("test", "train, validation or test")


@dataclass(frozen=True, kw_only=True)
class Render(StoreOptions):
    """Play a recording of any length through a run's model, at constant memory."""

    input: str = needed("an audio file, or a folder of them")
    output: str = needed("the file to write (.wav, .flac, .aiff), or a folder")
    run: str = option("last", "id, name or last")
    channel: int = option(-1, "which channel of the input to play, counted from 0; needed where it has several")
    overwrite: bool = option(False, "replace what exists")


@dataclass(frozen=True, kw_only=True)
class Ui(StoreOptions):
    """Serve MLflow's page of the runs on 127.0.0.1."""

    port: int = option(5000, "the port to listen on")


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
    """The `ampsim` command; returns its exit code: 0 done, 2 the user can mend it, 3 diverged, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command, rest = (words[0], words[1:]) if words else ("--help", [])
    try:
        if command in ("--help", "-h", "help"):
            print(HELP.format(version=__version__), end="")
        elif command == "--version":
            print(__version__)
        elif command in COMMANDS:
            COMMANDS[command](rest)
        else:
            raise AmpsimError(f"there is no command `{command}`{nearest(command, list(COMMANDS))}")
    except AmpsimError as error:
        if os.environ.get("AMPSIM_DEBUG"):
            traceback.print_exc()
        print(f"ampsim: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nampsim: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    return 0


# ---- train ----------------------------------------------------------------------------------------------------------


def train(words: list[str]) -> None:
    from ampsim import settings

    if any(word in ("--help", "-h") for word in words):
        folder = settings.config_folder()
        groups = [path for path in sorted(folder.iterdir()) if path.is_dir() and any(path.glob("*.yaml"))]
        lines = [f"  {group.name:<11}{', '.join(settings.choices(group.name))}\n" for group in groups]
        print(TRAIN_HELP.format(choices="".join(lines)), end="")
        return
    overrides, sweeps = settings.split_flags(words)
    # Every job is composed once before the first is trained, so that a typo in the last is not found an hour later.
    configs = [settings.composed(job) for job in (settings.jobs(overrides) if sweeps else [overrides])]
    if len(overrides) == len(words):
        train_one(configs[0], overrides)
    else:
        through_hydra(words)


def through_hydra(words: list[str]) -> None:
    """Let Hydra act on its own flags: --cfg, --info, --multirun, ... A job that fails does not keep the others from it."""
    import hydra

    from ampsim import settings

    failures: list[AmpsimError] = []

    @hydra.main(config_path=str(settings.config_folder()), config_name="config", version_base="1.3")
    def job(config: Any) -> None:
        from hydra.core.hydra_config import HydraConfig

        try:
            train_one(settings.checked(settings.plain(config)), list(HydraConfig.get().overrides.task))
        except AmpsimError as error:
            failures.append(error)
            print(f"ampsim: {error}", file=sys.stderr)

    settings.register_schema()
    sys.argv = ["ampsim train", *words]
    job()
    if failures:
        raise SystemExit(failures[-1].exit_code)


def train_one(config: dict[str, Any], overrides: list[str]) -> None:
    from ampsim.display import ProgressLine, duration, score_table

    started = time.perf_counter()
    console = new_console()
    name = config.get("name") or run_name(config, overrides)
    with console.status("loading TensorFlow ..."), quiet_stderr():
        from ampsim import experiment
    with ProgressLine(console) as line:
        result = experiment.run(
            config, name=name, overrides=overrides, notice=lambda text: say(console, text), report=line.training
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
    where = "" if Path(tracking["folder"]) == Path("runs").absolute() else f" folder={shlex.quote(tracking['folder'])}"
    where += f" uri={shlex.quote(tracking['uri'])}" if tracking["uri"] else ""
    of = f"{shlex.quote(result.name)}{where}" + (
        f" experiment={shlex.quote(tracking['experiment'])}" if tracking["experiment"] != "ampsim" else ""
    )
    say(console, f"rendered audio: {short(result.audio)}\nsee it all:     ampsim ui{where}")
    say(console, f"play through it: ampsim render run={of} input=riff.wav output=out.wav")


def run_name(config: dict[str, Any], overrides: Sequence[str]) -> str:
    """A readable name from the choices and what was overridden: virtual_amp-dense-layers=2-optimizer=sgd."""
    chosen = dict(override.lstrip("+").partition("=")[::2] for override in overrides if not override.startswith("~"))
    parts = [
        chosen.pop("data", "virtual_amp"),
        chosen.pop("model", config["model"]["_target_"].rpartition(".")[2].lower()),
    ]
    for key, value in chosen.items():
        if not key.startswith(("tracking", "data.", "name", "training.resume", "hydra")):
            parts.append(f"{key.rpartition('.')[2]}={Path(value).name}")
    return "-".join(parts)[:120]


# ---- doctor ----------------------------------------------------------------------------------------------------------


def doctor(words: list[str]) -> None:
    options = parsed(Doctor, words)
    from ampsim.display import findings_table
    from ampsim.doctor import diagnosed, loaded, page

    for path in filter(None, (options.json, options.html)):
        if Path(path).exists() and not options.overwrite:
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


# ---- evaluate, render, ui -------------------------------------------------------------------------------------------


def evaluate(words: list[str]) -> None:
    options = parsed(Evaluate, words)
    if options.split not in ("train", "validation", "test"):
        raise AmpsimError(f"split={options.split}{nearest(options.split, ['train', 'validation', 'test'])}")
    refuse_empty(options)
    console = new_console()
    with console.status("loading TensorFlow ..."), quiet_stderr():
        from ampsim import experiment
        from ampsim.display import score_table
    tracked = options.store().find(options.run)
    with console.status("rendering ..."):
        scores = experiment.score_again(tracked, options.split, notice=lambda text: say(console, text))
    console.print(score_table(scores, f"{tracked.name} on the {options.split} split"))


def render(words: list[str]) -> None:
    options = parsed(Render, words)
    from ampsim.audio import destinations
    from ampsim.display import ProgressLine, duration

    planned = destinations(Path(options.input), Path(options.output), overwrite=options.overwrite)
    refuse_empty(options)
    console = new_console()
    with console.status("loading TensorFlow ..."), quiet_stderr():
        from ampsim import experiment
        from ampsim.rendering import Renderer, render_file
    tracked = options.store().find(options.run)
    renderer = Renderer(experiment.load_model(tracked))
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


def ui(words: list[str]) -> None:
    options = parsed(Ui, words)
    refuse_empty(options)
    from ampsim.locations import serve_page

    print(f"http://127.0.0.1:{options.port} shows the runs in {options.folder}; Ctrl-C ends it", flush=True)
    code = serve_page(options.folder, options.uri or None, options.port)
    if code not in (0, -2, 130):
        raise AmpsimError(
            f"MLflow's page ended with exit code {code}: is port {options.port} taken? Try port={options.port + 1}"
        )


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "train": train,
    "doctor": doctor,
    "evaluate": evaluate,
    "render": render,
    "ui": ui,
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
        for each in known.values():
            default = (
                "needed"
                if each.default is MISSING
                else f"default {each.default}"
                if each.default not in ("", -1)
                else ""
            )
            print(f"  {each.name:<10}{each.metadata['help']}{f' ({default})' if default else ''}")
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
    console.print(text, markup=False, soft_wrap=True)


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
