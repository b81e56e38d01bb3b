"""Processes and what is printed below Python."""

import os
import subprocess

import pytest

from ampsim.runs.machine import alive, quiet_stderr, usable_cores


def test_a_process_is_alive_until_it_has_ended():
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert [alive(pid) for pid in (os.getpid(), 1, ended.pid, 0, -1, 10**30)] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_there_is_a_core():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_what_is_held_back_is_shown_where_something_fails(capfd: pytest.CaptureFixture):
    with quiet_stderr():
        os.write(2, b"greeting")
    assert capfd.readouterr().err == ""
    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert capfd.readouterr().err == "reason"


def write_and_fail() -> None:
    with quiet_stderr():
        os.write(2, b"reason")
        raise ZeroDivisionError
