"""Which setting of an amp to record next, by what runs have learnt of it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from ampsim import AmpsimError, counted
from ampsim.config.run_config import RunConfig
from ampsim.config.targets import build
from ampsim.models.rendering import Renderer
from ampsim.recordings.plan import Setting, disagreement, following
from ampsim.recordings.preparing import takes_of
from ampsim.recordings.sheet import ToRecord
from ampsim.runs.finished import load_model, refuse_other_controls, say_changed
from ampsim.runs.tracking import Store, TrackedRun, like
from ampsim.signals.audio import Signal

EXCERPT_S = 1.0  # that the nets play at each setting: the loudest of what was played into the amp
NOT_OF_AN_ENSEMBLE = ("seed", "name", "training.resume", "training.checkpoint_every_s")
MOST = 8  # nets of an ensemble; more say nearly the same

Notice = Callable[[str], None]


def perhaps_alike(run: TrackedRun, store: Store) -> Iterator[TrackedRun]:
    """Finished runs of its store that may differ in the seed alone, newest first, read as they are asked for."""
    return map(store.tracked, store.each(like(decisive(run)), first=2 * MOST))


def siblings(run: TrackedRun, others: Iterable[TrackedRun]) -> list[TrackedRun]:
    """The run itself, and those that differ from it in nothing but their seed, each seed once."""
    found = {run.params.get("seed"): run}
    for other in others:
        if len(found) == MOST:
            break
        if other.status == "FINISHED" and decisive(other) == decisive(run):
            found.setdefault(other.params.get("seed"), other)
    return list(found.values())


def decisive(run: TrackedRun) -> dict[str, str]:
    return {key: value for key, value in run.params.items() if key not in NOT_OF_AN_ENSEMBLE}


def next_to_record(ensemble: Sequence[TrackedRun], count: int, *, seed: int, notice: Notice) -> ToRecord:
    """Settings where the nets of these runs disagree most, far from what they learnt from; of one net, only far.

    Raises:
        AmpsimError: the runs learnt no controls, their recordings are not where they were, or no such many settings are left.
    """
    config, _ = RunConfig.read(ensemble[0].file("config.yaml"))  # the store may come from someone else
    source = build(config["data"], "data")
    if not source.known_controls:
        raise AmpsimError(f"run {ensemble[0].name} learnt one setting of an amp: a plan needs one of data=knobs")
    takes = takes_of(source)
    models = [load_model(run) for run in ensemble]
    for run in ensemble:
        say_changed(run, [file for take in takes for file in take.files], notice)
    for run, model in zip(ensemble, models, strict=True):
        refuse_other_controls(model, source.known_controls, run.name)
    recorded = [take.setting for take in takes]
    doubts = None
    if len(ensemble) > 1:
        excerpt = loudest(takes[0].input, round(EXCERPT_S * takes[0].sample_rate))
        players = [partial(played, Renderer(model), excerpt) for model in models]
        doubts = partial(disagreement, players)
        notice(
            f"where {len(players)} nets that differ in their seed disagree, and far from the {counted(len(takes), 'recording')}"
        )
    else:
        notice(
            f"far from the {counted(len(takes), 'recording')}; where the net is in doubt takes several to tell, which differ in "
            "their seed: train this again with seed=1"
        )
    chosen = following(source.known_controls, recorded, count, doubts, seed=seed)
    return ToRecord(source.known_controls, tuple(chosen), len(recorded))


def loudest(signal: Signal, length: int) -> Signal:
    """That many samples with the most energy among those that begin at a multiple of half as many."""
    starts = range(0, max(len(signal) - length, 0) + 1, max(length // 2, 1))
    return max((signal[start : start + length] for start in starts), key=lambda piece: float(np.sum(np.square(piece))))


def played(renderer: Renderer, excerpt: Signal, setting: Setting) -> Signal:
    renderer.model.turn(setting)
    return renderer(excerpt)
