"""`ampsim loudness` and `ampsim calibrate`: how loud captures are, and what full scale is in volts."""

from ampsim import AmpsimError
from ampsim.cli.options import Calibrate, Loudness, parsed, print_options
from ampsim.cli.terminal import new_console, say

LOUDNESS_HELP = """\
ampsim loudness a.nam b.nam ... [output=folder] [level=-18] shows how loud captures are: the RMS of what they play of the
format's reference input, in dB full scale, and what their files state.

With output= it writes copies that are equally loud, as loud as the median or as level= says: the gain goes into the numbers of
the last layer, and the metadata state it. The captures themselves stay as they are.
"""


def loudness(words: list[str]) -> None:
    if any(word in ("--help", "-h") for word in words):
        print(LOUDNESS_HELP)
        print_options(Loudness)
        raise SystemExit(0)
    options = parsed(Loudness, [word for word in words if "=" in word])
    paths = [word for word in words if "=" not in word]
    if not paths:
        raise AmpsimError("name the captures: ampsim loudness a.nam b.nam")
    from ampsim import api
    from ampsim.cli.display import loudness_table
    from ampsim.players.levelling import spread_db

    console = new_console()
    with console.status("playing ..."):
        found = api.loudness(*paths, output=options.output, level=options.level, overwrite=options.overwrite)
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
