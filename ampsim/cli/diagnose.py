"""`ampsim doctor`: what is wrong with a recording."""

from ampsim import AmpsimError
from ampsim.cli.terminal import new_console, say
from ampsim.commands.options import Doctor
from ampsim.commands.words import parsed
from ampsim.files import expanded, refuse_existing, write_text


def doctor(words: list[str]) -> None:
    options = parsed(Doctor, words)
    from ampsim import api
    from ampsim.cli.display import findings_table
    from ampsim.doctor import page

    outputs = [expanded(name) for name in (options.json, options.html) if name]
    for path in outputs:
        refuse_existing(path, overwrite=options.overwrite, inputs=filter(None, (options.input, options.target)))
    if len(outputs) > len({path.absolute() for path in outputs}):
        raise AmpsimError(f"json and html both name {options.html}: name two files")
    console = new_console()
    with console.status("listening ..."):
        found = api.doctor(
            *(options.input, options.target),
            input_channel=options.input_channel,
            target_channel=options.target_channel,
            input_level_dbu=options.input_level_dbu,
            output_level_dbu=options.output_level_dbu,
        )
    console.print(findings_table(found.findings))
    console.print()
    say(console, f"{found.name}, {page.summary(found)}")
    for name, make in ((options.json, page.as_json), (options.html, page.as_html)):
        if name:
            write_text(expanded(name), make(found), overwrite=options.overwrite)
            say(console, f"-> {name}")
    if found.count("error"):
        raise SystemExit(AmpsimError.exit_code)
