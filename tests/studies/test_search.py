"""The search, with a launcher that computes instead of training."""

import itertools
import multiprocessing
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ampsim import AmpsimError, PrunedError
from ampsim.studies import search
from ampsim.studies.jobs import Job, Outcome, Task
from ampsim.studies.search import Axis, Search, Seeker

optuna = pytest.importorskip("optuna", reason="Optuna is not installed: pip install 'ampsim[optuna]'")

SPACE = {"x": Axis(low=-10, high=10), "kind": Axis(choices=("a", "b"))}


def seeker(folder: Path, space: dict[str, Axis] = SPACE, *, workers: int = 1, **options: Any) -> Seeker:
    given = {"n_trials": 10, "batch": None, "objectives": ["validation_esr"], "sampler": "tpe", "prune": True}
    given |= {"params": None, "storage": None, "study": None, "seed": 0}
    make = lambda words: Job(" ".join(words), words, {}, " ".join(words))  # noqa: E731
    return Seeker(Search(**(given | options)), space, ["fixed=1"], make, folder=folder, workers=workers)


def values(job: Job) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in job.overrides)


def bowl(job: Job) -> Outcome:
    """Best at x=3 of kind b; speed falls with x."""
    x, kind = float(values(job)["x"]), values(job)["kind"]
    esr = (x - 3) ** 2 + (5 if kind == "a" else 0)
    return Outcome("finished", values={"best_validation_esr": esr, "real_time_factor": 20 - x})


def launcher(task: Task, compute: Any = bowl, sizes: list[int] | None = None) -> Any:
    def launch(overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[SimpleNamespace]:
        jobs = task.jobs[initial_job_idx:]
        assert [job.overrides for job in jobs] == list(overrides)
        if sizes is not None:
            sizes.append(len(jobs))
        return [SimpleNamespace(return_value=compute(job)) for job in jobs]

    return launch


def sought(one: Seeker, compute: Any = bowl, name: str | None = None, sizes: list[int] | None = None) -> Task:
    one.open("mark", name)
    task = Task([], {})
    one.seek(task, launcher(task, compute, sizes))
    return task


def test_tpe_finds_the_bottom_of_a_bowl(tmp_path: Path):
    task = sought(one := seeker(tmp_path, n_trials=50))
    assert len(task.jobs) == 50
    assert all(job.overrides[0] == "fixed=1" for job in task.jobs)
    best = min(task.jobs, key=lambda job: bowl(job).values["best_validation_esr"])
    assert abs(float(values(best)["x"]) - 3) < 1
    assert values(best)["kind"] == "b"
    assert one.done == 50


def test_the_same_seed_asks_for_the_same_jobs(tmp_path: Path):
    first, second = (sought(seeker(tmp_path / folder)) for folder in "ab")
    assert [job.overrides for job in first.jobs] == [job.overrides for job in second.jobs]


def test_values_are_as_the_axes_say(tmp_path: Path):
    space = {"w": Axis(low=8, high=56, step=8, whole=True), "l": Axis(low=1e-4, high=1e-2, log=True)}
    task = sought(
        seeker(tmp_path, space, n_trials=30), lambda job: Outcome("finished", values={"best_validation_esr": 1.0})
    )
    assert {int(values(job)["w"]) % 8 for job in task.jobs} == {0}
    assert all(1e-4 <= float(values(job)["l"]) <= 1e-2 for job in task.jobs)
    assert sum(float(values(job)["l"]) < 1e-3 for job in task.jobs) > 5  # half of a logarithmic axis


def test_a_study_goes_on_where_it_was(tmp_path: Path):
    first = seeker(tmp_path, n_trials=6)
    name = first.open("mark", None)
    task = Task([], {})
    first.seek(task, launcher(task))
    again = seeker(tmp_path, n_trials=10)
    assert len(sought(again, name=name).jobs) == 4
    assert again.done == 10
    assert len({trial.params["x"] for trial in again.study.trials}) == 10  # and repeats none
    assert seeker(tmp_path).open("mark", None) != name  # anew is another study


def test_trials_come_in_batches_of_the_launchers_size(tmp_path: Path):
    sizes: list[int] = []
    sought(seeker(tmp_path, n_trials=7, workers=3), sizes=sizes)
    assert sizes == [3, 3, 1]


def test_a_search_ends_with_its_time(tmp_path: Path):
    one = seeker(tmp_path)
    one.open("mark", None)
    task = Task([], {}, deadline=0.0)
    one.seek(task, launcher(task))
    assert task.jobs == []


def share(folder: Path, study: str, found: Any) -> None:
    task = sought(seeker(folder, n_trials=12, study=study, storage=str(folder / "shared.journal")))
    found.put(len(task.jobs))


def test_several_processes_share_a_storage(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    workers = [context.Process(target=share, args=(tmp_path, "both", found)) for _ in range(2)]
    for worker in workers:
        worker.start()
    done = [found.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    assert 12 <= sum(done) <= 13  # both may ask for the last one
    study = optuna.load_study(study_name="both", storage=search.opened(str(tmp_path / "shared.journal")))
    assert len({trial.params["x"] for trial in study.trials}) == len(study.trials) == sum(done)


def test_a_database_is_a_storage(tmp_path: Path):
    one = seeker(tmp_path, n_trials=3, storage=f"sqlite:///{tmp_path / 'search.db'}")
    sought(one)
    assert one.done == 3
    assert not (tmp_path / "optuna.journal").exists()


def test_a_storage_that_does_not_serve_is_named(tmp_path: Path):
    with pytest.raises(AmpsimError, match="does not serve"):
        seeker(tmp_path, storage="nothing://x").open("mark", None)
    (tmp_path / "text").write_text("no journal\n")
    with pytest.raises(AmpsimError, match="does not serve"):
        seeker(tmp_path, storage=str(tmp_path / "text")).open("mark", None)


def test_failures_are_told_and_the_search_goes_on(tmp_path: Path):
    ends = itertools.cycle(["failed", "diverged", "pruned", "timed out", "finished"])

    def compute(job: Job) -> Outcome:
        end = next(ends)
        return bowl(job) if end == "finished" else Outcome(end)

    one = seeker(tmp_path)
    sought(one, compute)
    assert [trial.state.name for trial in one.study.trials] == ["FAIL", "PRUNED", "PRUNED", "FAIL", "COMPLETE"] * 2


def test_a_trial_whose_process_is_no_more_is_given_up(tmp_path: Path):
    one = seeker(tmp_path)
    name = one.open("mark", None)
    ended = subprocess.Popen(["true"])
    ended.wait()
    for pid in (ended.pid, multiprocessing.current_process().pid):
        one.study.ask().set_user_attr("by", (search.platform.node(), pid))
    seeker(tmp_path).open("mark", name)
    assert [trial.state.name for trial in one.study.trials] == ["FAIL", "RUNNING"]


# ---- several objectives ----


def test_two_objectives_make_a_front(tmp_path: Path):
    one = seeker(tmp_path, n_trials=40, objectives=["validation_esr", "real_time_factor"])
    task = sought(one)
    assert one.judge() is None  # Optuna prunes for one objective
    metrics = [
        {"best_validation_esr": found["best_validation_esr"], "test_real_time_factor": found["real_time_factor"]}
        for found in (bowl(job).values for job in task.jobs)
    ]
    front = one.best(metrics)
    assert front == sorted(trial.number for trial in one.study.best_trials)  # Optuna's own word for it
    assert 1 < len(front) < 40


def test_what_did_not_finish_is_never_best(tmp_path: Path):
    one = seeker(tmp_path)
    assert one.best([{}, {"best_validation_esr": 0.5}, {"best_validation_esr": 0.2}, {"test_esr": 0.0}]) == [2]


# ---- pruning ----


def test_a_trial_worse_than_the_median_is_pruned_in_any_process(tmp_path: Path):
    one = seeker(tmp_path, n_trials=7)
    one.open("mark", None)
    make = one.judge()
    assert make is not None
    curves = [[1.0, 0.5, 0.2 + number / 100] for number in range(5)] + [[1.0, 0.9, 0.8], [1.0, 0.4, 0.1]]
    ended = []
    for curve in curves:
        trial = one.study.ask()
        SPACE["x"].asked(trial, "x")
        judge = make(trial._trial_id)  # opens the study anew, as a job's process does
        try:
            for epoch, value in enumerate(curve):
                judge({"epoch": epoch, "loss": 9.0})  # a round without a validation counts for nothing
                judge({"epoch": epoch, "loss": 9.0, "validation_esr": value})
            one.tell(trial, Outcome("finished", values={"best_validation_esr": min(curve)}))
            ended.append("finished")
        except PrunedError as error:
            one.tell(trial, Outcome("pruned"))
            ended.append(str(error))
    pruned = "pruned at epoch 1.00: its validation_esr 0.9 is worse than the median of others"
    assert ended == ["finished"] * 5 + [pruned, "finished"]
    assert one.study.best_trial.number == 6
