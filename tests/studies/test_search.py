"""The search, with a launcher that computes instead of training."""

import itertools
import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ampsim import AmpsimError, PrunedError
from ampsim.runs.isolated import Outcome
from ampsim.studies import search
from ampsim.studies.jobs import Job
from ampsim.studies.search import Axis, Search, SearchOptions

optuna = pytest.importorskip("optuna", reason="Optuna is not installed: pip install 'ampsim[optuna]'")

SPACE = {"x": Axis(low=-10, high=10), "kind": Axis(choices=("a", "b"))}


def search_for(folder: Path, space: dict[str, Axis] = SPACE, *, workers: int = 1, **options: Any) -> Search:
    given = {"n_trials": 10, "batch": None, "objectives": ["validation_esr"], "sampler": "tpe", "prune": True}
    given |= {"params": None, "storage": None, "study": None, "seed": 0}
    make = lambda words: Job(" ".join(words), words, {}, " ".join(words))  # noqa: E731
    return Search(SearchOptions(**(given | options)), space, ["fixed=1"], make, folder=folder, workers=workers)


def values(job: Job) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in job.overrides)


def bowl(job: Job) -> Outcome:
    """Best at x=3 of kind b; speed falls with x."""
    x, kind = float(values(job)["x"]), values(job)["kind"]
    esr = (x - 3) ** 2 + (5 if kind == "a" else 0)
    return Outcome("finished", values={"best_validation_esr": esr, "real_time_factor": 20 - x})


def computing(compute: Any = bowl, sizes: list[int] | None = None) -> Callable[[Sequence[Job]], list[Outcome]]:
    def train(batch: Sequence[Job]) -> list[Outcome]:
        if sizes is not None:
            sizes.append(len(batch))
        return [compute(job) for job in batch]

    return train


def searched(one: Search, compute: Any = bowl, name: str | None = None, sizes: list[int] | None = None) -> list[Job]:
    one.open("identity", name)
    one.run(computing(compute, sizes))
    return one.jobs


def test_tpe_finds_the_bottom_of_a_bowl(tmp_path: Path):
    jobs = searched(one := search_for(tmp_path, n_trials=50))
    assert len(jobs) == 50
    assert all(job.overrides[0] == "fixed=1" for job in jobs)
    best = min(jobs, key=lambda job: bowl(job).values["best_validation_esr"])
    assert abs(float(values(best)["x"]) - 3) < 1
    assert values(best)["kind"] == "b"
    assert one.done == 50


def test_the_same_seed_asks_for_the_same_jobs(tmp_path: Path):
    first, second = (searched(search_for(tmp_path / folder)) for folder in "ab")
    assert [job.overrides for job in first] == [job.overrides for job in second]


def test_values_are_as_the_axes_say(tmp_path: Path):
    space = {"w": Axis(low=8, high=56, step=8, whole=True), "l": Axis(low=1e-4, high=1e-2, log=True)}
    jobs = searched(
        search_for(tmp_path, space, n_trials=30), lambda job: Outcome("finished", values={"best_validation_esr": 1.0})
    )
    assert {int(values(job)["w"]) % 8 for job in jobs} == {0}
    assert all(1e-4 <= float(values(job)["l"]) <= 1e-2 for job in jobs)
    assert sum(float(values(job)["l"]) < 1e-3 for job in jobs) > 5  # half of a logarithmic axis


def test_a_study_goes_on_where_it_was(tmp_path: Path):
    first = search_for(tmp_path, n_trials=6)
    name = first.open("identity", None)
    first.run(computing())
    again = search_for(tmp_path, n_trials=10)
    assert len(searched(again, name=name)) == 4
    assert again.done == 10
    assert len({trial.params["x"] for trial in again.study.trials}) == 10  # and repeats none
    assert search_for(tmp_path).open("identity", None) != name  # anew is another study


def test_trials_come_in_batches_of_the_launchers_size(tmp_path: Path):
    sizes: list[int] = []
    searched(search_for(tmp_path, n_trials=7, workers=3), sizes=sizes)
    assert sizes == [3, 3, 1]


def test_a_search_ends_with_its_time(tmp_path: Path):
    one = search_for(tmp_path)
    one.open("identity", None)
    one.run(computing(), deadline=0.0)
    assert one.jobs == []


def share(folder: Path, study: str, found: Any) -> None:
    one = search_for(folder, n_trials=12, study=study, storage=str(folder / "shared.journal"))
    one.open("identity", None, alone=False)  # else the second would give up what the first has under way
    one.run(computing())
    found.put(len(one.jobs))


def test_several_processes_share_a_storage(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    workers = [context.Process(target=share, args=(tmp_path, "both", found)) for _ in range(2)]
    for worker in workers:
        worker.start()
    done = [found.get(timeout=300) for _ in workers]
    for worker in workers:
        worker.join()
    assert 12 <= sum(done) <= 13  # both may ask for the last one
    study = optuna.load_study(study_name="both", storage=search.open_storage(str(tmp_path / "shared.journal")))
    assert len({trial.params["x"] for trial in study.trials}) == len(study.trials) == sum(done)


def test_a_database_is_a_storage(tmp_path: Path):
    one = search_for(tmp_path, n_trials=3, storage=f"sqlite:///{tmp_path / 'search.db'}")
    searched(one)
    assert one.done == 3
    assert not (tmp_path / "optuna.journal").exists()


def test_a_storage_that_does_not_serve_is_named(tmp_path: Path):
    with pytest.raises(AmpsimError, match="does not serve"):
        search_for(tmp_path, storage="nothing://x").open("identity", None)
    (tmp_path / "text").write_text("no journal\n")
    with pytest.raises(AmpsimError, match="does not serve"):
        search_for(tmp_path, storage=str(tmp_path / "text")).open("identity", None)


def test_failures_are_told_and_the_search_goes_on(tmp_path: Path):
    ends = itertools.cycle(["failed", "diverged", "pruned", "timed out", "finished"])

    def compute(job: Job) -> Outcome:
        end = next(ends)
        return bowl(job) if end == "finished" else Outcome(end)

    one = search_for(tmp_path)
    searched(one, compute)
    assert [trial.state.name for trial in one.study.trials] == ["FAIL", "PRUNED", "PRUNED", "FAIL", "COMPLETE"] * 2


def test_a_trial_that_an_earlier_process_of_the_sweep_had_under_way_is_given_up(tmp_path: Path):
    one = search_for(tmp_path)
    name = one.open("identity", None, "mine")
    for parent in ("mine", "another"):
        one.study.ask().set_user_attr("by", parent)
    search_for(tmp_path).open("identity", name, "mine", alone=False)  # beside another process that asks for trials
    assert [trial.state.name for trial in one.study.trials] == ["RUNNING", "RUNNING"]
    search_for(tmp_path).open("identity", name, "mine")
    assert [trial.state.name for trial in one.study.trials] == ["FAIL", "RUNNING"]


# ---- several objectives ----


def test_two_objectives_make_a_front(tmp_path: Path):
    one = search_for(tmp_path, n_trials=40, objectives=["validation_esr", "real_time_factor"])
    jobs = searched(one)
    assert one.judge() is None  # Optuna prunes for one objective
    metrics = [
        {"best_validation_esr": found["best_validation_esr"], "test_real_time_factor": found["real_time_factor"]}
        for found in (bowl(job).values for job in jobs)
    ]
    front = one.best(metrics)
    assert front == sorted(trial.number for trial in one.study.best_trials)  # Optuna's own word for it
    assert 1 < len(front) < 40


def test_what_did_not_finish_is_never_best(tmp_path: Path):
    one = search_for(tmp_path)
    assert one.best([{}, {"best_validation_esr": 0.5}, {"best_validation_esr": 0.2}, {"test_esr": 0.0}]) == [2]


# ---- pruning ----


def test_optuna_opens_a_trial_by_the_id_that_search_reads(tmp_path: Path):
    """`Trial._trial_id` has no public name: where a release of Optuna renames it, this fails first."""
    one = search_for(tmp_path)
    one.open("identity", None)
    trial = one.study.ask()
    assert optuna.trial.Trial(one.study, search.id_of(trial)).number == trial.number


def test_a_trial_worse_than_the_median_is_pruned_in_any_process(tmp_path: Path):
    one = search_for(tmp_path, n_trials=7)
    one.open("identity", None)
    make = one.judge()
    assert make is not None
    curves = [[1.0, 0.5, 0.2 + number / 100] for number in range(5)] + [[1.0, 0.9, 0.8], [1.0, 0.4, 0.1]]
    ended = []
    for curve in curves:
        trial = one.study.ask()
        SPACE["x"].suggest(trial, "x")
        judge = make(search.id_of(trial))  # opens the study anew, as a job's process does
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


@pytest.mark.parametrize("objective", ["real_time_factor", "validation_predicted_mushra"])
def test_a_search_for_the_largest_prunes_the_highest_loss(tmp_path: Path, objective: str):
    one = search_for(tmp_path, n_trials=7, objectives=[objective])
    one.open("identity", None)
    make = one.judge()
    assert make is not None
    for number in range(5):
        trial = one.study.ask()
        SPACE["x"].suggest(trial, "x")
        make(search.id_of(trial))({"epoch": 0, "validation_loss": 0.5 + number / 100})
        one.tell(trial, Outcome("finished", values={search.stored(objective): 10.0}))
    make(search.id_of(one.study.ask()))({"epoch": 0, "validation_loss": 0.1})
    with pytest.raises(PrunedError, match=r"its validation_loss 0.9 is worse than the median"):
        make(search.id_of(one.study.ask()))({"epoch": 0, "validation_loss": 0.9})


def test_a_value_that_does_not_exist_is_never_best(tmp_path: Path):
    one = search_for(tmp_path, objectives=["validation_predicted_mushra"])
    key = "best_validation_predicted_mushra"
    assert one.best([{key: float("nan")}, {key: 80.0}, {key: 95.0}]) == [2]
