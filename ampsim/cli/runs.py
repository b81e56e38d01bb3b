"""What is done with a run: evaluate, render, export, register, and the store's page."""

import time
from pathlib import Path
from typing import Any

from ampsim import AmpsimError, printable
from ampsim.cli.terminal import load, new_console, say
from ampsim.commands.options import Evaluate, Export, Figures, Register, Render, Sync, Ui, refuse_empty
from ampsim.commands.words import parsed, with_setting
from ampsim.config.targets import nearest
from ampsim.runs.machine import quiet_stderr


def opened(options: Any, module: str) -> tuple[Any, Any]:
    """A console, and the run that a command names; `module` is what is loaded first, which takes seconds."""
    refuse_empty(options)
    console = new_console()
    load(console, module)
    from ampsim import api

    return console, api.open(options.run, **options.where())


def evaluate(words: list[str]) -> None:
    options = parsed(Evaluate, words)
    if options.split not in ("train", "validation", "test"):
        raise AmpsimError(f"split={options.split}{nearest(options.split, ['train', 'validation', 'test'])}")
    console, run = opened(options, "ampsim.runs.finished")
    from ampsim.cli.display import score_table

    with console.status("rendering ..."):
        scores = run.evaluate(options.split, oversample=options.oversample, notice=lambda text: say(console, text))
    console.print(score_table(scores, f"{run.name} on the {options.split} split", verbose=options.verbose))


def figures(words: list[str]) -> None:
    options = parsed(Figures, words)
    console, run = opened(options, "ampsim.runs.pictures")
    for path in run.draw(options.output, kind=options.format, overwrite=options.overwrite):
        say(console, f"written: {path}")


def render(words: list[str]) -> None:
    options = parsed(Render, with_setting(Render, words))
    setting = one_setting(options.setting)
    from ampsim import api
    from ampsim.cli.terminal import ProgressLine, duration
    from ampsim.signals.audio import destinations

    planned = destinations(Path(options.input), Path(options.output), overwrite=options.overwrite)
    console = new_console()
    if not options.capture:
        refuse_empty(options)
        load(console, "ampsim.runs.finished")
    started: dict[Path, float] = {}

    def report(source: Path, done_s: float, total_s: float) -> None:
        elapsed = time.perf_counter() - started.setdefault(source, time.perf_counter())
        left = elapsed * (total_s - done_s) / max(done_s, 1e-9)
        begun = elapsed > 0 and done_s > 0  # not while what the model remembers is being filled
        pace = f", {done_s / elapsed:.1f}× real time, {duration(left)} left" if begun else ""
        line.show(f"{source.name}: {duration(max(done_s, 0.0))} of {duration(total_s)}{pace}")

    with ProgressLine(console) as line:
        api.render(
            options.input,
            options.output,
            run=options.run,
            capture=options.capture,
            slim=options.slim,
            setting=setting,
            automation=options.automation,
            channel=None if options.channel < 0 else options.channel,
            oversample=options.oversample,
            overwrite=options.overwrite,
            notice=lambda text: say(console, text),
            report=report,
            **options.where(),
        )
    for source, destination in planned:
        say(console, f"{source} -> {destination}")


def settings_in(text: str) -> Any:
    """The settings that an option names; one that is None where it names none."""
    from ampsim.recordings.controls import named_settings  # which loads NumPy and SciPy, for which no typo waits

    return named_settings(text) if text else [None]


def one_setting(text: str) -> dict[str, str | float] | None:
    settings = settings_in(text)
    if len(settings) > 1:
        raise AmpsimError(f"setting names {len(settings)} settings: one is needed here")
    return settings[0]


def export(words: list[str]) -> None:
    options = parsed(Export, with_setting(Export, words))
    settings = settings_in(options.setting)
    console, run = opened(options, "ampsim.runs.exporting")
    from ampsim.runs import exporting

    details = {
        key: getattr(options, key) for key in ("modeled_by", "gear_type", "gear_make", "gear_model", "tone_type")
    } | {key: getattr(options, key) for key in ("input_level_dbu", "output_level_dbu") if getattr(options, key)}
    if options.name:
        details["name"] = options.name
    exports = []
    for setting, output in exporting.places(Path(options.output), options.format, settings):
        with console.status("writing and proving ..."), quiet_stderr():
            exports += (run.at(**setting) if setting else run).export(
                output,
                format=options.format,
                overwrite=options.overwrite,
                late=options.late,
                block_length=options.block,
                **details,
            )
    for made in exports:
        say(console, made.told())
        for note in made.notes():
            say(console, note)
    if exports[0].latency:
        say(console, f"the model hears the future, so a player gives its output late: by {exports[0].latency}")


def register(words: list[str]) -> None:
    options = parsed(Register, words)
    console, run = opened(options, "ampsim.runs.exporting")
    with console.status("registering ..."), quiet_stderr():
        version = run.register(options.name)
    of = f"{options.name}/{version}"
    say(console, f"{run.name} is version {version} of {options.name}: mlflow.pyfunc.load_model('models:/{of}')")


def sync(words: list[str]) -> None:
    options = parsed(Sync, words)
    if not (Path(options.folder) / "unsent").exists():
        raise AmpsimError(f"{Path(options.folder).absolute()} holds no run that waits to be sent: say folder=...")
    from ampsim.runs import tracking

    tracking.sync(Path(options.folder), notice=lambda text: print(printable(text)))


def ui(words: list[str]) -> None:
    options = parsed(Ui, words)
    refuse_empty(options)
    if options.uri.startswith(("http://", "https://")):
        print(printable(f"{options.uri} is MLflow's page itself: open it in a browser"))
        return
    from ampsim.runs.locations import serve_page

    def ready() -> None:
        from ampsim.runs.view import opened_at

        told = (
            f"{opened_at(options.port, options.mlflow_experiment)} shows the runs in {options.folder}; Ctrl-C ends it"
        )
        print(printable(told), flush=True)

    code = serve_page(options.folder, options.uri or None, options.port, ready=ready)
    raise AmpsimError(f"MLflow's page ended by itself (exit code {code}); what it said stands above")
