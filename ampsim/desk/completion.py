"""`ampsim completion`: what a shell offers for the word that is being typed.

It answers within a blink, so it loads neither Hydra nor NumPy: it reads the same YAML that they would.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import fields
from functools import reduce
from typing import Any

from ampsim import AmpsimError, printable
from ampsim.cli import main as table
from ampsim.commands import options
from ampsim.commands import words as language
from ampsim.config import plugins
from ampsim.config.targets import flattened, nearest
from ampsim.files import expanded
from ampsim.plain_yaml import read_yaml

FLAGS = ("-m", "--multirun", "--cfg", "--info", "--help", "--version")  # of `ampsim train`
SHELLS = ("bash", "zsh", "fish")
SOUNDS = (".wav", ".flac", ".aiff", ".aif")
PLAIN_FILES = {  # of words without `=`, by command
    "train": (*SOUNDS, ".csv"),
    "votes": (".json",),
    "fit-ear": (".json",),
    "loudness": (".nam",),
    "import-config": (".json", ".yaml"),
}
MOST_RUNS = 50  # names of runs that are offered, the newest first
DEEPEST = 10  # experiments that build on each other


def completion(words: list[str]) -> None:
    """Print the script for a shell, or with `words` what may stand at the end of a command line."""
    shell, rest = (words[0], words[1:]) if words else ("", [])
    if shell == "words":
        with suppress(AmpsimError, OSError):  # in the middle of typing nobody wants to read of an error
            print("\n".join(word for word in offered(rest) if word == printable(word)))
        return
    named = language.parsed(options.Completion, words).files
    if named[0] not in SHELLS or rest:
        raise AmpsimError(f"there is no completion for `{' '.join(words)}`{nearest(shell, list(SHELLS))}")
    print(SCRIPTS[shell], end="")


def offered(words: Sequence[str]) -> list[str]:
    """What may stand in place of the last of `words`, which follow `ampsim` on a command line."""
    *before, current = words or [""]
    if not before:
        return [word for word in (*table.COMMANDS, "--help", "--version") if word.startswith(current)]
    command, *before = before
    if command not in table.COMMANDS:
        return []
    before = plugins.name_folders(before)
    if command == "train":
        found = of_train(before, current)
    elif command == "completion":
        found = iter(() if before else SHELLS)
    else:
        found = of_options(command, before, current)
    words_found = [word for word in found if word.startswith(current)]
    if "=" not in current:
        words_found += files(current, PLAIN_FILES.get(command, ()))
    return list(dict.fromkeys(words_found))


# ---- The options of a command ---------------------------------------------------------------------------------------


def of_options(command: str, before: Sequence[str], current: str) -> Iterator[str]:
    name, equals, value = current.partition("=")
    kind = options.of_command(command)
    known = {each.name: each for each in fields(kind) if each.name != "files"} if kind else {}
    if not equals:
        taken = {word.partition("=")[0] for word in before}
        yield from (f"{each}=" for each in known if each not in taken)
        yield "--help"
    elif name in known:
        yield from (f"{name}={each}" for each in values_of(known[name], value, before))


def values_of(each: Any, value: str, before: Sequence[str]) -> Iterator[str]:
    """Values of an option; of several with commas in between, those of the last."""
    if each.type is bool:
        yield from ("true", "false")
    if each.name == "run":
        yield from ("last", *runs(before))
    if each.name in language.FILES:
        yield from files(value, None)
    head = value[: value.rfind(",") + 1]
    yield from (f"{head}{offer}" for offer in each.metadata.get("offers", ()))


def runs(words: Sequence[str]) -> list[str]:
    """The names of the newest runs in the store that a command looks into; none where it is no SQLite file."""
    folder = next((word.partition("=")[2] for word in words if word.startswith("folder=")), "runs")
    database = expanded(folder).absolute() / "mlflow.db"
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as opened:
        found = opened.execute(
            "SELECT name FROM runs WHERE lifecycle_stage = 'active' ORDER BY start_time DESC LIMIT ?", [MOST_RUNS]
        )
        return [name for (name,) in found if name]
    return []


def files(start: str, endings: Sequence[str] | None) -> Iterator[str]:
    """Files and folders whose names begin so, a folder with `/` at its end; no hidden ones unless asked for.

    Args:
        endings: those of the files; None takes every file, and no ending takes nothing at all.
    """
    if endings == ():
        return
    folder, _, name = start.rpartition("/")
    place = os.path.expanduser(f"{folder}/") if "/" in start else "."  # noqa: PTH111 - see files.expanded
    with suppress(OSError, ValueError):
        for each in sorted(os.scandir(place), key=lambda entry: entry.name):
            if each.name.startswith(name) and (name or not each.name.startswith(".")):
                if each.is_dir():
                    yield f"{start[: len(start) - len(name)]}{each.name}/"
                elif endings is None or each.name.lower().endswith(tuple(endings)):
                    yield f"{start[: len(start) - len(name)]}{each.name}"


# ---- The config of a run --------------------------------------------------------------------------------------------


def of_train(before: Sequence[str], current: str) -> Iterator[str]:
    key, equals, value = current.partition("=")
    marks = key[: len(key) - len(key.lstrip("+~"))]
    key = key.lstrip("+~")
    groups = choices_by_group()
    if equals and key in groups:
        head = value[: value.rfind(",") + 1]  # of a sweep: model=dense,tcn
        yield from (f"{marks}{key}={head}{choice}" for choice in groups[key])
        return
    keys = flattened(sections(before, groups))
    if equals:
        yield from (f"{marks}{key}={each}" for each in values_of_key(key, value, keys))
        return
    if "." not in key:
        yield from (f"{marks}{group}=" for group in groups)
        yield from (f"{marks}{each}." for each in dict.fromkeys(each.partition(".")[0] for each in keys if "." in each))
        yield from (f"{marks}{each}=" for each in (*keys, "plugins", *language.KEYS) if "." not in each)
        yield from FLAGS
    else:
        yield from (f"{marks}{each}=" for each in keys if each.startswith(key))


def values_of_key(key: str, value: str, keys: Mapping[str, Any]) -> Iterator[str]:
    """What a key has where nothing else is said, and its opposite; files where it names some."""
    present = keys.get(key)
    if key in (*language.FILES, "plugins") or (
        key.startswith("data.") and (present is None or isinstance(present, str | list))
    ):
        yield from files(value, None)
    if isinstance(present, bool):
        yield from ("true", "false")
    elif present is None or isinstance(present, int | float) or (isinstance(present, str) and present.isidentifier()):
        yield "null" if present is None else str(present)


def choices_by_group() -> dict[str, list[str]]:
    """The folders of YAML, ampsim's own and those of plugins: `{"model": ["dense", ...], "hydra/launcher": [...]}`."""
    found: dict[str, set[str]] = {"hydra/launcher": {"basic", "joblib"}}
    for place in plugins.config_folders():
        for choice in plugins.offered(place):
            group, _, name = choice.rpartition("/")
            if group:
                found.setdefault(group, set()).add(name)
    return {group: sorted(names) for group, names in sorted(found.items())}


def sections(words: Sequence[str], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The config that the words so far choose, as far as it says which keys there are."""
    config = of_file("config")
    chosen = {key: str(value) for key, value in defaults_of(config) if value and not key.startswith("override ")}
    named = dict(word.lstrip("+").split("=", 1) for word in words if "=" in word)
    whole = layers("experiment", named.get("experiment", ""))
    for step in whole:
        chosen |= {key.removeprefix("override ").lstrip("/"): str(value) for key, value in defaults_of(step) if value}
    chosen |= {key: value.rpartition(",")[2] for key, value in named.items() if key in groups}
    found = {key: value for key, value in config.items() if key not in ("defaults", "hydra")}
    for group, choice in chosen.items():
        if group in groups and "/" not in group and group != "experiment":
            whole_choice: dict[str, Any] = reduce(merged, layers(group, choice), {})
            found[group] = {key: value for key, value in whole_choice.items() if key not in ("defaults", "_target_")}
    for step in whole:
        found = merged(found, {key: value for key, value in step.items() if key not in ("defaults", "hydra")})
    return found


def layers(group: str, name: str, depth: int = 0) -> list[dict[str, Any]]:
    """The file of a choice behind those of its group that it builds on."""
    if not name or depth == DEEPEST:
        return []
    here = of_file(f"{group}/{name}")
    below = [step for key, value in defaults_of(here) if value == "" for step in layers(group, key, depth + 1)]
    return [*below, here]


def defaults_of(section: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The defaults list of a file as pairs; an entry without a choice, `- minute`, has the value ""."""
    listed = section.get("defaults", [])
    pairs = [each if isinstance(each, dict) else {each: ""} for each in listed if isinstance(each, dict | str)]
    return [(str(key), value) for pair in pairs for key, value in pair.items() if key not in ("_self_", "schema")]


def of_file(name: str) -> dict[str, Any]:
    """What a YAML of ampsim or of a plugin holds; nothing where there is none, or none that can be read."""
    for place in plugins.config_folders():
        path = place / f"{name}.yaml"
        with suppress(AmpsimError):
            found = read_yaml(path, "config")
            return found if isinstance(found, dict) else {}
    return {}


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Two nested dicts, of which the second counts where both say something."""
    found = dict(below)
    for key, value in above.items():
        inner = found.get(key)
        found[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return found


# ---- Scripts --------------------------------------------------------------------------------------------------------

# bash takes the part behind `=` for a word of its own where COMP_WORDBREAKS says so: only that part is handed back.
BASH = r"""_ampsim() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$' \t\n' word home kept=
    local -a words found
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local current=${words[${#words[@]}-1]}
    [[ $COMP_WORDBREAKS == *=* && $current == *=* ]] && kept=${current%"${current##*=}"}
    COMPREPLY=()
    while IFS= read -r word; do
        word=${word#"$kept"}
        [[ $word == '~/'* ]] && home='~/' || home=
        [[ -n $word ]] && COMPREPLY+=("$home$(printf '%q' "${word#"$home"}")")
    done < <("${words[0]}" completion words "${words[@]:1}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && $COMPREPLY != *[=./] ]] || compopt -o nospace 2>/dev/null
}
complete -F _ampsim ampsim
"""
ZSH = r"""#compdef ampsim
_ampsim() {
    local -a found open closed
    found=("${(@f)$(${words[1]} completion words "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    open=(${(M)found:#*[=./]})
    closed=(${found:#*[=./]})
    compadd -S '' -a open
    compadd -a closed
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _ampsim "$@"; else compdef _ampsim ampsim; fi
"""
FISH = r"""function _ampsim
    set -l words (commandline -opc)
    $words[1] completion words $words[2..] (commandline -ct) 2>/dev/null
end
complete -c ampsim -f -a '(_ampsim)'
"""
SCRIPTS = dict(zip(SHELLS, (BASH, ZSH, FISH), strict=True))
