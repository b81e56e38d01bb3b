"""`ampsim doctor`: what is wrong with a recording."""

from pathlib import Path

from ampsim import AmpsimError
from ampsim.cli.display import new_console, say
from ampsim.cli.options import Doctor, parsed


def doctor(words: list[str]) -> None:
    options = parsed(Doctor, words)
    from ampsim import api
    from ampsim.cli.display import findings_table
    from ampsim.doctor import page

    for path in filter(None, (options.json, options.html)):
        if Path(path).expanduser().exists() and not options.overwrite:
            raise AmpsimError(f"{path} exists; say overwrite=true to replace it")
    console = new_console()
    with console.status("listening ..."):
        found = api.doctor(
            options.input, options.target, input_channel=options.input_channel, target_channel=options.target_channel
        )
    console.print(findings_table(found.findings))
    say(console, f"\n{found.name}, {page.summary(found)}")
    for path, make in ((options.json, page.as_json), (options.html, page.as_html)):
        if path:
            page.write(Path(path).expanduser(), make(found))
            say(console, f"-> {path}")
    if found.count("error"):
        raise SystemExit(AmpsimError.exit_code)
