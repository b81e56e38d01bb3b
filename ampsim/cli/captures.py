"""`ampsim loudness` and `ampsim calibrate`: how loud captures are, and what full scale is in volts."""

from ampsim.cli.terminal import new_console, say
from ampsim.commands.options import Calibrate, Loudness
from ampsim.commands.words import parsed


def loudness(words: list[str]) -> None:
    options = parsed(Loudness, words)
    from ampsim import api
    from ampsim.cli.display import loudness_table
    from ampsim.players.levelling import spread_db

    console = new_console()
    with console.status("playing ..."):
        found = api.loudness(*options.files, output=options.output, level=options.level, overwrite=options.overwrite)
    console.print(loudness_table(found))
    say(console, f"from the softest to the loudest: {spread_db([each.measured_db for each in found]):.1f} dB")
    for each in found:
        if each.copy:
            say(console, f"{each.path} -> {each.copy} ({each.gain_db:+.2f} dB)")


def calibrate(words: list[str]) -> None:
    options = parsed(Calibrate, words)
    from ampsim import api

    console = new_console()
    channel = None if options.channel < 0 else options.channel
    found = api.calibrate(options.input, volts=options.volts, dbu=options.dbu, channel=channel)
    say(console, found.told())
    for note in found.notes:
        say(console, f"warning: {note}")
    say(
        console,
        f"a tone at the amp's input: data.input_level_dbu={found.dbu:.2f}; as the amp's signal is recorded: "
        f"data.output_level_dbu={found.dbu:.2f} (of ampsim train; of ampsim export without data.)",
    )
