"""`ampsim votes` and `ampsim fit-ear`: what listeners answered, and the loss that predicts it."""

from pathlib import Path

from ampsim import AmpsimError
from ampsim.cli.options import FitEar, parsed, print_options, refuse_empty
from ampsim.cli.terminal import load, new_console, say
from ampsim.files import refuse_existing, write_text

HELP = """\
ampsim votes file.json ... summarises the answers of listeners on listening pages (listen.html of a run or a comparison).

Name the files that the page's Download or Copy button made. ABX tests: correct answers of all listeners, the exact
one-sided binomial p and the Clopper-Pearson 95 % interval. MUSHRA: mean ratings with 95 % intervals over listeners, and
each two models by how differently the same listener rated them (paired t test, corrected for the number of pairs).
After ITU-R BS.1534-3, 4.1.2, it excludes listeners who in more than 15 % of the excerpts rate the hidden reference below
90, or the mid-range anchor above 90. An excerpt in which more than a quarter of the listeners do the latter excludes
nobody: its anchor is hardly to be told from the reference.
"""


def votes(words: list[str]) -> None:
    if any(word in ("--help", "-h") for word in words):
        print(HELP, end="")
        return
    if not words:
        raise AmpsimError("name the files with votes: ampsim votes anna.json ben.json")
    from ampsim.cli.display import abx_table, mushra_pairs_table, mushra_table
    from ampsim.report.votes import summaries

    console = new_console()
    abx, mushra = summaries([Path(word) for word in words], notice=lambda text: say(console, text))
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
            excerpts = f"{page.indistinct} excerpt{'' if page.indistinct == 1 else 's'}"
            say(
                console,
                f"in {excerpts} of {page.title} more than a quarter of the listeners rated the mid-range anchor above 90: "
                "nobody is left out for these",
            )
        console.print()


FIT_HELP = """\
ampsim fit-ear file.json ... output=my_lab/conf/loss/my_ear.yaml [folder=runs] weighs the terms of a loss by what listeners
answered in MUSHRA tests, and writes it as a YAML that `loss=` takes.

Name the files that a listening page saved. They say which runs were heard; these must lie in `folder` (or at `uri=...`). In
each excerpt a listener rates some models above others: the weights are those with which the loss predicts best which (a
Bradley-Terry model on the logs of the terms). Intervals (95 %) come from drawing listeners, and excerpts of each, anew. Listeners
whom ITU-R BS.1534-3 excludes do not count. Put the file into conf/loss/ of a plugin of yours: ampsim train plugins=. loss=my_ear
"""


def fit_ear(words: list[str]) -> None:
    if any(word in ("--help", "-h") for word in words):
        print(FIT_HELP)
        print_options(FitEar)
        raise SystemExit(0)
    files = [Path(word) for word in words if "=" not in word]
    if not files or not any(word.startswith("output=") for word in words):
        raise AmpsimError(
            "name the files with votes and the loss to write: ampsim fit-ear anna.json ben.json output=my_ear.yaml"
        )
    options = parsed(FitEar, [word for word in words if "=" in word])
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

    store = Store(options.folder, uri=options.uri or None, experiment=options.experiment)
    ear = fitted(files, Sounds(store), notice=lambda text: say(console, text))
    write_text(output, ear.yaml)
    console.print(ear_table(ear))
    say(console, f"{ear.verdict}")
    say(console, f"wrote {output}")
