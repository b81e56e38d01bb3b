"""One door to the disk: files that appear whole or not at all, and files of strangers that are read with care."""

import gc
import json
import math
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ampsim import AmpsimError

__all__ = [
    *(
        "atomic",
        "atomic_folder",
        "cache_folder",
        "expanded",
        "memory_limit",
        "read_json",
        "read_text",
        "refuse_existing",
    ),
    *("refuse_existing_folder", "refuse_irregular", "refuse_larger", "rejoined", "uncollected", "write_text"),
]

# What one thing that comes from elsewhere, a file or a setting, may take of the memory: two hours of stereo at 48 kHz.
MEMORY_GB = 3.0
MEMORY_VARIABLE = "AMPSIM_MEMORY_GB"
MOST_COMMAS = 8  # in one name of a list
JSON_GROWTH = 25  # bytes of Python objects that a byte of JSON may become: `{},` is 3 bytes and a dict of 64


@contextmanager
def atomic(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, with its ending, that takes its name at the end or, after an error, vanishes.

    The folder is made if need be. What the body raises passes through unchanged.

    Raises:
        AmpsimError: the file exists and `overwrite` is off, or the folder cannot be written to.
    """
    refuse_existing(path, overwrite=overwrite)
    # The name is cut, since file systems take no more than 255 bytes of it.
    temporary = path.with_name(f".{path.stem[:32]}-{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.open("xb").close()  # unlike tempfile's, the file heeds the umask
    except (OSError, ValueError) as error:
        raise AmpsimError(f"{path.parent} cannot be written to: {reason(error)}") from error
    try:
        yield temporary
        try:
            temporary.replace(path)
        except OSError as error:
            raise AmpsimError(f"{path} cannot be written: {reason(error)}") from error
    finally:
        with suppress(OSError):  # where the disk itself is gone, that is not the error to tell of
            temporary.unlink()


@contextmanager
def atomic_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its name at the end or, after an error, vanishes; as `atomic`.

    Raises:
        AmpsimError: something of that name is in the way (see `refuse_existing_folder`); the folder that is to be replaced
            holds a file that the new one does not; or it cannot be written to.
    """
    refuse_existing_folder(path, overwrite=overwrite)
    temporary, old = (path.with_name(f".{path.name[:32]}-{uuid.uuid4().hex[:12]}") for _ in range(2))
    try:
        temporary.mkdir(parents=True)
    except (OSError, ValueError) as error:
        raise AmpsimError(f"{path.parent} cannot be written to: {reason(error)}") from error
    try:
        yield temporary
        try:
            if path.exists():
                refuse_others(path, {each.name for each in temporary.iterdir()})
                path.rename(old)
            temporary.rename(path)
        except OSError as error:
            if old.exists():
                old.rename(path)
            raise AmpsimError(f"{path} cannot be written: {reason(error)}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def refuse_others(folder: Path, names: set[str]) -> None:
    """Refuse to replace a folder that holds more than files of these names."""
    for each in sorted(folder.iterdir()):
        if each.name not in names or each.is_symlink() or not each.is_file():
            raise AmpsimError(f"{folder} holds {each.name}, which would be lost: name another folder, or move it away")


def write_text(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write UTF-8 with Unix line ends, whole or not at all; a character that is no text, as in some file names, becomes `?`.

    Raises:
        AmpsimError: the file exists and `overwrite` is off, or it cannot be written.
    """
    with atomic(path, overwrite=overwrite) as temporary:
        try:
            temporary.write_bytes(text.encode(errors="replace"))
        except OSError as error:
            raise AmpsimError(f"{path} cannot be written: {reason(error)}") from error


def refuse_existing(path: Path, *, overwrite: bool, inputs: Iterable[str | Path] = ()) -> None:
    """Refuse to write over a file that must stay.

    Args:
        inputs: what the command reads, which it never replaces, under whichever name: the path itself, a link to it or,
            where the file system ignores case, another spelling.

    Raises:
        AmpsimError: a file of that name exists and `overwrite` is off, or it is an input, a folder, a device, a pipe or a socket.
    """
    try:
        found = path.stat() if path.exists() else None
    except (OSError, ValueError) as error:
        raise AmpsimError(f"{path} cannot be written to: {reason(error)}") from error
    if found is None:
        return
    if stat.S_ISDIR(found.st_mode):
        raise AmpsimError(f"{path} exists and is a folder: name a file")
    if not stat.S_ISREG(found.st_mode):
        raise AmpsimError(f"{path} is no file, but {kind_of(found.st_mode)}: name a file")
    for each in map(Path, inputs):
        with suppress(OSError, ValueError):
            if os.path.samestat(each.expanduser().stat(), found):
                raise AmpsimError(f"{path} is the input itself: name another file for the output")
    if not overwrite:
        raise AmpsimError(f"{path} exists; say overwrite=true to replace it")


def refuse_existing_folder(path: Path, *, overwrite: bool) -> None:
    """Refuse to write over what must stay, where a folder is to be written. An empty one is no obstacle.

    Raises:
        AmpsimError: a folder with something in it exists and `overwrite` is off, or it is a file, or a link.
    """
    try:
        if not os.path.lexists(path):
            return
        if path.is_symlink() or not path.is_dir():
            raise AmpsimError(f"{path} exists and is no folder: name a folder")
        if not overwrite and any(path.iterdir()):
            raise AmpsimError(f"{path} exists; say overwrite=true to replace it")
    except (OSError, ValueError) as error:
        raise AmpsimError(f"{path} cannot be written to: {reason(error)}") from error


class TooLargeError(AmpsimError):
    """A file or a setting would take more memory than `memory_limit`."""


def memory_limit() -> int:
    """Bytes of memory that one file or setting from elsewhere may take; the environment may raise it.

    Raises:
        AmpsimError: the variable holds no number above 0.
    """
    stated = os.environ.get(MEMORY_VARIABLE, "")
    try:
        gigabytes = float(stated or MEMORY_GB)
    except ValueError:
        gigabytes = math.nan
    if not 0 < gigabytes < math.inf:
        raise AmpsimError(f"{MEMORY_VARIABLE}={stated}: it is a number of gigabytes above 0, for instance 8")
    return int(gigabytes * 1e9)


def refuse_larger(what: str, wanted: float) -> None:
    """Refuse what would take more memory than `memory_limit`; to be asked before any of it is set aside.

    Args:
        what: the file or the setting, the subject of the sentence ("amp.wav", "model.taps=1000000000").
        wanted: bytes.

    Raises:
        TooLargeError: it would take more.
    """
    if wanted <= (limit := memory_limit()):
        return
    raise TooLargeError(
        f"{what} would take {gigabytes(wanted)} of memory, and one file or setting may take {gigabytes(limit)}: make it "
        f"smaller, or raise the limit ({MEMORY_VARIABLE}={math.ceil(wanted / 1e9 + 0.01):d})"
    )


def gigabytes(count: float) -> str:
    """A number of bytes as a sentence has it; small ones, which a lowered limit brings up, in megabytes."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"


def read_text(path: Path, kind: str, limit: int) -> str:
    """The text of a regular file of at most `limit` bytes in UTF-8, with or without a byte-order mark.

    Args:
        kind: what the file was taken for ("votes file"), for the sentence of an error.

    Raises:
        AmpsimError: the file is missing, a folder, a device, a pipe or a socket, not readable, too large, or not text.
    """
    refuse_irregular(path, kind)
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)  # and not the size that is stated, which a file in /proc has none of
    except OSError as error:
        raise AmpsimError(f"{path} cannot be read: {reason(error)}") from error
    if len(content) > limit:
        raise AmpsimError(f"{path} is no {kind}: it has more than {limit:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise AmpsimError(
                f"{path} is no {kind}: it is not text in UTF-8, but in UTF-16; save it as UTF-8"
            ) from error
        raise AmpsimError(f"{path} is no {kind}: it is not text in UTF-8 from byte {error.start} on") from error


def read_json(path: Path, kind: str, limit: int | None = None) -> object:
    """What a file of JSON holds; arguments and faults as for `read_text`.

    Args:
        limit: bytes of the file; None is as many as may become `memory_limit` in Python.

    Raises:
        AmpsimError: also where the text is not JSON, breaks off, says a key twice, or is nested too deep.
    """
    text = read_text(path, kind, memory_limit() // JSON_GROWTH if limit is None else limit)
    try:
        with uncollected():
            return json.loads(text, object_pairs_hook=without_repetition)
    except json.JSONDecodeError as error:
        stripped = text.strip()
        whole = stripped[:1] not in ("", "{", "[") or stripped.endswith(("}", "]"))
        fault = f"it is not JSON from character {error.pos} on" if whole else "it breaks off"
        raise AmpsimError(f"{path} is no {kind} that can be read: {fault}; download or export it again") from error
    except RepeatedKeyError as error:
        raise AmpsimError(
            f"{path} is no {kind} that can be read: it has the key {error} twice in one object"
        ) from error
    except (RecursionError, ValueError) as error:  # ValueError: a whole number of thousands of digits
        fault = "it is nested too deep" if isinstance(error, RecursionError) else "it holds a number that is too long"
        raise AmpsimError(f"{path} is no {kind} that can be read: {fault}") from error


@contextmanager
def uncollected() -> Iterator[None]:
    """Python collects no garbage within: around readers that find out by recursion how deep a stranger's text is nested.

    Whatever was to be put away, such as a temporary folder, would stay where the collector comes by with no stack left.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class RepeatedKeyError(ValueError):
    """An object of JSON that has a key twice: which of the two is meant, readers do not agree on."""


def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise RepeatedKeyError(repr(next(name for name in names if names.count(name) > 1))[:60])
    return found


def refuse_irregular(path: Path, kind: str) -> None:
    """Refuse what is no regular file before it is opened: a device, a pipe or a socket may never end, or never begin.

    Raises:
        AmpsimError: there is no such file, it cannot be looked at, or it is a folder, a device, a pipe or a socket.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AmpsimError(f"{path} does not exist (looked from {Path.cwd()})") from error
    except (OSError, ValueError) as error:
        raise AmpsimError(f"{path} cannot be read: {reason(error)}") from error
    if stat.S_ISDIR(mode):
        raise AmpsimError(f"{path} is a folder; name a file in it ({kind})")
    if not stat.S_ISREG(mode):
        raise AmpsimError(f"{path} is no file, but {kind_of(mode)}; name a {kind}")


def kind_of(mode: int) -> str:
    """What something is that is no file and no folder."""
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def reason(error: OSError | ValueError) -> str:
    """What the system says of an error, without the number and the paths that Python adds."""
    return getattr(error, "strerror", None) or str(error)


def expanded(path: str | os.PathLike[str]) -> Path:
    """With `~` or `~user` at its beginning as that home; where there is no such user, `~x.wav` is a file like any other."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises RuntimeError for such a name


def cache_folder() -> Path | None:
    """The folder of what can be made again: $AMPSIM_CACHE, else ~/.cache/ampsim; None where this user has no home, as one
    that a container knows by a number only."""
    if named := os.environ.get("AMPSIM_CACHE"):
        return expanded(named).absolute()  # a run may go to another folder
    folder = expanded("~/.cache/ampsim")
    return folder if folder.is_absolute() else None


def rejoined(pieces: Sequence[str], known: Callable[[str], object]) -> list[str]:
    """The names in a list that was split at its commas, where a known name may hold commas, or spaces at its ends."""
    found, start = [], 0
    while start < len(pieces):
        ends = range(start + 1, min(len(pieces), start + 1 + MOST_COMMAS) + 1)
        texts = ((",".join(pieces[start:end]), end) for end in ends)
        spelled = ((name, end) for text, end in texts for name in (text, text.strip()))
        name, start = next(
            ((name, end) for name, end in spelled if name and known(name)), (pieces[start].strip(), start + 1)
        )
        found.append(name)
    return found
