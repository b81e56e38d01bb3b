"""A finished run, found again: scored anew, loaded, exported, registered."""

from collections.abc import Callable, Mapping, Sequence

from ampsim import AmpsimError, counted
from ampsim.config import plugins
from ampsim.config.run_config import RunConfig
from ampsim.models import AmpModel, Controlled
from ampsim.models.saving import load
from ampsim.recordings.controls import Control, described, in_the_middle, setting_of
from ampsim.recordings.pairs import FileRecord
from ampsim.recordings.preparing import prepare_as_then
from ampsim.runs.evaluation import evaluate, floors, scores_of_others
from ampsim.runs.tracking import TrackedRun, recorded

Notice = Callable[[str], None]


def score_again(tracked: TrackedRun, split_name: str, *, notice: Notice, oversample: int = 1) -> dict[str, float]:
    """Scores of a finished run's model on a split of its recording, as its saved config describes it; the model plays at
    `oversample` times its rate."""
    config, _ = RunConfig.read(tracked.file("config.yaml"))  # the store may come from someone else
    for fault in plugins.load():  # which may bring metrics
        notice(fault)
    recording = prepare_as_then(config["data"], tracked.delay, notice=notice)
    say_changed(tracked, recording.files, notice)
    model = load_model(tracked)
    refuse_other_controls(model, recording.controls, tracked.name)
    spans = recording.split(gap=model.receptive_field)
    scored = spans[split_name]
    evaluation = evaluate(model, scored, oversample=oversample)
    for note in evaluation.notes:
        notice(note)
    others = scores_of_others(model, scored, oversample=oversample)
    return {**evaluation.scores, **others, **floors(spans["train"], spans["validation"], scored, future=model.future)}


def say_changed(tracked: TrackedRun, files: Sequence[FileRecord], notice: Notice) -> None:
    """Warn of a recording that is not, to the bit, the one that a run learnt from: other sound, other rows of a sheet."""
    then = recorded(tracked.params)
    if then and len(then) != len(files):
        notice(
            f"warning: {tracked.name} learnt from {counted(len(then), 'file')}, and its recording has {len(files)} by now"
        )
    elif changed := [file.path for file, (_, sha) in zip(files, then, strict=bool(then)) if sha and file.sha256 != sha]:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        notice(
            f"warning: {changed[0]}{more} changed since {tracked.name} learnt from it: what it learnt was another recording"
        )


def load_model(tracked: TrackedRun, setting: Mapping[str, str | float] | None = None) -> AmpModel:
    """The best weights of a run, as a model; where it has learnt an amp's controls, at a setting of these.

    Raises:
        AmpsimError: the file is damaged, or the setting is none of its controls'.
    """
    model = load(tracked.file("model.keras"))
    if setting is None:
        return model
    if not isinstance(model, Controlled):
        raise AmpsimError(
            f"{tracked.name} has learnt one setting of its amp: it has no control {next(iter(setting), '')}"
        )
    return model.at(setting_of(model.controls, setting))


def refuse_other_controls(model: AmpModel, controls: Sequence[Control], name: str) -> None:
    """Raises AmpsimError where a recording has other controls by now than those that a model learnt: its settings would be
    numbers of other knobs."""
    then, now = described(model.controls), described(controls)
    if [*then.items()] != [*now.items()]:
        raise AmpsimError(
            f"{name} learnt the controls {then or 'of no knob'}, and its recording states {now or 'none'} by now: state those of "
            "then, in this order, in the sheet's columns or with data.controls"
        )


def refuse_unset(model: AmpModel) -> None:
    """Raises AmpsimError for a model with controls, where it has to be at one setting of them."""
    if model.controls:
        example = " ".join(f"{name}={value}" for name, value in in_the_middle(model.controls).items())
        raise AmpsimError(f"this model has an amp's controls: say at which setting of them, such as {example}")
