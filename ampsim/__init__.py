"""ampsim learns what a guitar amplifier does to a signal from a recording of its input and output."""

import os

__version__ = "0.2.0"

# Before TensorFlow is first imported, wherever that happens: a user's keras.json may name another backend, and
# TensorFlow greets with pages about CPU features and missing CUDA drivers.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class AmpsimError(Exception):
    """Something the person who typed the command can mend; its text says what, where and what to do."""

    exit_code = 2


class DivergedError(AmpsimError):
    """The training loss became NaN or infinite."""

    exit_code = 3


class PrunedError(AmpsimError):
    """A search gave the run up, since others do better."""


def printable(text: str) -> str:
    """A text of which nothing steers the terminal: names in it may come from files of others."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)
