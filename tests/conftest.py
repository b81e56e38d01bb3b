"""What several test files share."""

import atexit
import contextlib
import gc
import os
import pkgutil
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

# The workers share the cores: threads of OpenBLAS that wait for each other cost some tests six times their time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# A shell has what it runs in the background ignore Ctrl-C, and so would the processes that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# No test reads or fills the cache of whoever runs it; what one compiles or makes, those beside it and after it find.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["AMPSIM_CACHE"] = tempfile.mkdtemp(prefix="ampsim-tests-")
    os.environ.pop("TF_XLA_FLAGS", None)
    atexit.register(shutil.rmtree, os.environ["AMPSIM_CACHE"], ignore_errors=True)

import coverage
import numpy as np
import pytest
from synthetic import DELAY, RATE, amp, guitar, shifted, write_pcm

import ampsim
from ampsim.export import FORMATS
from ampsim.metrics.scores import COMPUTES, SCORES

TRACED: set[str] = set()  # tests of which one case has been traced
REGISTRIES: tuple[dict[str, Any], ...] = (FORMATS, SCORES, COMPUTES)


def function(item: pytest.Item) -> str:
    """The name of a test without that of its case."""
    return item.nodeid.partition("[")[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--one-case", action="store_true", help="of each parametrised test one case, each time another")


@pytest.hookimpl(trylast=True)  # once the order is drawn
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("one_case"):
        kept = {function(item): item for item in reversed(items)}
        config.hook.pytest_deselected(items=[item for item in items if kept[function(item)] is not item])
        items[:] = [item for item in items if kept[function(item)] is item]


def pytest_collection_finish() -> None:
    """What was imported is no garbage: a full collection, as Keras makes for each model that begins anew, leaves it out."""
    if coverage.Coverage.current():  # or what a case that is not traced imports first would count as never reached
        for module in pkgutil.walk_packages(ampsim.__path__, "ampsim."):
            import_module(module.name)
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _one_case_traced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Coverage is counted in one case of each parametrised test, so that what `make test` tells is a lower bound: the
    others hardly reach another line, and tracing makes plain Python, other packages' too, take twice its time."""
    name, trace, of_threads = function(request.node), sys.gettrace(), threading.gettrace()
    if coverage.Coverage.current() is None or name not in TRACED:
        TRACED.add(name)
        yield
        return
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # by which the processes that a test starts trace
    sys.settrace(None)
    threading.settrace(None)
    yield
    sys.settrace(trace)
    threading.settrace(of_threads)


@pytest.fixture(autouse=True)
def _tables_made_once(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store's database begins as a copy of one that MLflow made: its dozens of migrations run once a session."""
    made = tmp_path_factory.getbasetemp() / "tables" / "mlflow.db"

    def copied(path: Path) -> None:
        if not path.exists():
            made.parent.mkdir(exist_ok=True)
            databases.make_database(made)
            shutil.copyfile(made, path)

    if tracking := sys.modules.get("ampsim.runs.tracking"):  # which imports MLflow, and most tests do not need it
        from ampsim.runs import databases

        monkeypatch.setattr(tracking, "make_database", copied)


@pytest.fixture(autouse=True)
def _same_draws(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of the tests is random, what each draws is not: of its module's generator and for Keras' first weights."""
    random.seed(0)
    if isinstance(getattr(request.module, "random", None), np.random.Generator):
        monkeypatch.setattr(request.module, "random", np.random.default_rng(0))


@pytest.fixture(autouse=True)
def _parts_as_before() -> Iterator[None]:
    """What a test registers, or a plugin that it loads, goes with it."""
    before = [dict(registry) for registry in REGISTRIES]
    yield
    for registry, kept in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(kept)


@pytest.fixture(scope="session", autouse=True)
def _ends_as_in_a_terminal() -> None:
    """Below nohup this process ignores SIGHUP, and so would every one that it starts."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """A library that a test uses may leave a handler of its own, as Ray does of SIGTERM, and the next test would find that."""
    numbers = (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM), signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts a process in a group of its own, of which nothing is left after the test, however that ends."""
    started: list[subprocess.Popen] = []

    def begin(command: list[str], **options: Any) -> subprocess.Popen:
        started.append(subprocess.Popen(command, start_new_session=True, **options))
        return started[-1]

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stereo WAV of 3 s: direct on the left, on the right the amp, which lags by DELAY samples."""
    num_samples = 3 * RATE
    played = guitar(num_samples + 200, seed=3)
    folder = tmp_path_factory.mktemp("recording")
    direct, loud = shifted(played, 0, num_samples), shifted(amp(played), DELAY, num_samples)
    return write_pcm(folder / "my amp.wav", [direct, loud])


@pytest.fixture(scope="session")
def real_recordings() -> Path:
    """The folder of real recordings, for the slow tests that measure on one."""
    folder = os.environ.get("AMPSIM_DATA")
    if not folder:
        pytest.skip("AMPSIM_DATA is not set: it names the folder with the real recordings (ds1, marshall_2204)")
    return Path(folder)
