"""A finished run, found again: scored anew, loaded, exported, registered."""

from collections.abc import Callable

from ampsim.config import plugins
from ampsim.config.run_config import RunConfig
from ampsim.models import AmpModel
from ampsim.models.saving import load
from ampsim.recordings.preparing import prepare_as_then
from ampsim.runs.evaluation import evaluate, floors, scores_of_others
from ampsim.runs.tracking import TrackedRun

Notice = Callable[[str], None]


def score_again(tracked: TrackedRun, split_name: str, *, notice: Notice, oversample: int = 1) -> dict[str, float]:
    """Scores of a finished run's model on a split of its recording, as its saved config describes it; the model plays at
    `oversample` times its rate."""
    config, _ = RunConfig.read(tracked.file("config.yaml"))  # the store may come from someone else
    for fault in plugins.load():  # which may bring metrics
        notice(fault)
    recording = prepare_as_then(config["data"], tracked.delay, notice=notice)
    model = load_model(tracked)
    spans = recording.split(gap=model.receptive_field)
    scored = spans[split_name]
    evaluation = evaluate(model, scored, oversample=oversample)
    for note in evaluation.notes:
        notice(note)
    others = scores_of_others(model, scored, oversample=oversample)
    return {**evaluation.scores, **others, **floors(spans["train"], spans["validation"], scored, future=model.future)}


def load_model(tracked: TrackedRun) -> AmpModel:
    """The best weights of a run, as a model."""
    return load(tracked.file("model.keras"))
