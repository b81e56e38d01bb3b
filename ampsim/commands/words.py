"""How the words of a command, `key=value`, are read, and how its help is laid out."""

import inspect
import json
import os
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, field, fields
from difflib import get_close_matches
from textwrap import fill
from typing import Any

from ampsim import AmpsimError, printable
from ampsim.config.targets import nearest
from ampsim.files import expanded

# Options that name a file or a folder, wherever a command has them: `~` at the beginning is the home.
FILES = ("folder", "input", "target", "output", "capture", "automation", "config", "data", "json", "html", "settings")


def option(default: Any, text: str, *offers: str) -> Any:
    """`offers` are values that a shell completes; others may do as well."""
    return field(default=default, metadata={"help": text, "offers": offers})


def needed(text: str, *offers: str) -> Any:
    return option(MISSING, text, *offers)


def plain(usage: str, text: str, most: int = sys.maxsize) -> Any:
    """The field `files`: words without `=`, at least one of them."""
    return field(default=(), metadata={"usage": usage, "help": text, "most": most})


# ---- Words ----------------------------------------------------------------------------------------------------------

# One word for one thing: what the commands say, and the key of the config that `ampsim train` sets by it.
KEYS = {
    "folder": "tracking.folder",
    "uri": "tracking.uri",
    "mlflow_experiment": "tracking.experiment",
    "input": "data.input",
    "target": "data.target",
}
# What the same was called, which is understood still. Of `ampsim train`, `experiment` is a choice of whole runs.
FORMER = {**{key: word for word, key in KEYS.items()}, "experiment": "mlflow_experiment"}


def of_today(words: Sequence[str], former: Mapping[str, str]) -> list[str]:
    """A command's words with today's in place of former ones, which are told of on standard error."""
    pairs = [word.partition("=") for word in words]
    for name in dict.fromkeys(name for name, equals, _ in pairs if equals and name in former):
        print(printable(f"ampsim: notice: {name}= is now {former[name]}=, in every command"), file=sys.stderr)
    return [f"{former[name] if equals and name in former else name}{equals}{value}" for name, equals, value in pairs]


def as_typed(words: Sequence[str]) -> list[str]:
    """Words that set keys of a config, as one types them behind `ampsim train`."""
    # What input= means depends on `data`, so its key stays.
    short = {key: word for word, key in KEYS.items() if key.startswith("tracking.")}
    pairs = [word.partition("=") for word in words]
    return [f"{short.get(name, name)}{equals}{value}" for name, equals, value in pairs]


def with_keys(words: list[str]) -> list[str]:
    """The words with keys of the config in place of those that every command has: `folder=x` sets `tracking.folder`.

    `input=` is what the recording's choice takes for one. Where it takes none, it is a recording of its own: a stereo file, with
    `target=` two mono files, or a folder of captures, as for `ampsim doctor`.
    """
    from ampsim.config import settings

    given = {name: word for name in ("input", "target") for word in words if word.startswith(f"{name}=")}
    rest = [word for word in words if word not in given.values()]
    found = [
        f"{KEYS[name]}={value}" if name in KEYS else word for word in rest for name, _, value in [word.partition("=")]
    ]
    if not given:
        return found
    known = settings.known_keys([word for word in rest if "=" in word and not word.startswith("-")])
    chosen = any(word.startswith("data=") for word in rest)
    if "target" in given or "data.input" in known:
        kind = [] if chosen or "data.input" in known else ["data=pair"]
        return [*kind, *found, *(f"data.{word}" for word in given.values())]
    value = given["input"].partition("=")[2]
    kind = [] if chosen else ["data=folder" if expanded(value).is_dir() else "data=stereo"]
    return [*kind, *found, f"data.path={value}"]


def name_of(options: type) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"-\1", options.__name__).lower()


def parsed(options: type, words: Sequence[str]) -> Any:
    """A command's words as an instance of an options class; its help, if that is what was asked for."""
    known = {each.name: each for each in fields(options)}
    files = known.pop("files", None)
    if any(word in ("--help", "-h") for word in words):
        print(help_of(options), end="")
        raise SystemExit(0)
    values: dict[str, Any] = {}
    named: list[str] = []
    words = words if files else with_inputs(known, words)
    for word in of_today(words, {name: now for name, now in FORMER.items() if now in known and name not in known}):
        name, equals, value = word.partition("=")
        if files and (not equals or os.path.lexists(word)) and not word.startswith("-"):
            named.append(word)
        elif not equals or name not in known:
            raise AmpsimError(f"`{word}` is not understood{nearest(name, list(known))} (options are key=value)")
        else:
            values[name] = str(expanded(value)) if value and name in FILES else converted(name, value, known[name].type)
    if files and not 0 < len(named) <= files.metadata["most"]:
        raise AmpsimError(f"name {files.metadata['help']}: {examples_of(options)[0]}")
    missing = [each.name for each in known.values() if each.default is MISSING and each.name not in values]
    if missing:
        raise AmpsimError(f"{missing[0]} has no value: add {missing[0]}=... to the command")
    return options(**values, **({"files": tuple(named)} if files else {}))


NO_FILE = "`{}` is not understood: there is no such file, and other words are key=value"


def with_inputs(known: Collection[str], words: Sequence[str]) -> list[str]:
    """The words, a file that is named alone as `input=` and a second one as `target=`, as `ampsim train` takes them.

    Raises:
        AmpsimError: what looks like a file is not there.
    """
    free = [
        key for key in ("input", "target") if key in known and not any(word.startswith(f"{key}=") for word in words)
    ]
    result = []
    for word in words:
        alone = bool(free) and "=" not in word and word[:1] != "-"
        if alone and expanded(word).suffix and not expanded(word).exists():
            raise AmpsimError(NO_FILE.format(word))
        result.append(f"{free.pop(0)}={word}" if alone and expanded(word).exists() else word)
    return result


SLIP = 0.8  # how alike a word and an option are that was meant: `ouput`, and not `rate` for `late`


def with_setting(options: type, words: Sequence[str]) -> list[str]:
    """The words, those that are no option gathered as a setting: `gain=7 treble=3` is `setting={gain: 7, treble: 3}`.

    One that is close to an option is a slip of the pen, and is left for `parsed` to refuse.

    Raises:
        AmpsimError: a control has two values.
    """
    known = [*(each.name for each in fields(options)), *FORMER]
    others = [
        word
        for word in words
        if word.count("=") == 1 and not get_close_matches(word.partition("=")[0], known, n=1, cutoff=SLIP)
    ]
    if not others:
        return [*words]
    names = [word.partition("=")[0] for word in others]
    if repeated := [name for number, name in enumerate(names) if name in names[:number]]:
        raise AmpsimError(f"{repeated[0]} has two values: keep one")
    if any(word.startswith("setting=") for word in words):
        raise AmpsimError(f"{names[0]}= and setting= both name a setting: put all of it into one of them")
    pairs = json.dumps(dict(word.split("=") for word in others), ensure_ascii=False)
    return [*(word for word in words if word not in others), f"setting={pairs}"]


# ---- Help -----------------------------------------------------------------------------------------------------------

WIDTH = 100  # columns, of help


def paragraphs(options: type) -> list[str]:
    return (inspect.getdoc(options) or "").split("\n\n")


def examples_of(options: type) -> list[str]:
    return [line for part in paragraphs(options) if part.startswith("ampsim ") for line in part.splitlines()]


def help_of(options: type) -> str:
    """A command's help: what it does, examples, its options a line each."""
    known = {each.name: each for each in fields(options)}
    files = known.pop("files", None)
    usage = [
        "ampsim",
        name_of(options),
        *([files.metadata["usage"]] if files else []),
        *(["[key=value ...]"] if known else []),
    ]
    first, *rest = paragraphs(options)
    lines = [fill(f"{' '.join(usage)}: {first}", WIDTH), "", *(f"  {line}" for line in examples_of(options))]
    lines += [f"\n{fill(part, WIDTH)}" for part in rest if not part.startswith("ampsim ")] + [""]
    width = max(map(len, known), default=0) + 4
    for each in known.values():
        default = f"default {each.default}" if each.default not in ("", -1) else ""
        note = "needed" if each.default is MISSING else default
        text = f"  {each.name:<{width - 2}}{each.metadata['help']}{f' ({note})' if note else ''}"
        lines.append(fill(text, WIDTH, subsequent_indent=" " * width, break_long_words=False, drop_whitespace=True))
    return "\n".join(lines).rstrip() + "\n"


def converted(name: str, value: str, kind: Any) -> Any:
    if kind is bool:
        if value.lower() not in ("true", "false"):
            raise AmpsimError(f"{name}={value}: it is true or false")
        return value.lower() == "true"
    if kind is int:
        try:
            return int(value)
        except ValueError:  # Python reads no number of thousands of digits
            raise AmpsimError(f"{name}={value}: it is a whole number") from None
    return value
