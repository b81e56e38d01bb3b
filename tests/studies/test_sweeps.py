"""Sweeps through the command line: what is kept, skipped, ended and told."""

import csv
import getpass
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from ampsim import AmpsimError
from ampsim.cli import main as cli
from ampsim.comparing import comparison
from ampsim.comparing.outcomes import Row
from ampsim.config import settings
from ampsim.runs import isolated
from ampsim.runs.tracking import SWEEP, Store
from ampsim.studies import sweeps
from ampsim.studies.search import open_storage

SMALL = [
    "model=dense",
    "model.window=64",
    "model.future=9",
    "model.layers=1",
    "model.units=4",
    "training.segment_length=1000",
    "training.epochs=1",
    "loss=esr",
]
COMMAND = [sys.executable, "-m", "ampsim", "train", "-m"]


def store(folder: Path) -> SimpleNamespace:
    """The parents and children that a folder's store holds, oldest first."""
    client = MlflowClient(f"sqlite:///{folder.absolute() / 'runs' / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("ampsim").experiment_id], order_by=["start_time"])
    parents = [run for run in runs if "sweep_hash" in run.data.tags]
    return SimpleNamespace(client=client, parents=parents, children=[run for run in runs if run not in parents])


def artifacts(folder: Path, run_id: str) -> Path:
    return folder / "runs" / "artifacts" / run_id / "artifacts"


def rows(folder: Path, run_id: str) -> list[dict[str, str]]:
    with (artifacts(folder, run_id) / "sweep.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def words(recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A command's words for small nets on the synthetic recording, typed in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return ["train", "-m", "data=stereo", f"data.path='{recording}'", *SMALL]


@pytest.mark.slow
def test_a_job_that_fails_or_diverges_is_marked_and_the_sweep_goes_on(
    words: list[str], recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    swept = ["optimizer=sgd", f"data.path=nothing.wav,'{recording}'", "optimizer.learning_rate=1e30,0.01"]
    assert cli.main([*words, *swept]) == 2
    said = capsys.readouterr()
    assert "3 of 4 jobs did not finish; the first, " in said.err
    assert "nothing.wav does not exist" in said.err
    assert "Traceback" not in said.err
    found = store(tmp_path)
    (parent,) = found.parents
    assert parent.info.status == "FAILED"
    assert parent.data.tags["command"].startswith("ampsim train -m data=stereo")
    assert {run.data.tags["mlflow.parentRunId"] for run in found.children} == {parent.info.run_id}
    table = rows(tmp_path, parent.info.run_id)
    assert [row["status"] for row in table] == ["failed", "failed", "diverged", "finished"]
    assert [row["optimizer.learning_rate"] for row in table] == ["1e+30", "0.01"] * 2
    assert "nothing.wav does not exist" in table[0]["note"]
    assert "1 of 4 jobs may have learnt nothing; the first, " in said.out
    assert table[3]["note"].startswith("training.epochs=1 ended it after")
    assert 0 < float(table[3]["test_esr"]) < 2
    assert {row["run_id"]: row["status"] == "finished" for row in table} == {
        run.info.run_id: run.info.status == "FINISHED" for run in found.children
    }
    figures = artifacts(tmp_path, parent.info.run_id) / "figures"
    assert sorted(path.name for path in figures.iterdir()) == ["pareto.png", "sweep.png"]

    # The same command goes on: what finished or diverged is left as it is, what failed is tried again.
    assert cli.main([*words, *swept]) == 2
    assert "2 of 4 jobs have finished and are skipped" in capsys.readouterr().out
    again = store(tmp_path)
    assert [run.info.run_id for run in again.parents] == [parent.info.run_id]
    assert len(again.children) == 6
    assert {row["run_id"] for row in rows(tmp_path, parent.info.run_id)} >= {table[2]["run_id"], table[3]["run_id"]}


@pytest.mark.slow
def test_a_finished_sweep_starts_anew_unless_told_to_resume(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
):
    assert cli.main([*words, "seed=0,1"]) == 0
    assert cli.main([*words, "seed=1,0", "sweep.resume=true"]) == 0
    assert "2 of 2 jobs have finished and are skipped" in capsys.readouterr().out
    found = store(tmp_path)
    assert (len(found.parents), len(found.children)) == (1, 2)
    assert found.parents[0].info.status == "FINISHED"
    origins = [
        (run.data.tags["mlflow.source.name"], run.data.tags["mlflow.user"]) for run in found.parents + found.children
    ]
    assert set(origins) == {("ampsim train", getpass.getuser())}
    assert cli.main([*words, "seed=0,1"]) == 0
    assert "was the same sweep and finished" in capsys.readouterr().out
    found = store(tmp_path)
    assert (len(found.parents), len(found.children)) == (2, 4)
    compared = artifacts(tmp_path, found.parents[1].info.run_id) / "comparison"
    assert sorted(path.name for path in compared.iterdir()) == sorted(comparison.FILES)
    # Each as if alone, and `last` is a run with a model, not the sweep that ended after it.
    assert len({run.data.metrics["test_esr"] for run in found.children}) == 2
    assert cli.main(["evaluate"]) == 0


@pytest.mark.slow
def test_a_job_over_its_time_is_ended_and_goes_on_from_its_checkpoint(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """Its time is over once it has come so far, however fast the machine: the clock of who watches it jumps ahead."""
    goal, told, late = 3.0, isolated.followed, []

    def followed(receiver: Any, process: Any, ends: float | None, report: Callable[[Any], None]) -> Any:
        def heard(progress: dict[str, Any]) -> None:
            late.extend([True] * (progress.get("epoch", 0) > goal))
            report(progress)

        return told(receiver, process, ends, heard)

    watched = {**vars(time), "monotonic": lambda: time.monotonic() + 1e6 * bool(late)}
    monkeypatch.setattr(isolated, "time", SimpleNamespace(**watched))
    monkeypatch.setattr(isolated, "followed", followed)
    long = ["training.epochs=1,1000000", "training.checkpoint_every_s=0"]
    assert cli.main([*words, *long, "sweep.job_timeout_s=600"]) == 2
    assert "timed out: ended after the 600 s" in capsys.readouterr().err
    (parent,) = store(tmp_path).parents
    first = rows(tmp_path, parent.info.run_id)
    assert [row["status"] for row in first] == ["finished", "timed out"]
    late.clear()
    goal = float(first[1]["epoch"]) + 3
    assert cli.main([*words, *long, "sweep.job_timeout_s=600"]) == 2
    second = rows(tmp_path, parent.info.run_id)
    assert [row["run_id"] for row in second] == [row["run_id"] for row in first]
    assert float(second[1]["epoch"]) > float(first[1]["epoch"])


@pytest.mark.slow
def test_an_interrupted_sweep_says_so_and_goes_on(words: list[str], tmp_path: Path, start: Callable):
    swept = [*words[2:], "training.epochs=1,1000000"]
    process = start([*COMMAND, *swept], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: any(run.info.status == "RUNNING" for run in children(tmp_path)[1:]))
    refused = subprocess.run([*COMMAND, *swept], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "the same sweep is running as" in refused.stderr
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: to all processes of the terminal
    assert process.wait(300) == 130
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read().splitlines()[-1] == "interrupted; the same command goes on"
    assert process.stderr.read().splitlines()[-1] == "ampsim: interrupted"
    assert [run.info.status for run in store(tmp_path).parents] == ["KILLED"]
    assert [run.info.status for run in children(tmp_path)] == ["FINISHED", "KILLED"]

    # One that is killed leaves no process behind, and is gone on with too.
    process = start([*COMMAND, *swept], stderr=subprocess.DEVNULL)
    wait_until(lambda: any(run.info.status == "RUNNING" for run in children(tmp_path)[1:]))
    process.kill()
    process.wait()
    wait_until(lambda: not in_group(process.pid))
    assert children(tmp_path)[0].info.status == "FINISHED"
    assert len(store(tmp_path).parents) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_sweep_that_the_system_ends_keeps_a_checkpoint_of_its_job(
    number: signal.Signals, words: list[str], tmp_path: Path, start: Callable
):
    swept = [*words[2:], "training.epochs=1000000,1", "training.checkpoint_every_s=1000000"]
    process = start([*COMMAND, *swept], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: any("loss" in run.data.metrics for run in children(tmp_path)))
    process.send_signal(number)  # to the parent alone, as a container does
    assert process.wait(300) == 128 + number
    assert process.stderr is not None
    assert process.stderr.read().splitlines()[-1] == f"ampsim: ended by {number.name}"
    assert [run.info.status for run in store(tmp_path).parents + store(tmp_path).children] == ["KILLED", "KILLED"]
    assert list((tmp_path / "runs" / "unfinished").glob("*/checkpoint.npz"))
    wait_until(lambda: not in_group(process.pid))


@pytest.mark.slow
def test_a_search_goes_on_with_its_study_and_tells_its_best(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
):
    optuna = pytest.importorskip("optuna")
    sought = ["hydra/sweeper=optuna", "model.units=2,4,8", "optimizer.learning_rate=tag(log,interval(1e-4,1e-1))"]
    assert cli.main([*words, *sought, "hydra.sweeper.n_trials=2", "training.validate_every=0.5"]) == 0
    more = ["hydra.sweeper.n_trials=3", "training.validate_every=0.5", "sweep.resume=true"]
    assert cli.main([*words, *sought, *more]) == 0
    found = store(tmp_path)
    (parent,) = found.parents
    assert parent.info.status == "FINISHED"
    study = optuna.load_study(
        study_name=parent.data.tags["optuna_study"],
        storage=open_storage(str(tmp_path / "runs" / "optuna.journal")),
    )
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3
    # What the study was told is what the runs say of their validation, at each point and at the best.
    esr = [run.data.metrics["best_validation_esr"] for run in found.children]
    assert [trial.value for trial in study.trials] == esr
    for trial, run in zip(study.trials, found.children, strict=True):
        curve = found.client.get_metric_history(run.info.run_id, "validation_esr")
        assert list(trial.intermediate_values.values()) == [point.value for point in curve]
        assert len(curve) > 1
        assert str(trial.params["model.units"]) == run.data.params["model.units"]
    table = rows(tmp_path, parent.info.run_id)
    assert [row["run_id"] for row in table] == [run.info.run_id for run in found.children]
    best = found.children[esr.index(min(esr))]
    assert f"best: ampsim train {shlex.join(json.loads(best.data.tags['job_overrides']))}" in capsys.readouterr().out


def children(folder: Path) -> list:
    """The runs of the sweep there, oldest first; while another process may still be making the store's tables."""
    if not (folder / "runs" / "mlflow.db").exists():
        return []
    return [run for run in Store(folder / "runs").runs()[::-1] if SWEEP not in run.data.tags]


def wait_until(true: Callable[[], bool]) -> None:
    """For another process to get there; a test that hangs fails in the end."""
    for _ in range(600):
        if true():
            return
        time.sleep(0.5)
    raise AssertionError("it did not happen in five minutes")


def in_group(group: int) -> list[str]:
    """The processes of a group that are alive."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    found = [line.split(None, 2) for line in listed.splitlines()]
    return [args[0] if args else "" for pgid, stat, *args in found if int(pgid) == group and not stat.startswith("Z")]


# ---- without training ----


def test_a_sweep_is_its_jobs_in_any_order():
    assert sweeps.hashed(["a", "b"]) == sweeps.hashed(["b", "a"]) != sweeps.hashed(["a"])


def test_a_job_is_all_that_decides_what_it_comes_to_and_nothing_else():
    config = settings.composed(["model.layers=2"])
    assert sweeps.key_of(config) == sweeps.key_of(settings.composed(["model.layers=2", "tracking.folder=elsewhere"]))
    assert sweeps.key_of(config) == sweeps.key_of(sweeps.with_resume(config))
    assert sweeps.key_of(config) == sweeps.key_of(settings.composed(["model.layers=2", "sweep.threads=1"]))
    assert sweeps.key_of(config) != sweeps.key_of(settings.composed(["model.layers=3"]))


class Kept:
    """A store that holds one sweep, whose tags change as `beats` tells while somebody waits."""

    def __init__(self, status: str, heartbeat: str, *, began_s: float = 0.0, beats: Sequence[str] = ()) -> None:
        began = int(1000 * (time.time() - began_s))
        self.info = SimpleNamespace(status=status, run_name="sweep", run_id="0", start_time=began)
        self.data = SimpleNamespace(tags={"heartbeat": heartbeat} if heartbeat else {})
        self.beats, self.told = iter(beats), []

    def run(self, run_id: str) -> "Kept":
        self.data = SimpleNamespace(tags={"heartbeat": next(self.beats, self.data.tags.get("heartbeat", ""))})
        return self

    def tag(self, run_id: str, tags: dict[str, str]) -> None:
        self.told.append(tags)


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, without waiting for them."""
    slept: list[float] = []
    monkeypatch.setattr(sweeps.time, "sleep", slept.append)
    return slept


def held(kept: Kept) -> bool:
    return sweeps.Lease(kept, lambda text: None, shared=False).held_elsewhere(kept)


def test_a_sweep_whose_heart_beats_is_held_whatever_its_host(waited: list[float]):
    now = f"a {time.time():.0f}"
    assert held(Kept("RUNNING", now, beats=[now, now, f"a {time.time() + 10:.0f}"]))
    assert len(waited) == 3


@pytest.mark.parametrize("heartbeat", ["a {now}", "a {ahead}", "", "a nonsense"])
def test_a_sweep_that_was_killed_is_free_once_its_lease_is_over(heartbeat: str, waited: list[float]):
    """Its host and process number play no part, nor a clock that runs an hour ahead."""
    told = heartbeat.format(now=f"{time.time():.0f}", ahead=f"{time.time() + 3600:.0f}")
    assert not held(Kept("RUNNING", told))
    assert sum(waited) == sweeps.LEASE_S


def test_nobody_waits_for_a_sweep_that_ended_or_was_left_long_ago(waited: list[float]):
    assert not held(Kept("KILLED", f"a {time.time():.0f}"))
    assert not held(Kept("RUNNING", f"a {time.time() - 2 * sweeps.LONG_AGO_S:.0f}"))
    assert not held(Kept("RUNNING", "", began_s=2 * sweeps.LONG_AGO_S))
    assert waited == []


def test_who_finds_another_owner_stops_and_one_of_a_search_goes_on(monkeypatch: pytest.MonkeyPatch):
    interrupted: list[bool] = []
    monkeypatch.setattr(sweeps._thread, "interrupt_main", lambda: interrupted.append(True))
    for shared, lost in ((False, True), (True, False)):
        kept = Kept("RUNNING", "another 5")
        lease = sweeps.Lease(kept, lambda text: None, shared=shared)
        turns = iter([False, True])
        monkeypatch.setattr(lease.over, "wait", lambda seconds, turns=turns: next(turns))
        lease.keep(SimpleNamespace(id="0", name="sweep"))
        assert (lease.lost, bool(kept.told)) == (lost, not lost)
    assert interrupted == [True]


def test_failures_decide_the_exit_code():
    def failure(*ends: str) -> AmpsimError | None:
        return sweeps.Result("s", "0", [Row(end, [], end) for end in ends], []).failure

    assert failure("finished", "pruned", "not begun") is None
    assert failure("finished", "diverged").exit_code == 3
    assert failure("failed", "diverged").exit_code == 2


@pytest.mark.slow
def test_the_best_are_drawn_at_the_end_and_others_when_asked(words: list[str], tmp_path: Path, capsys):
    assert cli.main([*words, "model.units=2,4,6", "sweep.figures=1"]) == 0
    assert "figures are missing" not in capsys.readouterr().out
    found = store(tmp_path)
    best, *others = sorted(found.children, key=lambda run: run.data.metrics["test_esr"])
    folder = artifacts(tmp_path, best.info.run_id)
    assert (folder / "listen.html").is_file()
    assert {"fft.png", "training.png", "harmonics.png"} <= {path.name for path in (folder / "figures").iterdir()}
    assert "listen.html" in best.data.tags["mlflow.note.content"]
    page = (artifacts(tmp_path, found.parents[0].info.run_id) / "study.html").read_text(encoding="utf-8")
    assert best.info.run_id in page
    for run in others:
        folder = artifacts(tmp_path, run.info.run_id)
        assert (folder / "audio" / "prediction.wav").is_file()
        assert not (folder / "figures").exists()
        assert "listen.html" not in run.data.tags["mlflow.note.content"]
    assert cli.main(["figures", f"run={others[0].info.run_id}"]) == 0
    folder = artifacts(tmp_path, others[0].info.run_id)
    assert f"written: {folder / 'listen.html'}" in capsys.readouterr().out
    assert (folder / "figures" / "aliasing.png").is_file()


def test_a_job_that_has_ended_is_not_shown_as_the_one_that_trains(tmp_path: Path):
    store = Store(tmp_path)
    parent = store.start("sweep", params={}, tags={SWEEP: "0"})
    shown: list[Any] = []
    watch = sweeps.Watch(store, parent, 2, 0, shown.append)
    child = store.start("first", params={}, tags={"mlflow.parentRunId": parent.id})
    watch.training(SimpleNamespace(name="first"), "half")
    watch.look()
    assert shown[-1].current == ("first", "half")
    child.finish()
    watch.look()
    assert (shown[-1].done, shown[-1].current) == (1, None)
