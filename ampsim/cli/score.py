"""`ampsim score`: renders of any tool against an amp's recording."""

import csv
import os

from ampsim import AmpsimError
from ampsim.cli.terminal import ProgressLine, new_console, say
from ampsim.commands.options import Score
from ampsim.commands.words import parsed
from ampsim.files import expanded


def score(words: list[str]) -> None:
    options = parsed(Score, words)
    named = paths(options.candidates)
    console = new_console()
    with console.status("loading ..."):
        from ampsim import api
        from ampsim.cli.display import scorecard_table, scores_tables
        from ampsim.judging import scorecard

    files = scorecard.audio_files(named)
    folder = expanded(options.output) if options.output else None
    inputs = [options.target, *files]
    scorecard.refuse_outputs(folder, options.html, overwrite=options.overwrite, inputs=inputs)
    with ProgressLine(console) as line:
        found = api.score(
            options.target,
            files,
            metric=options.metric,
            channel=None if options.channel == -1 else options.channel,
            report=lambda text: line.show(f"{text} ..."),
        )
    console.print(scorecard_table(found))
    console.print()
    for table in scores_tables(found, width=console.width):
        console.print(table)
        console.print()
    for sentence in found.sentences:
        say(console, sentence)
    if folder or options.html:
        with console.status("writing ..."):
            written = found.write(folder, overwrite=options.overwrite) if folder else []
            if options.html:
                written.append(found.listen(options.html, overwrite=options.overwrite))
        say(console, f"written: {', '.join(map(str, written))}")
    if found.left_out:
        raise AmpsimError(*(f"left out: {why}" for _, why in found.left_out))


def paths(text: str) -> list[str]:
    """The files of `[a.wav,"b, c.wav"]`, with or without brackets; a text that is a file's name as a whole is that file."""
    if text and os.path.exists(expanded(text)):  # noqa: PTH110 - which a name that is too long does not upset
        return [text]
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    found = [name.strip() for name in next(csv.reader([inner], skipinitialspace=True), [])]
    if not any(found):
        raise AmpsimError("candidates names no file: candidates=[ours.wav,theirs.wav], or a folder of them")
    return [name for name in found if name]
