"""`ampsim doctor`: what is wrong with a recording."""

from pathlib import Path

from ampsim import AmpsimError
from ampsim.cli.options import Doctor, parsed
from ampsim.cli.terminal import new_console, say
from ampsim.files import refuse_existing, write_text


def doctor(words: list[str]) -> None:
    options = parsed(Doctor, words)
    from ampsim import api
    from ampsim.cli.display import findings_table
    from ampsim.doctor import page

    for path in filter(None, (options.json, options.html)):
        inputs = [Path(name).expanduser().resolve() for name in (options.input, options.target) if name]
        if Path(path).expanduser().resolve() in inputs:
            raise AmpsimError(f"{path} is the recording itself: name another file for the output")
        refuse_existing(Path(path).expanduser(), overwrite=options.overwrite)
    console = new_console()
    with console.status("listening ..."):
        found = api.doctor(
            options.input, options.target, input_channel=options.input_channel, target_channel=options.target_channel
        )
    console.print(findings_table(found.findings))
    say(console, f"\n{found.name}, {page.summary(found)}")
    for path, make in ((options.json, page.as_json), (options.html, page.as_html)):
        if path:
            write_text(Path(path).expanduser(), make(found), overwrite=options.overwrite)
            say(console, f"-> {path}")
    if found.count("error"):
        raise SystemExit(AmpsimError.exit_code)
