"""Cores, signals that end a process, and what is printed below Python."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from ampsim.runs.machine import TerminatedError, on_termination, quiet_stderr, usable_cores


def test_there_is_a_core():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_what_is_held_back_is_shown_where_something_fails(capfd: pytest.CaptureFixture):
    with quiet_stderr():
        os.write(2, b"greeting")
    assert capfd.readouterr().err == ""
    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert capfd.readouterr().err == "reason"


@pytest.mark.parametrize("end", [KeyboardInterrupt(), TerminatedError(signal.SIGTERM)])
def test_what_is_held_back_stays_so_where_an_end_was_asked_for(end: BaseException, capfd: pytest.CaptureFixture):
    with pytest.raises(type(end)):
        write_and_fail(end)
    assert capfd.readouterr().err == ""


def write_and_fail(error: BaseException | None = None) -> None:
    with quiet_stderr():
        os.write(2, b"reason")
        raise error or ZeroDivisionError


# ---- signals ----


def tell(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # Python calls its handlers between two instructions


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_what_is_inside_once_and_all_is_as_before(number: int, code: int):
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)]
    cleaned = []

    def told_twice() -> None:
        with on_termination():
            try:
                tell(number)
            finally:
                tell(signal.SIGTERM)
                tell(signal.SIGHUP)
                cleaned.append("whole")

    with pytest.raises(TerminatedError, match=f"ended by {signal.Signals(number).name}") as ended:
        told_twice()
    assert (ended.value.exit_code, cleaned) == (code, ["whole"])
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)] == before


def test_an_inner_handler_waits_and_the_outer_is_left_to_clean_up():
    asked: list[int] = []

    def two() -> None:
        with on_termination():
            try:
                with on_termination(asked.append, nested=True):
                    tell(signal.SIGTERM)
                    raise TerminatedError(asked[0])
            finally:
                tell(signal.SIGTERM)

    with pytest.raises(TerminatedError):
        two()
    assert asked == [signal.SIGTERM]


def test_where_nobody_handles_signals_nested_does_not_begin_to():
    before = signal.getsignal(signal.SIGTERM)
    with on_termination(nested=True):
        assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_is_ignored_stays_so(monkeypatch: pytest.MonkeyPatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with on_termination():
            tell(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


DROPPED = """
import os, signal, time
from ampsim.runs.machine import TerminatedError, on_termination
class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
def swallow():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
    except BaseException:
        pass
with on_termination():
    {act}
    time.sleep(600)
"""


@pytest.mark.parametrize("act", ["Last()", "swallow()"])
def test_a_signal_that_a_destructor_or_a_library_drops_comes_again(act: str):
    done = subprocess.run(
        [sys.executable, "-c", DROPPED.replace("{act}", act)], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.stderr.splitlines()[-1] == "ampsim.runs.machine.TerminatedError: ended by SIGTERM"


def test_a_terminal_that_is_gone_takes_output_all_the_same():
    main, terminal = pty.openpty()
    code = """
import os, signal, sys, time
from ampsim.runs.machine import TerminatedError, on_termination
try:
    with on_termination():
        print("ready", flush=True)
        time.sleep(600)
except TerminatedError as error:
    print("cleaned up", flush=True)
    sys.exit(error.exit_code)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    told = b""
    while not told.endswith(b"\n"):  # the terminal hands on a line in pieces, while the process still writes it
        told += os.read(main, 1000)
    assert told.split() == [b"ready"]
    os.close(main)  # from here on, what writes there fails
    process.send_signal(signal.SIGHUP)
    assert process.wait(300) == 129
