"""`ampsim votes`: what listeners answered."""

from pathlib import Path

from ampsim import AmpsimError
from ampsim.cli.terminal import new_console, say

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
