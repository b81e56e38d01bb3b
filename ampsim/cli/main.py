"""The commands. Each loads what it needs and no more, so that `--help` and a typo answer at once."""

import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from textwrap import fill

from ampsim import AmpsimError, __version__, printable
from ampsim.config.plugins import name_folders, set_aside
from ampsim.config.targets import nearest
from ampsim.runs.machine import TerminatedError, on_termination

HELP = """\
ampsim {version}: learn a guitar amplifier from a recording of its input and output

{commands}
`ampsim COMMAND --help` tells of a command. Begin with `ampsim train`: it needs no recording.
Name a run by its id, its name, or `last`. Set AMPSIM_DEBUG=1 to see where an error came from.
Exit codes: 0 success, 2 something for you to fix (the message says what), 3 training diverged,
4 a reproduction came out different, 130 interrupted, 143 and 129 ended by SIGTERM and SIGHUP,
1 any other failure.
"""

PYTHONS = (3, 10), (3, 13)  # the first and the last that TensorFlow and Hydra run on
UNINSTALLED = (
    "`{name}` cannot be loaded ({reason}): this environment is not whole; in a clone, `make install` completes it, elsewhere "
    "pip install --force-reinstall ampsim"
)
# Where each command is, and the folders that it cannot do without: without one of these there is no such command.
PLACES = {
    "train": ("ampsim.cli.train", ()),
    "doctor": ("ampsim.cli.diagnose", ("doctor",)),
    "plan": ("ampsim.cli.plan", ()),
    "evaluate": ("ampsim.cli.runs", ()),
    "render": ("ampsim.cli.runs", ()),
    "compare": ("ampsim.cli.studies", ("comparing", "report")),
    "score": ("ampsim.cli.score", ("judging", "comparing", "report")),
    "figures": ("ampsim.cli.runs", ("report",)),
    "reproduce": ("ampsim.cli.studies", ("judging", "comparing", "report")),
    "export": ("ampsim.cli.runs", ("export",)),
    "loudness": ("ampsim.cli.captures", ()),
    "calibrate": ("ampsim.cli.captures", ()),
    "register": ("ampsim.cli.runs", ("export",)),
    "sync": ("ampsim.cli.runs", ()),
    "ui": ("ampsim.cli.runs", ()),
    "votes": ("ampsim.cli.listeners", ("report",)),
    "fit-ear": ("ampsim.cli.listeners", ("judging", "comparing", "report")),
    "completion": ("ampsim.desk.completion", ("desk",)),
    "schema": ("ampsim.desk.commands", ("desk",)),
    "init": ("ampsim.desk.commands", ("desk",)),
    "import-config": ("ampsim.desk.commands", ("desk",)),
}
OVERLONG = re.compile(r"(\S{200})\S{800,}")  # thousands of digits, which nobody needs to read again
COMMANDS = [name for name, (_, wings) in PLACES.items() if all(find_spec(f"ampsim.{wing}") for wing in wings)]


def overview() -> str:
    """The help of all: a line for each command."""
    from ampsim.commands.options import of_command
    from ampsim.commands.words import WIDTH, paragraphs

    width = max(map(len, COMMANDS)) + 4
    told = {name: paragraphs(kind)[0] for name in COMMANDS if (kind := of_command(name))}
    lines = [fill(f"  {name:<{width - 2}}{text}", WIDTH, subsequent_indent=" " * width) for name, text in told.items()]
    return HELP.format(version=__version__, commands="".join(f"{line}\n" for line in lines))


def found(command: str) -> Callable[[list[str]], None]:
    return getattr(import_module(PLACES[command][0]), command.replace("-", "_"))


def main(arguments: Sequence[str] | None = None) -> int:
    """The `ampsim` command; returns its exit code: 0 done, 2 the user can mend it, 3 diverged, 4 a reproduction
    came out different, 130 interrupted, 143 and 129 ended by SIGTERM and SIGHUP, 1 anything else."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command, rest = (words[0], words[1:]) if words else ("--help", [])
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a letter of a file's name is no reason to stop
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        if not PYTHONS[0] <= tuple(sys.version_info[:2]) <= PYTHONS[1]:
            this, first, last = (".".join(map(str, each[:2])) for each in (sys.version_info, *PYTHONS))
            raise AmpsimError(
                f"this is Python {this}, and ampsim runs on {first} to {last}: in a clone, make PYTHON=python{last} install"
            )
        with on_termination():
            act_on(command, rest)
    except AmpsimError as error:
        return told(error, *error.args, code=error.exit_code)
    except TerminatedError as error:
        print(f"\nampsim: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nampsim: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except ImportError as error:  # of a library: an environment that was installed by halves, or has other releases
        name = (error.name or "").partition(".")[0]
        if name == "ampsim":
            raise
        return told(error, UNINSTALLED.format(name=name or "a library", reason=" ".join(str(error).split())[:200]))
    except OSError as error:  # a disk, a folder or a name that the system refuses, wherever that comes up
        return told(error, f"{error.filename or 'the system'}: {error.strerror or error}")
    except Exception as error:
        # NumPy's and TensorFlow's, wherever memory ends; TensorFlow may not be imported to ask for its own.
        if not isinstance(error, MemoryError) and type(error).__name__ != "ResourceExhaustedError":
            from ampsim.runs.isolated import in_plugin

            if of_plugin := in_plugin(error):
                return told(error, of_plugin)
            raise
        return told(
            error,
            "the memory does not suffice: a shorter recording, a smaller model or training.batch_size, or a machine with more",
        )
    return 0


def told(error: Exception, *sentences: object, code: int = AmpsimError.exit_code) -> int:
    """Tell of an error in sentences, a line each, and where it came from if that is asked for; returns the exit code."""
    if os.environ.get("AMPSIM_DEBUG"):
        traceback.print_exception(error)
    lines = (printable(OVERLONG.sub(r"\1...", str(sentence))) for sentence in sentences)
    print("ampsim: " + "\n".join(lines), file=sys.stderr)
    return code


def act_on(command: str, words: list[str]) -> None:
    if command in ("--help", "-h", "help"):
        print(overview(), end="")
    elif command == "--version":
        print(__version__)
    elif command in COMMANDS:
        if command == "completion":  # in the middle of typing, nothing is at fault yet
            found(command)(words)
            return
        words = name_folders(words)
        if command == "train" or not {"--help", "-h"} & set(words):  # the help of `train` lists what plugins offer
            for fault in set_aside():
                print(printable(f"ampsim: warning: {fault}"), file=sys.stderr)
        found(command)(words)
    else:
        raise AmpsimError(f"there is no command `{command}`{nearest(command, COMMANDS)}")


if __name__ == "__main__":
    sys.exit(main())
