"""Compiled steps on disk: what XLA compiles in seconds, later runs of the same net read, and take half of the time to begin."""

import atexit
import os
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import tensorflow as tf

from ampsim.files import cache_folder

VARIABLE, OPTION = "TF_XLA_FLAGS", "--tf_xla_persistent_cache"
MOST_BYTES = 200_000_000  # a run leaves one to five megabytes
ROOM_BYTES = 100_000_000  # free on the disk: TensorFlow ends a run whose compiled step it cannot write
JUST_NOW_S = 600  # in which another process may not have had the time to seal a file


def keep_compiled() -> None:
    """Have TensorFlow keep what it compiles for the processor, below $AMPSIM_CACHE or ~/.cache/ampsim; before the first time.

    It takes a file whose name and content say that it was made from the same program, and fails on a damaged one: `seal`
    writes a checksum beside each, and what has none, or another, is deleted here. A variable that names a place already
    stays. Nothing is kept where others could put machine code, where no folder can be had, or where the disk is nearly full.
    """
    atexit.register(seal)
    flags = os.environ.get(VARIABLE, "").strip()
    if os.name != "posix" or OPTION in flags or (flags and not flags.startswith("--")):
        return
    with suppress(OSError):
        if not (cache := cache_folder()):
            return
        folder = cache / "compiled" / made_for()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not own(folder) or not os.access(folder, os.W_OK) or set(" \"'") & set(str(folder)):
            return
        delete_damaged(folder)
        delete_oldest(folder.parent)
        if shutil.disk_usage(folder).free < ROOM_BYTES:
            return
        os.environ[VARIABLE] = f"{flags} {OPTION}_directory={folder} {OPTION}_device_types=CPU,XLA_CPU_JIT".strip()


def made_for() -> str:
    """A name of this TensorFlow and this processor: of machines that share a home, one may not know another's code."""
    able = ""
    with suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
        able = next((line for line in file.read(16_384).splitlines() if line.startswith(("flags", "Features"))), "")
    return f"{tf.__version__}-{os.uname().machine}-{crc32(able.encode()):08x}"


def own(folder: Path) -> bool:
    """Whether nobody else can put machine code there."""
    found = folder.stat()
    return found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o022


def checksum(path: Path) -> bytes:
    return f"{crc32(path.read_bytes()):08x}".encode()


def seal_of(path: Path) -> Path:
    return path.with_suffix(".crc")


def seal() -> None:
    """Write the checksum of each new file beside it, in the folder that `keep_compiled` named, here or in a parent process."""
    named = [
        flag.partition("=")[2]
        for flag in os.environ.get(VARIABLE, "").split()
        if flag.startswith(f"{OPTION}_directory=")
    ]
    if not named or Path(named[-1]).name != made_for():  # somebody else's place
        return
    with suppress(OSError):
        for path in Path(named[-1]).glob("*.pb"):
            if not seal_of(path).exists():
                seal_of(path).write_bytes(checksum(path))


def unwritten(error: Exception) -> str:
    """A sentence if this error of TensorFlow's says that a compiled step could not be written; else nothing."""
    if "xla_compile_cache" not in str(error):
        return ""
    return (
        f"a compiled step could not be kept ({str(error).rpartition(';')[2].strip()}): make room on that disk, or name "
        "another folder in AMPSIM_CACHE"
    )


def delete_damaged(folder: Path) -> None:
    for path in folder.glob("*.tmp"):  # that a process did not live to finish
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > JUST_NOW_S:
                path.unlink()
    for path in folder.glob("*.pb"):
        with suppress(FileNotFoundError):  # another process begins at the same time
            found, sealed = path.stat(), seal_of(path)
            new = found.st_size and time.time() - found.st_mtime < JUST_NOW_S and not sealed.exists()
            if not (new or (sealed.exists() and sealed.read_bytes() == checksum(path))):
                path.unlink()
                sealed.unlink(missing_ok=True)


def delete_oldest(folder: Path) -> None:
    """Once there is more than MOST_BYTES, in all folders of other versions too, delete half: what was read longest ago."""
    kept = [(path, path.stat()) for path in folder.glob("*/*")]
    left = sum(found.st_size for _, found in kept)
    if left <= MOST_BYTES:
        return
    for path, found in sorted(kept, key=lambda each: max(each[1].st_atime, each[1].st_mtime)):
        if left > MOST_BYTES / 2:
            path.unlink(missing_ok=True)
            left -= found.st_size
