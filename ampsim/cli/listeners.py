"""`ampsim votes`: what listeners answered."""

from pathlib import Path

from ampsim import AmpsimError
from ampsim.cli.terminal import new_console, say

HELP = """\
ampsim votes file.json ... summarises the answers of listeners on listening pages (listen.html of a run or a comparison).

Name the files that the page's Download or Copy button made. ABX tests: correct answers of all listeners, the exact
one-sided binomial p and the Clopper-Pearson 95 % interval. MUSHRA: mean ratings with 95 % intervals over listeners,
excluding listeners who fail to recognise the hidden reference in more than 15 % of the excerpts (ITU-R BS.1534).
"""


def votes(words: list[str]) -> None:
    if any(word in ("--help", "-h") for word in words):
        print(HELP, end="")
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
