"""The commands. Each loads what it needs and no more, so that `--help` and a typo answer at once."""

import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

from ampsim import AmpsimError, __version__, printable
from ampsim.config.plugins import name_folders, set_aside
from ampsim.config.targets import nearest
from ampsim.runs.machine import TerminatedError, on_termination

HELP = """\
ampsim {version}: learn a guitar amplifier from a recording of its input and output

  ampsim train [key=value ...]        train a model, score it, and keep everything in MLflow
  ampsim doctor input=... [target=...]
                                      check a recording for faults before you train on it
  ampsim plan controls='{{gain: [0, 10]}}' [count=12]
                                      say which settings of an amp's knobs to record
  ampsim evaluate [run=last]          score a run's model again
  ampsim render run=last input=... output=...
                                      play a recording through a run's model, or through capture=amp.nam
  ampsim score target=... candidates=[a.wav,b.wav]
                                      rank renders of any tool against an amp's recording
  ampsim compare sweep=... | runs=a,b,c
                                      rank runs and show what made the difference
  ampsim figures [run=last] [output=...]
                                      draw a run's figures and page, or the figures again as PNG or SVG
  ampsim reproduce [run=last] | config=config.yaml
                                      train from a saved config and check how close the result comes
  ampsim export [run=last] format=nam output=...
                                      export a run's model: nam, rig, rtneural, aidax, onnx, ...
  ampsim loudness a.nam b.nam ...     show how loud captures are; output=folder evens them out
  ampsim calibrate input=... volts=...
                                      measure what full scale is in dBu, by a recorded test tone
  ampsim register [run=last] name=... add a run's model to MLflow's registry
  ampsim sync                         send results that were kept on disk while the MLflow server was down
  ampsim ui                           serve MLflow's page of the runs on 127.0.0.1
  ampsim votes file.json ...          summarise the answers of listeners
  ampsim fit-ear file.json ... output=...
                                      weigh the terms of a loss by the answers of listeners

Run `ampsim COMMAND --help` for the options of a command. Start with `ampsim train`: it needs no recording.
Name a run by its id, its name, or `last`. Set AMPSIM_DEBUG=1 to see where an error came from.
Exit codes: 0 success, 2 something for you to fix (the message says what), 3 training diverged, 4 a reproduction
came out different, 130 interrupted, 1 any other failure. SIGTERM and SIGHUP end a command cleanly, with 143 and 129.
"""

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
}
OVERLONG = re.compile(r"(\S{200})\S{800,}")  # thousands of digits, which nobody needs to read again
COMMANDS = [name for name, (_, wings) in PLACES.items() if all(find_spec(f"ampsim.{wing}") for wing in wings)]


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
        with on_termination():
            act_on(command, rest)
    except AmpsimError as error:
        if os.environ.get("AMPSIM_DEBUG"):
            traceback.print_exc()
        sentences = (printable(OVERLONG.sub(r"\1...", str(sentence))) for sentence in error.args)
        print("ampsim: " + "\n".join(sentences), file=sys.stderr)
        return error.exit_code
    except TerminatedError as error:
        print(f"\nampsim: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nampsim: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except OSError as error:  # a disk, a folder or a name that the system refuses, wherever that comes up
        if os.environ.get("AMPSIM_DEBUG"):
            traceback.print_exc()
        print(printable(f"ampsim: {error.filename or 'the system'}: {error.strerror or error}"), file=sys.stderr)
        return AmpsimError.exit_code
    except Exception as error:
        # NumPy's and TensorFlow's, wherever memory ends; TensorFlow may not be imported to ask for its own.
        if os.environ.get("AMPSIM_DEBUG") or not (
            isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
        ):
            raise
        print(
            "ampsim: the memory does not suffice: a shorter recording, a smaller model or training.batch_size, "
            "or a machine with more",
            file=sys.stderr,
        )
        return AmpsimError.exit_code
    return 0


def act_on(command: str, words: list[str]) -> None:
    if command in ("--help", "-h", "help"):
        print(HELP.format(version=__version__), end="")
    elif command == "--version":
        print(__version__)
    elif command in COMMANDS:
        words = name_folders(words)
        if command == "train" or not {"--help", "-h"} & set(words):  # the help of `train` lists what plugins offer
            for fault in set_aside():
                print(printable(f"ampsim: warning: {fault}"), file=sys.stderr)
        found(command)(words)
    else:
        raise AmpsimError(f"there is no command `{command}`{nearest(command, COMMANDS)}")


if __name__ == "__main__":
    sys.exit(main())
