"""`ampsim plan`: which settings of an amp's knobs to record."""

from ampsim import AmpsimError
from ampsim.cli.terminal import load, new_console, say
from ampsim.commands.options import Plan, refuse_empty
from ampsim.commands.words import parsed
from ampsim.files import expanded, refuse_existing
from ampsim.plain_yaml import words_of


def plan(words: list[str]) -> None:
    options = parsed(Plan, words)
    if options.output:
        inputs = [options.settings] if options.settings else []
        refuse_existing(expanded(options.output), overwrite=options.overwrite, inputs=inputs)
    controls = read(options.controls) if options.controls else None
    console = new_console()
    if options.run:
        refuse_empty(options)
        load(console, "ampsim.runs.finished")
    from ampsim import api

    with console.status("playing ..." if options.run else "planning ..."):
        found = api.plan(
            controls,
            options.count,
            settings=options.settings or None,
            run=options.run or None,
            seed=options.seed,
            notice=lambda text: say(console, text),
            **options.where(),
        )
    for line in str(found).splitlines():
        say(console, line)
    if options.output:
        found.write(options.output, overwrite=options.overwrite)
        say(
            console,
            f"-> {options.output}; when the files lie beside it: ampsim train data=knobs data.path={options.output}",
        )


def read(text: str) -> dict[str, list[str]]:
    """The controls as a command names them; all values as text, also `on` and `off`.

    Raises:
        AmpsimError: it is no mapping.
    """
    try:
        found = words_of(text)
    except AmpsimError:
        found = None
    if not isinstance(found, dict):
        raise AmpsimError(f"controls={text[:100]} is not understood: '{{gain: [0, 10], bright: [off, on]}}' would be")
    return found
