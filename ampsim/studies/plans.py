"""What a sweep's command asks for: its jobs, or the space of a search, all composed and checked before the first job."""

import functools
import itertools
import math
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ampsim import AmpsimError
from ampsim.config.schema import Sweep, checked
from ampsim.config.settings import conf, groups, plain, refuse_unreadable, told, with_one_budget
from ampsim.config.targets import build, nearest
from ampsim.files import expanded
from ampsim.runs.isolated import start_warm
from ampsim.runs.machine import usable_cores
from ampsim.studies import launchers
from ampsim.studies.search import SAMPLERS, Axis, SearchOptions, objectives

FOLDERS = ("ampsim.recordings.Folder", "ampsim.recordings.folder.Folder")
MANY = 20  # jobs, whose composing takes long enough to do something else meanwhile
SEARCH = f"{SearchOptions.__module__}.{SearchOptions.__name__}"  # `_target_` of hydra/sweeper=optuna


@dataclass(frozen=True)
class Plan:
    """What a sweep's command asks for. A search has a space and no list of jobs."""

    overrides: list[str]  # as typed, for Hydra
    jobs: list[list[str]]  # the overrides of each job; of a search, those that all its jobs have
    configs: list[dict[str, Any]]  # the resolved config of each
    sweep: Sweep
    workers: int  # jobs at a time, as far as is known here
    threads: int | None  # of a job
    search: SearchOptions | None = None
    space: dict[str, Axis] | None = None
    folder: Path | None = None  # whose recordings are learnt one by one


def planned(overrides: Sequence[str], *, multirun: bool) -> Plan | None:
    """The sweep that a command asks for, by -m or in the YAML of a study (`hydra.mode: MULTIRUN`); None for one run.

    Every job is composed here, so that a typo in the last is not found an hour later.

    Raises:
        AmpsimError: as `composed`; or the sweep has no job.
    """
    for override in overrides:
        refuse_unreadable(override)
    with told(overrides), conf() as hydra:
        config = hydra.compose_config(
            "config", list(overrides), run_mode=RunMode.MULTIRUN, validate_sweep_overrides=False
        )
        folder = OmegaConf.select(config, "data._target_") in FOLDERS
        if not multirun and not folder and config.hydra.mode != RunMode.MULTIRUN:
            return None
        sections: Any = OmegaConf.to_container(config)
        sweep, sweeper = Sweep(**sections.get("sweep", {})), sections["hydra"]["sweeper"]
        launcher = sections["hydra"]["launcher"]
        # What is typed comes after what the study's YAML says, and replaces it.
        typed = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
        typed += [word for word in config.hydra.overrides.task if not word.startswith("sweep")]
        parsed = OverridesParser.create(config_loader=hydra.config_loader).parse_overrides(typed)
    check_sweep(sweep)
    launchers.refuse_missing(launcher)
    workers = launchers.workers(launcher)
    common: dict[str, Any] = {"overrides": list(overrides), "sweep": sweep, "workers": workers}
    common["threads"] = sweep.threads or (max(1, usable_cores() // workers) if workers > 1 else None)
    if sweeper["_target_"] == SEARCH:
        if folder:
            raise AmpsimError("a search needs one recording: give it data=pair or data=stereo")
        return Plan(**common, **searched(sweeper, parsed))
    with told(overrides):
        jobs = combinations(parsed)
    if not jobs:
        empty = [word for word, each in zip(typed, parsed, strict=True) if each.is_sweep_override()]
        raise AmpsimError(f"this sweep has no job: {' '.join(empty)} holds no value")
    if len(jobs) >= MANY:
        start_warm(common["threads"])  # which imports TensorFlow while Hydra composes
    configs = composed_all(jobs)
    if folder:
        root = expanded(configs[0]["data"]["path"])
        jobs = [
            one
            for job, each in zip(jobs, configs, strict=True)
            for one in build(each["data"], "data").words_of_each(job)
        ]
        return Plan(**common, jobs=jobs, configs=composed_all(jobs), folder=root)
    return Plan(**common, jobs=jobs, configs=configs)


def searched(sweeper: dict[str, Any], parsed: Sequence[Override]) -> dict[str, Any]:
    """What of a plan is a search's own."""
    parsed = list({each.key_or_group: each for each in parsed}.values())
    space = {each.get_key_element(): axis(each) for each in parsed if each.is_sweep_override()}
    fixed = [str(each.input_line) for each in parsed if not each.is_sweep_override()]
    del sweeper["_target_"]
    first = [f"{key}={extremes(one)[0]}" for key, one in space.items()]
    edges = [[*first, f"{key}={value}"] for key, one in space.items() for value in extremes(one)]
    configs = composed_all([[*fixed, *words] for words in [first, *edges]])
    search = checked_search(sweeper, space)  # after a typo was found, since what it asks loads SciPy
    return {"jobs": [fixed], "configs": configs[:1], "search": search, "space": space}


def composed_all(jobs: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """The config of each job, checked. What all have in common is composed once: each time it costs Hydra 70 ms."""
    shared = set(jobs[0]).intersection(*jobs[1:]) if len(jobs) > 1 else set()
    bases: dict[tuple[str, ...], Any] = {}
    current: list[str] = []
    with told(current), conf():
        known = groups()
        configs = []
        for job in jobs:
            current[:] = job
            words = with_one_budget(job)
            values = [word for word in words if word not in shared and is_plain(word, words, known)] if shared else []
            rest = tuple(word for word in words if word not in values)
            if rest not in bases:
                bases[rest] = compose("config", list(rest))
            configs.append(checked(plain(with_values(bases[rest], values, words))))
    return configs


def is_plain(word: str, words: Sequence[str], known: Sequence[str]) -> bool:
    """Whether a word sets one number or name, wherever it stands: no choice of a group, and no other word touches its key."""
    key, equals, value = word.partition("=")
    others = [other.lstrip("+~").partition("=")[0] for other in words if other != word]
    touched = any(f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.") for other in others)
    named = re.fullmatch(r"[a-z]\w*(\.\w+)*", key) and re.fullmatch(r"[\w.+-]+", value)
    return bool(equals and named) and key not in known and not touched and words.count(word) == 1


def with_values(base: Any, values: Sequence[str], words: Sequence[str]) -> Any:
    """A composed config with plain values set, as Hydra does it; what it refuses, Hydra itself is let refuse."""
    if not values:
        return base
    config = deepcopy(base)
    try:
        for word in values:
            override = parsed_once(word)
            OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
    except OmegaConfBaseException:
        return compose("config", list(words))
    return config


@functools.lru_cache(maxsize=1024)
def parsed_once(word: str) -> Override:
    return OverridesParser.create().parse_override(word)


def check_sweep(sweep: Sweep) -> None:
    for name in ("job_timeout_s", "budget_s", "threads"):
        value = getattr(sweep, name)
        if value is not None and not 0 < value < math.inf:
            raise AmpsimError(f"sweep.{name}={value}: it is above 0 and finite")
    if sweep.figures is not None and sweep.figures < 0:
        raise AmpsimError(f"sweep.figures={sweep.figures}: it is 0 or more, or null for every job")


def combinations(overrides: Sequence[Override]) -> list[list[str]]:
    """Every combination of the values of a grid as the overrides of a job; the last override changes fastest.

    Raises:
        AmpsimError: an override spans an interval, which has no list of values.
    """
    columns: dict[str, list[str]] = {}  # by key: what comes later replaces what came before
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            columns[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            columns[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            raise AmpsimError(
                f"`{override.input_line}` has no list of values: write 1,2,3 or range(...), or let "
                "hydra/sweeper=optuna search it"
            )
    return [list(job) for job in itertools.product(*columns.values())]


# ---- The space of a search ------------------------------------------------------------------------------------------


def checked_search(options: dict[str, Any], space: dict[str, Axis]) -> SearchOptions:
    known = [each.name for each in fields(SearchOptions)]
    for name in options:
        if name not in known:
            raise AmpsimError(f"hydra.sweeper has no `{name}`{nearest(name, known)}")
    search = SearchOptions(**options)
    if not space:
        raise AmpsimError("a search needs something to seek: for instance model.units=range(8,64,step=8)")
    if not search.objectives:
        raise AmpsimError(f"a search needs hydra.sweeper.objectives: {', '.join(objectives())}")
    for name in search.objectives:
        if name.startswith("test_"):
            raise AmpsimError(f"a search never chooses by a test figure such as {name}: the test split would be learnt")
        if name not in objectives():
            raise AmpsimError(f"there is no objective `{name}`{nearest(name, list(objectives()))}")
    if search.sampler not in SAMPLERS:
        raise AmpsimError(f"there is no sampler `{search.sampler}`{nearest(search.sampler, list(SAMPLERS))}")
    for name in ("n_trials", "batch"):
        value = getattr(search, name)
        if value is not None and (not isinstance(value, int) or value < 1):
            raise AmpsimError(f"hydra.sweeper.{name}={value}: it is a whole number above 0")
    return search


def axis(override: Override) -> Axis:
    """What one swept override spans."""
    sweep = override.value()
    if isinstance(sweep, ChoiceSweep):
        return Axis(choices=tuple(override.sweep_string_iterator()))
    if isinstance(sweep, RangeSweep):
        assert sweep.stop is not None
        whole = all(isinstance(value, int) for value in (sweep.start, sweep.stop, sweep.step))
        count = math.ceil((sweep.stop - sweep.start) / sweep.step)  # type: ignore[operator]
        if count < 1:
            raise AmpsimError(f"`{override.input_line}` holds no value")
        last = sweep.start + (count - 1) * sweep.step  # type: ignore[operator]
        return Axis(low=sweep.start, high=last, step=sweep.step, whole=whole)  # type: ignore[arg-type]
    if isinstance(sweep, IntervalSweep) and sweep.start is not None and sweep.end is not None:
        whole = isinstance(sweep.start, int) and isinstance(sweep.end, int)
        low, high = sorted((sweep.start, sweep.end))
        return Axis(low=low, high=high, log="log" in sweep.tags, whole=whole)
    raise AmpsimError(f"`{override.input_line}` is no space to search: write choice, range or interval")


def extremes(one: Axis) -> tuple[Any, ...]:
    return one.choices or (one.low, one.high)
