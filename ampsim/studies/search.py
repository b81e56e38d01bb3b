"""A search for good values: Optuna asks for jobs, a launcher trains them, and a bad one is ended early."""

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ampsim import AmpsimError, PrunedError
from ampsim.report.pareto import front
from ampsim.runs.isolated import Outcome
from ampsim.studies.jobs import Job

SAMPLERS = ("tpe", "random")
STARTUP_TRIALS = 5  # that nothing is pruned before, so that there is a median to be worse than


@lru_cache(maxsize=1)
def objectives() -> dict[str, str]:
    """What a search may choose by, from the validation split or about the model alone, and which way is better."""
    from ampsim.metrics.scores import BUILT_IN  # which loads SciPy: a typo in a command need not wait for it

    return {"validation_loss": "minimize"} | {
        f"validation_{score.name}" if score.validated else score.name: "maximize"
        if score.larger_is_better
        else "minimize"
        for score in BUILT_IN
        if score.validated or score.kind == "cost"
    }


@dataclass(frozen=True)
class SearchOptions:
    """The options of hydra/sweeper=optuna: see conf/hydra/sweeper/optuna.yaml."""

    params: dict[str, str] | None
    n_trials: int
    batch: int | None
    objectives: list[str]
    sampler: str
    prune: bool
    storage: str | None
    study: str | None
    seed: int


@dataclass(frozen=True)
class Axis:
    """One dimension of a search: `choices` as they are written, or numbers from `low` to `high`."""

    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    whole: bool = False

    def suggest(self, trial: Any, key: str) -> str:
        """The value that an Optuna trial tries, as an override writes it."""
        if self.choices:
            return trial.suggest_categorical(key, self.choices)
        if self.whole:
            return str(trial.suggest_int(key, int(self.low), int(self.high), step=int(self.step or 1), log=self.log))
        return f"{trial.suggest_float(key, self.low, self.high, step=self.step, log=self.log):.5g}"


class Search:
    """One search in an Optuna study; `jobs` are those that it has asked for so far.

    Args:
        fixed: overrides that all jobs have.
        make: a job from its overrides.
        folder: where the study is kept unless the search names a storage.
        workers: of the launcher: jobs at a time.
    """

    def __init__(
        self,
        options: SearchOptions,
        space: dict[str, Axis],
        fixed: list[str],
        make: Callable[[list[str]], Job],
        *,
        folder: Path,
        workers: int,
    ) -> None:
        try:
            import optuna
        except ImportError as error:
            raise AmpsimError("hydra/sweeper=optuna needs Optuna: pip install 'ampsim[optuna]'") from error
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.optuna, self.options, self.space, self.fixed, self.make = optuna, options, space, fixed, make
        self.storage = options.storage or str(folder / "optuna.journal")
        self.batch = options.batch or workers
        self.jobs: list[Job] = []
        self.study: Any = None
        self.parent = ""  # the run that its jobs belong to

    def identity(self, base: str) -> str:
        """A hash of what is sought and where: of the config of its first job, the space and the objectives."""
        space = {key: asdict(axis) for key, axis in self.space.items()}
        return hashlib.sha256(repr([base, space, self.options.objectives]).encode()).hexdigest()[:12]

    def open(self, identity: str, name: str | None, parent: str = "", *, alone: bool = True) -> str:
        """Open the study of an earlier sweep by its name, or another; returns the name.

        Args:
            parent: the run of the sweep, which trials are tagged with.
            alone: no other process asks for trials of that sweep now, so that those under way were abandoned.
        """
        optuna, name, self.parent = self.optuna, self.options.study or name, parent
        try:
            storage = open_storage(self.storage)
            if not name:
                taken = set(optuna.get_all_study_names(storage))
                name = next(new for n in range(1, len(taken) + 2) if (new := f"ampsim-{identity}-{n}") not in taken)
            self.study = optuna.create_study(
                study_name=name,
                storage=storage,
                directions=[objectives()[each] for each in self.options.objectives],
                load_if_exists=True,
            )
        except Exception as error:  # each kind of storage has errors of its own
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise AmpsimError(f"the storage {self.storage} of the search does not serve: {said}") from error
        directions = [objectives()[each] for each in self.options.objectives]
        if (there := [each.name.lower() for each in self.study.directions]) != directions:
            raise AmpsimError(
                f"the study {name} in {self.storage} was made to {' and '.join(there)}, and these objectives ask to "
                f"{' and '.join(directions)}: give this search another hydra.sweeper.study"
            )
        if alone:
            self.fail_abandoned()
        return name

    def sampler(self, number: int) -> Any:
        """That of one trial, from its number, so that a study that goes on, or a machine that joins it, repeats none."""
        seed, samplers = self.options.seed + number, self.optuna.samplers
        if self.options.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        return samplers.TPESampler(seed=seed, constant_liar=self.batch > 1)  # trials of one batch try different things

    def fail_abandoned(self) -> None:
        """Give up the trials that an earlier process of this sweep had under way."""
        for trial in self.study.get_trials(states=[self.optuna.trial.TrialState.RUNNING]):
            if trial.user_attrs.get("by") == self.parent:
                self.study.tell(trial.number, state=self.optuna.trial.TrialState.FAIL)

    @property
    def done(self) -> int:
        states = self.optuna.trial.TrialState
        return len(self.study.get_trials(deepcopy=False, states=[states.COMPLETE, states.PRUNED, states.FAIL]))

    def run(self, train: Callable[[list[Job]], Sequence[Outcome]], *, deadline: float | None = None) -> None:
        """Ask for a batch, have it trained, tell what came out; until the trials or the time are spent."""
        while (left := self.options.n_trials - self.done) > 0 and (deadline is None or time.time() < deadline):
            trials = [self.study.ask() for _ in range(min(left, self.batch))]
            batch = [self.job(trial) for trial in trials]
            self.jobs += batch
            for trial, outcome in zip(trials, train(batch), strict=True):
                self.tell(trial, outcome)

    def job(self, trial: Any) -> Job:
        """The job of an Optuna trial, which is tagged with its sweep."""
        trial.set_user_attr("by", self.parent)
        self.study.sampler = self.sampler(trial.number)
        words = [f"{key}={axis.suggest(trial, key)}" for key, axis in self.space.items()]
        return replace(self.make([*self.fixed, *words]), trial=id_of(trial))

    def tell(self, trial: Any, outcome: Outcome) -> None:
        states = self.optuna.trial.TrialState
        if outcome.status == "finished":
            self.study.tell(trial, [outcome.values[stored(name)] for name in self.options.objectives])
        elif outcome.status in ("pruned", "diverged") and len(self.options.objectives) == 1:
            self.study.tell(trial, state=states.PRUNED)  # TPE learns from these that the place is bad
        else:
            self.study.tell(trial, state=states.FAIL)

    def judge(self) -> Callable[[int], Callable[[dict[str, float]], None]] | None:
        """What makes, in a job's process, the function that may prune it; Optuna prunes for a single objective only."""
        if not self.options.prune or len(self.options.objectives) > 1:
            return None
        metric = self.options.objectives[0]
        # The curves hold these two; any other objective is pruned by the loss.
        metric = metric if metric in ("validation_loss", "validation_esr") else "validation_loss"
        return partial(judging, self.storage, self.study.study_name, metric)

    def best(self, metrics: Sequence[Mapping[str, float]]) -> list[int]:
        """The numbers of those that none of the others betters in every objective."""
        signs = [1 if objectives()[name] == "minimize" else -1 for name in self.options.objectives]
        names = [stored(name, cost="test_") for name in self.options.objectives]
        points = {
            number: [sign * one[name] for sign, name in zip(signs, names, strict=True)]
            for number, one in enumerate(metrics)
            if all(math.isfinite(one.get(name, math.nan)) for name in names)
        }
        return [list(points)[place] for place in front(list(points.values()))]


def stored(objective: str, *, cost: str = "") -> str:
    """An objective as a run's outcome names it and, with the prefix of test figures, as its metrics in the store do."""
    return f"best_{objective}" if objective.startswith("validation") else f"{cost}{objective}"


def open_storage(storage: str) -> Any:
    """A database by its address, or else a journal file, which processes and machines may share."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    if "://" in storage:
        return storage
    Path(storage).parent.mkdir(parents=True, exist_ok=True)
    return optuna.storages.JournalStorage(JournalFileBackend(storage))


def id_of(trial: Any) -> int:
    """The number by which a process that shares the study's storage opens a trial; Optuna has no public name for it."""
    return trial._trial_id


def judging(storage: str, study: str, metric: str, trial_id: int) -> Callable[[dict[str, float]], None]:
    """A function that reports each validation to the study and raises PrunedError where others did better by then."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS)
    opened = optuna.load_study(study_name=study, storage=open_storage(storage), pruner=pruner)
    # The pruner takes the study's word for which way is better, and an error is reported to a search for the largest too.
    sign = -1 if opened.direction == optuna.study.StudyDirection.MAXIMIZE else 1
    trial = optuna.trial.Trial(opened, trial_id)
    validations = 0

    def judge(row: dict[str, float]) -> None:
        nonlocal validations
        if metric in row:
            validations += 1
            trial.report(sign * row[metric], validations)
            if trial.should_prune():
                raise PrunedError(
                    f"pruned at epoch {row['epoch']:.2f}: its {metric} {row[metric]:.4g} is worse than the median of others"
                )

    return judge
