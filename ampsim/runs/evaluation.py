"""Scores a model on whole held-out signals."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ampsim import counted
from ampsim.metrics import (
    Aliasing,
    Blocks,
    Fingerprint,
    Hiss,
    a_weighted_esr,
    aliasing_to_signal_ratio,
    fingerprint,
    linear_floor,
    measured,
    noise_floor,
    predicted_mushra,
    waveform_scores,
)
from ampsim.metrics.probes import BELOW_PEAK_DB
from ampsim.models import AmpModel
from ampsim.models.rendering import Oversampled, Renderer
from ampsim.recordings.controls import Control, middle_of, named_values
from ampsim.recordings.pairs import Span
from ampsim.signals.audio import Signal, decibels, peak, refuse_unsound
from ampsim.training.trainer import Trainer

FEW_STEPS = 100  # of the optimizer: a net has hardly left where it began
NEAR_WIRE = 0.05  # ESR below which a recording leaves a model nothing to learn but a gain


@dataclass(frozen=True)
class Probes:
    """What a model made of test tones, and what it plays while notes decay."""

    fingerprint: Fingerprint
    aliasing: Aliasing
    hiss: Hiss

    def to_json(self) -> str:
        """What `from_json` reads; a number that is not finite becomes null."""
        parts = {name: {key: plain(value) for key, value in vars(part).items()} for name, part in vars(self).items()}
        return json.dumps(parts, allow_nan=False)

    @classmethod
    def from_json(cls, kept: Any) -> "Probes":
        """Raises ValueError, TypeError, KeyError or AttributeError for what is none."""
        kinds = {"fingerprint": Fingerprint, "aliasing": Aliasing, "hiss": Hiss}
        return cls(
            **{name: kind(**{key: read(value) for key, value in kept[name].items()}) for name, kind in kinds.items()}
        )


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [plain(each) for each in value.tolist()]
    if isinstance(value, list):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read(value: Any) -> Any:
    if isinstance(value, list):
        return np.asarray(value, np.float64)
    return math.nan if value is None else value if isinstance(value, str) else float(value)


@dataclass(frozen=True)
class Evaluation:
    """Scores by name and the sums of blocks that they come from; the signals that they were taken from, one after
    another: direct, amp, prediction; what the model made of test tones, and what it plays while notes decay; and `notes`,
    sentences on scores that leave something out."""

    scores: dict[str, float]
    blocks: Blocks
    signals: dict[str, Signal]
    fingerprint: Fingerprint
    aliasing: Aliasing
    hiss: Hiss
    notes: list[str]
    settings: list[dict[str, float | str]]  # of an amp's controls, each with scores of its own

    @property
    def probes(self) -> Probes:
        return Probes(self.fingerprint, self.aliasing, self.hiss)


def evaluate(model: AmpModel, spans: list[Span], *, oversample: int = 1) -> Evaluation:
    """Render held-out spans, at `oversample` times their rate, and score them; the real-time factor leaves compilation out.

    Raises:
        AmpsimError: the model plays NaN or infinity.
    """
    renderer = Oversampled(model, oversample) if oversample > 1 else Renderer(model)
    sample_rate = spans[0].take.sample_rate
    started = time.perf_counter()
    predictions = [renderer.span(span) for span in spans]
    seconds = time.perf_counter() - started
    for span, prediction in zip(spans, predictions, strict=True):
        refuse_unsound(f"the model, given {span.take.name},", prediction, at=span.start, sample_rate=sample_rate)
    pairs = [(span.target, prediction) for span, prediction in zip(spans, predictions, strict=True)]
    model.turn(middle_of(model.controls))  # where test tones are played
    told = measured(pairs, sample_rate)
    duration_s = sum(map(len, spans)) / sample_rate
    found = told.scores | {"real_time_factor": duration_s / seconds, "parameters": float(model.count_params())}
    # Test tones settle for as long as the model remembers, and are as loud as the guitar of the recording at most.
    before_s, after_s = max(0.25, model.history / sample_rate), model.future / sample_rate
    loudest_db = decibels(max(peak(span.take.input) for span in spans))
    levels_db = [max(loudest_db, -60.0) + level for level in BELOW_PEAK_DB]
    aliasing = aliasing_to_signal_ratio(renderer, sample_rate, levels_db=levels_db, before_s=before_s, after_s=after_s)
    found |= {"aliasing_db": aliasing.mean_db, "aliasing_worst_db": aliasing.worst_db}
    signals = {
        "direct": np.concatenate([span.direct for span in spans]),
        "amp": np.concatenate([span.target for span in spans]),
        "prediction": np.concatenate(predictions),
    }
    harmonics = fingerprint(renderer, sample_rate, before_s=before_s, after_s=after_s)
    settings = by_setting(model, spans, predictions) if model.controls else []
    notes = [*told.notes, *([over_settings(settings, model.controls)] if settings else [])]
    return Evaluation(found, told.blocks, signals, harmonics, aliasing, told.hiss, notes, settings)


def by_setting(model: AmpModel, spans: list[Span], predictions: list[Signal]) -> list[dict[str, float | str]]:
    """Scores at each setting of the controls, all that was played at it taken together."""
    pairs = dict[tuple[float, ...], list[tuple[Signal, Signal]]]()
    for span, prediction in zip(spans, predictions, strict=True):
        pairs.setdefault(span.take.setting, []).append((span.target, prediction))
    rate, rows = spans[0].take.sample_rate, []
    for setting, played in sorted(pairs.items()):
        row = named_values(model.controls, setting)
        row["seconds"] = sum(len(target) for target, _ in played) / rate
        row |= {"esr": waveform_scores(played)["esr"], "a_weighted_esr": a_weighted_esr(played, rate)}
        rows.append(row | {"predicted_mushra": predicted_mushra(played, rate).scores["predicted_mushra"]})
    return rows


def over_settings(rows: list[dict[str, float | str]], controls: Sequence[Control]) -> str:
    esrs = [float(row["esr"]) for row in rows]
    worst = rows[int(np.nanargmax(esrs)) if np.isfinite(esrs).any() else 0]
    where = ", ".join(
        f"{name} {worst[name]:.3g}" if isinstance(worst[name], float) else f"{name} {worst[name]}"
        for name in (each.name for each in controls)
    )
    median, most = np.nanmedian(esrs), np.nanmax(esrs)
    told = f"the ESR is {median:.4f} in the median and {most:.4f} at worst ({where})"
    return f"over {counted(len(rows), 'setting')} {told}; settings.csv has all"


def scores_of_others(model: AmpModel, spans: list[Span], *, oversample: int = 1) -> dict[str, float]:
    """What the other members of a model score on held-out spans, their names before those of the scores (`lite_esr`)."""
    found, sample_rate = dict[str, float](), spans[0].take.sample_rate
    for name, member in [*model.members().items()][:-1]:
        renderer = Oversampled(member, oversample) if oversample > 1 else Renderer(member)
        pairs = [(span.target, renderer.span(span)) for span in spans]
        scores = measured(pairs, sample_rate).scores | {"parameters": float(member.count_params())}
        found |= {f"{name}_{key}": value for key, value in scores.items()}
    return found


def doubts(trainer: Trainer, evaluation: Evaluation) -> list[str]:
    """Why a run may have learnt nothing though nothing failed, each with what to do about it; usually none."""
    state, esr = trainer.state, evaluation.scores["esr"]
    validated = [row["validation_loss"] for row in state.intervals if "validation_loss" in row]
    direct, amp = (evaluation.signals[name].astype(np.float64) for name in ("direct", "amp"))
    energies = float(direct @ direct * (amp @ amp))
    gain_esr = 1 - float(direct @ amp) ** 2 / energies if energies else 1.0  # least squares with a single number
    found = []
    if state.step < FEW_STEPS:
        ended, remedy = ended_by(trainer)
        found.append(f"{ended} after {counted(state.step, 'optimizer step')}, too few to learn an amp: {remedy}")
    if trainer.budget.learning_rate == 0:
        found.append("the learning rate was 0, so that no step changed anything: set optimizer.learning_rate")
    elif len(validated) > 2 and validated[0] == min(validated):
        found.append("no validation was better than the first: lower optimizer.learning_rate")
    if esr >= 1:
        found.append(
            f"an ESR of {esr:.2g} is no better than silence: train longer, and check the recording (ampsim doctor)"
        )
    elif esr >= gain_esr and esr > NEAR_WIRE:
        found.append(
            f"an ESR of {esr:.2g} is no better than the direct signal at another volume ({gain_esr:.2g}): train longer, and "
            "check the recording (ampsim doctor)"
        )
    return found


def ended_by(trainer: Trainer) -> tuple[str, str]:
    """What ended a training, and what to do where that was too early."""
    state, budget = trainer.state, trainer.budget
    if trainer.stopped:
        return "it was interrupted", "training.resume=true goes on"
    if budget.done(state) < 1:
        return f"training.patience={budget.patience} ended it", "raise that"
    key, given = ("epochs", budget.epochs) if state.step >= budget.total_steps else ("seconds", budget.seconds)
    less = "raise that, choose a smaller model, or train while the machine has less to do"
    return f"training.{key}={given:g} ended it", less


def floors(train: list[Span], validation: list[Span], test: list[Span], *, future: int) -> dict[str, float]:
    """What a recording sets the scores of all its models against: the ESR of the best linear filter that sees as far
    ahead as the model and, where the recording tells, the bounds of what its noise comes to in the test split."""
    num_taps = 2048  # at most, as validation says; 46 ms at 44.1 kHz: a cabinet and the first reflections
    future = min(future, num_taps)
    fitted = [(span.direct, span.target) for span in train]
    validated, tested = (
        [(span.input(history=num_taps - future, lookahead=future - 1), span.target) for span in spans]
        for spans in (validation, test)
    )
    linear = linear_floor(fitted, tested, validation=validated, num_taps=num_taps, future=future)
    found = {"linear_floor_esr": linear.esr}
    # Nothing is fitted to the noise, so every rest of the recording may tell of it, whatever split it is in.
    takes = {id(span.take): (span.take.input, span.take.target) for span in [*train, *validation, *test]}
    noise = noise_floor(list(takes.values()), test[0].take.sample_rate)
    if noise.source:
        power = float(np.mean(np.square(np.concatenate([span.target for span in test]), dtype=np.float64)))
        found["noise_at_least_esr"], found["noise_at_most_esr"] = noise.esr(power)
    return found
