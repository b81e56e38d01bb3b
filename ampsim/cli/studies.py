"""Runs beside each other: compare and reproduce."""

from collections.abc import Callable
from pathlib import Path

from ampsim import AmpsimError
from ampsim.cli.terminal import new_console, say
from ampsim.commands.options import Compare, Reproduce, refuse_empty
from ampsim.commands.words import parsed
from ampsim.files import expanded, refuse_existing, rejoined
from ampsim.runs.machine import quiet_stderr


def names_in(text: str, known: Callable[[str], object]) -> list[str]:
    """The names in a list with or without brackets, in which a name may hold commas, as one made of a file's does."""
    pieces = (text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text).split(",")
    return [name.strip() for name in rejoined(pieces, known) if name]


def compare(words: list[str]) -> None:
    options = parsed(Compare, words)
    refuse_empty(options)
    console = new_console()
    with console.status("reading the runs ..."):
        from ampsim import api
        from ampsim.cli.display import ranking_table
        from ampsim.comparing import comparison
        from ampsim.runs.tracking import Store

        if options.output:
            comparison.refuse_existing(Path(options.output), overwrite=options.overwrite)
        if options.html:
            refuse_existing(Path(options.html), overwrite=options.overwrite)
        where = options.where()
        store = Store(where["folder"], uri=where["uri"], experiment=where["mlflow_experiment"])
        wanted = names_in(options.runs, lambda name: name == "last" or store.named(name))
        found = api.compare(wanted, sweep=options.sweep, metric=options.metric, **where)
    title = f"{found.title} on the test split"
    told, spread = comparison.describe, comparison.spread_text
    console.print(ranking_table(found.ranking, title, told=told, spread=spread, width=console.width))
    console.print()
    for sentence in found.sentences:
        say(console, sentence)
    for note in found.ranking.notes:
        say(console, f"warning: {note}")
    for name, why in found.ranking.left_out:
        say(console, f"left out: {name} ({why})")
    written = found.write(options.output, overwrite=options.overwrite) if options.output else []
    written += [found.page(options.html, overwrite=options.overwrite)] if options.html else []
    if written:
        say(console, f"written: {', '.join(map(str, written))}")
    if options.sweep:
        say(console, f"kept in MLflow: comparison/ of {found.title}")


def reproduce(words: list[str]) -> None:
    options = parsed(Reproduce, words)
    if options.config and any(word.startswith("run=") for word in words):
        raise AmpsimError("say what to make again: either run=... or config=...")
    from ampsim.config.run_config import RunConfig

    if options.config:
        RunConfig.read(expanded(options.config))  # its faults are told before anything is loaded
    else:
        refuse_empty(options)
    console = new_console()
    with console.status("loading TensorFlow ..."), quiet_stderr():
        from ampsim import api
        from ampsim.cli.display import score_table
        from ampsim.cli.terminal import TerminalObserver
        from ampsim.judging import reproduction
    with TerminalObserver(console) as observer:
        run, verdict = api.reproduce(
            options.run,
            config=options.config or None,
            data=options.data or None,
            observer=observer,
            **options.where(),
        )
    console.print(score_table(run.scores, f"{run.name} on the test split"))
    console.print()
    for line in str(verdict).splitlines():
        say(console, line)
    if verdict.word == "different":
        raise reproduction.DifferentError(f"{run.name} is not what {run.tracked.tags['reproduces']} was")
