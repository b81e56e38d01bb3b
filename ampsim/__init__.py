"""ampsim learns what a guitar amplifier does to a signal from a recording of its input and output."""

import os
import re
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unicodedata import category

if TYPE_CHECKING:
    from ampsim.api import (
        calibrate,
        compare,
        doctor,
        load,
        loudness,
        open,
        plan,
        render,
        reproduce,
        runs,
        score,
        sweep,
        train,
    )

__version__ = "0.2.0"
__all__ = ["calibrate", "compare", "doctor", "load", "loudness", "open", "plan", "render", "reproduce", "runs"]
__all__ += ["score", "sweep", "train"]

# Before TensorFlow is first imported, wherever that happens: a user's keras.json may name another backend, and
# TensorFlow greets with pages about CPU features and missing CUDA drivers.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


PASSWORD = re.compile(r"(?<=://)([^\s/:@]*:)[^\s/]+(?=@)")  # in an address, be its colon behind Hydra's backslash


def without_passwords(text: str) -> str:
    """Text to be shown, kept or passed on: what addresses in it let nobody else in."""
    return PASSWORD.sub(r"\1***", text)


class AmpsimError(Exception):
    """Something the person who typed the command can mend; each argument is a sentence that says what, where and what to
    do."""

    exit_code = 2

    def __init__(self, *sentences: object) -> None:
        super().__init__(*(without_passwords(each) if isinstance(each, str) else each for each in sentences))

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


class DivergedError(AmpsimError):
    """The training loss became NaN or infinite."""

    exit_code = 3


class PrunedError(AmpsimError):
    """A search gave the run up, since others do better."""


def printable(text: str) -> str:
    """One line of which nothing steers the terminal or begins another line: names in it may come from files of others."""
    shown = "".join(c if c.isprintable() or category(c) == "Zs" else ascii(c)[1:-1] for c in text)
    return without_passwords(shown)


def counted(count: int, noun: str) -> str:
    """A number of things in a sentence: `1 sample`, `1,024 samples`."""
    return f"{count:,} {noun}{'' if abs(count) == 1 else 's'}"


def __getattr__(name: str) -> Any:
    """The public API, which is loaded when it is first asked for."""
    if name in ("doctor", "runs"):  # which are folders too: one object, whichever way it is reached
        return import_module(f"ampsim.{name}")
    if name in __all__:
        return getattr(import_module("ampsim.api"), name)
    raise AttributeError(f"module 'ampsim' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class CallableFolder(ModuleType):
    """A folder of the package that shares its name with a function of the API: called, it is that function."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return getattr(import_module("ampsim.api"), self.__name__.rpartition(".")[2])(*arguments, **options)


def callable_folder(name: str) -> None:
    """For the `__init__` of such a folder: `ampsim.runs(...)` works whether or not `ampsim.runs.tracking` was imported."""
    sys.modules[name].__class__ = CallableFolder
