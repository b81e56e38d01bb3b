"""`ampsim doctor`: what is wrong with a recording."""

from ampsim import AmpsimError
from ampsim.cli.options import Doctor, parsed
from ampsim.cli.terminal import new_console, say
from ampsim.files import expanded, refuse_existing, write_text


def doctor(words: list[str]) -> None:
    options = parsed(Doctor, words)
    from ampsim import api
    from ampsim.cli.display import findings_table
    from ampsim.doctor import page

    for path in filter(None, (options.json, options.html)):
        inputs = [expanded(name).resolve() for name in (options.input, options.target) if name]
        if expanded(path).resolve() in inputs:
            raise AmpsimError(f"{path} is the recording itself: name another file for the output")
        refuse_existing(expanded(path), overwrite=options.overwrite)
    console = new_console()
    with console.status("listening ..."):
        found = api.doctor(
            options.input, options.target, input_channel=options.input_channel, target_channel=options.target_channel
        )
    console.print(findings_table(found.findings))
    console.print()
    say(console, f"{found.name}, {page.summary(found)}")
    for path, make in ((options.json, page.as_json), (options.html, page.as_html)):
        if path:
            write_text(expanded(path), make(found), overwrite=options.overwrite)
            say(console, f"-> {path}")
    if found.count("error"):
        raise SystemExit(AmpsimError.exit_code)
