"""A function called in a process of its own: no state or memory passes from one call to the next, and it can be ended.

Where the system forks, the processes are forked from a server that has imported TensorFlow and MLflow and used neither,
so that a job starts at once and yet in a clean process. Elsewhere each imports them anew.
"""

import gc
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ampsim import AmpsimError
from ampsim.config import plugins
from ampsim.runs.machine import ENDING, TerminatedError, on_termination, quiet_stderr

# What the server imports: the story, and what MLflow itself would import at the first connection to a database.
PRELOADED = ["ampsim.runs.experiment", "mlflow.store.tracking.sqlalchemy_store", "matplotlib.backends.backend_agg"]
GRACE_S = 10.0  # for a job to end by itself once it is told to


@dataclass(frozen=True)
class Outcome:
    """What became of a job: finished, diverged, pruned, failed, timed out or not begun."""

    status: str
    note: str = ""
    values: dict[str, float] = field(default_factory=dict)  # scores and what a search may choose by


# ---- In the process that watches ------------------------------------------------------------------------------------


def isolated(
    function: Callable[..., Outcome],
    *arguments: Any,
    threads: int | None = None,
    timeout_s: float | None = None,
    report: Callable[[Any], None] = lambda progress: None,
) -> Outcome:
    """Call a function in a clean process; what it returns, or how it failed."""
    start_warm(threads)
    context: Any = multiprocessing.get_context("forkserver" if forks() else "spawn")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile(prefix="ampsim-job-") as log:
        process = context.Process(target=enter, args=(sender, log.name, threads, function, arguments))
        process.start()
        sender.close()
        ends = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            outcome = followed(receiver, process, ends, report)
        except KeyboardInterrupt as error:
            if isinstance(error, TerminatedError):  # which came to this process alone, unlike Ctrl-C
                process.terminate()
            process.join(GRACE_S)  # it marks its run
            raise
        finally:
            stop(process)
        if outcome is not None:
            return outcome
        if ends is not None and time.monotonic() >= ends:
            return Outcome("timed out", f"ended after the {timeout_s:g} s that sweep.job_timeout_s gives a job")
        return Outcome("failed", last_words(process.exitcode, log.read().decode(errors="replace")))


def followed(receiver: Connection, process: Any, ends: float | None, report: Callable[[Any], None]) -> Outcome | None:
    """Pass on what a process tells until it has told its outcome; None if it died or its time is over."""
    while True:
        left = None if ends is None else max(0.0, ends - time.monotonic())
        if not wait([receiver, process.sentinel], left):
            return None
        try:
            while receiver.poll():
                message = receiver.recv()
                if isinstance(message, Outcome):
                    process.join(GRACE_S)
                    return message
                report(message)
        except EOFError:
            return None
        if not process.is_alive() and not receiver.poll():
            return None


def stop(process: Any) -> None:
    if process.is_alive():
        process.terminate()
        process.join(GRACE_S)
    if process.is_alive():
        process.kill()
        process.join()


def last_words(code: int | None, log: str) -> str:
    """Why a process died, for whoever reads the sweep's table."""
    said = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")
    if code is not None and code < 0:
        why = ": was the machine out of memory?" if code == -9 else ""
        return f"its process was ended by signal {-code}{why} {said}".strip()[:500]
    return f"its process ended with exit code {code}: {said or 'it left no word'}"[:500]


def forks() -> bool:
    return sys.platform == "linux"  # elsewhere the system's own libraries do not survive a fork


def start_warm(threads: int | None = None) -> None:
    """Have the server that jobs are forked from import what they need; returns at once."""
    if not forks():
        return
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    # Its processes ask it how they ended, so that it must outlive them: what ends them all does not reach it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        with quiet_stderr(), environment(thread_limits(threads)):
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def thread_limits(threads: int | None) -> dict[str, str]:
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    # Jobs that share a GPU must not take all of its memory each.
    return {} if threads is None else {"TF_FORCE_GPU_ALLOW_GROWTH": "true", **dict.fromkeys(names, str(threads))}


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# ---- In the process that is watched ---------------------------------------------------------------------------------


def enter(sender: Connection, log: str, threads: int | None, function: Callable[..., Outcome], arguments: Any) -> None:
    """Where the process begins: what it prints goes to a log, and it ends when its parent does."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(thread_limits(threads))
    threading.Thread(target=die_with_parent, daemon=True).start()
    gc.freeze()  # what the server imported is no garbage, and need not be looked through again
    try:
        with on_termination():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            sender.send(function(sender, *arguments))
    except KeyboardInterrupt:
        sys.exit(130)
    except AmpsimError as error:
        sender.send(Outcome("failed", str(error)))
    except BaseException as error:
        traceback.print_exc()
        sender.send(Outcome("failed", (in_plugin(error) or f"{type(error).__name__}: {error}")[:500]))


def in_plugin(error: BaseException) -> str:
    """A sentence for an error that came up in a plugin's code, which its author can mend; empty for any other."""
    frames = [(frame.filename, str(frame.lineno)) for frame in traceback.extract_tb(error.__traceback__)]
    frames += re.findall(r'File "([^"]+)", line (\d+)', str(error))  # TensorFlow's account of what it traced
    for file, line in reversed(frames):
        for plugin in plugins.found().plugins:
            if Path(file).resolve().is_relative_to(plugin.folder):
                kind = type(error).__name__
                lines = [each.strip().removeprefix(f"{kind}: ") for each in str(error).splitlines() if each.strip()]
                reason = ": ".join([kind, *lines[-1:]])
                return (
                    f"the plugin {plugin} fails in {file}, line {line}: {reason} (AMPSIM_DEBUG=1 shows the way there)"
                )
    return ""


def die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)  # a checkpoint is written, the run is marked
    time.sleep(GRACE_S)
    os._exit(1)
