"""`ampsim votes` and `ampsim fit-ear`: what listeners answered, and the loss that predicts it."""

from pathlib import Path

from ampsim import AmpsimError, counted
from ampsim.cli.terminal import load, new_console, say
from ampsim.commands.options import FitEar, Votes, refuse_empty
from ampsim.commands.words import parsed
from ampsim.files import refuse_existing, write_text


def votes(words: list[str]) -> None:
    options = parsed(Votes, words)
    from ampsim.cli.display import abx_table, mushra_pairs_table, mushra_table
    from ampsim.report.votes import summaries

    console = new_console()
    abx, mushra = summaries([Path(name) for name in options.files], notice=lambda text: say(console, text))
    for pair in abx:
        console.print(abx_table(pair))
        console.print()
    for page in mushra:
        if page.ratings:
            console.print(mushra_table(page))
            if page.pairs:
                console.print(mushra_pairs_table(page))
        for name, reason in page.excluded.items():
            say(console, f"{name} is left out of {page.title}, after ITU-R BS.1534: {reason}")
        if page.indistinct:
            excerpts = f"{counted(page.indistinct, 'excerpt')}"
            say(
                console,
                f"in {excerpts} of {page.title} more than a quarter of the listeners rated the mid-range anchor above 90: "
                "nobody is left out for these",
            )
        console.print()


def fit_ear(words: list[str]) -> None:
    options = parsed(FitEar, words)
    files = [Path(name) for name in options.files]
    output = Path(options.output)
    if output.suffix not in (".yaml", ".yml"):
        raise AmpsimError(f"output={output}: the loss is a YAML file, so end its name with .yaml")
    refuse_existing(output, overwrite=False, inputs=files)
    refuse_empty(options)
    console = new_console()
    load(console, "ampsim.judging.ear")
    from ampsim.cli.display import ear_table
    from ampsim.judging.ear import Sounds, fitted
    from ampsim.runs.tracking import Store

    store = Store(options.folder, uri=options.uri or None, experiment=options.mlflow_experiment)
    ear = fitted(files, Sounds(store), notice=lambda text: say(console, text))
    write_text(output, ear.yaml)
    console.print(ear_table(ear))
    say(console, f"{ear.verdict}")
    say(console, f"wrote {output}")
