"""Scores a model on whole held-out signals."""

import time
from dataclasses import dataclass

import numpy as np

from ampsim.metrics import (
    Aliasing,
    Blocks,
    Fingerprint,
    aliasing_to_signal_ratio,
    block_sums,
    ear_scores,
    fingerprint,
    linear_floor,
    noise_floor,
    predicted_mushra,
    registered_scores,
    waveform_scores,
)
from ampsim.models import AmpModel
from ampsim.models.rendering import Renderer
from ampsim.recordings.pairs import Span
from ampsim.signals.audio import Signal


@dataclass(frozen=True)
class Evaluation:
    """Scores by name and the sums of blocks that they come from; the signals that they were taken from, one after
    another: direct, amp, prediction; what the model made of test tones; and `notes`, sentences on scores that leave
    something out."""

    scores: dict[str, float]
    blocks: Blocks
    signals: dict[str, Signal]
    fingerprint: Fingerprint
    aliasing: Aliasing
    notes: list[str]


def evaluate(model: AmpModel, spans: list[Span]) -> Evaluation:
    """Render held-out spans and score them; the real-time factor leaves compilation out."""
    renderer, sample_rate = Renderer(model), spans[0].take.sample_rate
    started = time.perf_counter()
    predictions = [renderer.span(span) for span in spans]
    seconds = time.perf_counter() - started
    pairs = [(span.target, prediction) for span, prediction in zip(spans, predictions, strict=True)]
    mushra = predicted_mushra(pairs, sample_rate)
    found = waveform_scores(pairs) | ear_scores(pairs, sample_rate) | mushra.scores
    found |= registered_scores(pairs, sample_rate)
    duration_s = sum(map(len, spans)) / sample_rate
    found |= {"real_time_factor": duration_s / seconds, "parameters": float(model.count_params())}
    # Test tones settle for as long as the model remembers.
    before_s, after_s = max(0.25, model.history / sample_rate), max(0.05, model.future / sample_rate)
    aliasing = aliasing_to_signal_ratio(renderer, sample_rate, before_s=before_s, after_s=after_s)
    found["aliasing_db"] = aliasing.mean_db
    signals = {
        "direct": np.concatenate([span.direct for span in spans]),
        "amp": np.concatenate([span.target for span in spans]),
        "prediction": np.concatenate(predictions),
    }
    harmonics = fingerprint(renderer, sample_rate, before_s=before_s, after_s=after_s)
    blocks = block_sums(pairs, sample_rate, predicted_mushra=mushra.ratings)
    return Evaluation(found, blocks, signals, harmonics, aliasing, mushra.notes)


def floors(train: list[Span], test: list[Span], *, future: int) -> dict[str, float]:
    """What a recording sets the scores of all its models against: the ESR of the best linear filter that sees as far
    ahead as the model and, if the guitar ever rests, the ESR that the amp's own noise comes to."""
    num_taps = 2048  # 46 ms at 44.1 kHz: a cabinet and the first reflections
    future = min(future, num_taps)
    fitted = [(span.direct, span.target) for span in train]
    tested = [(span.input(history=num_taps - future, lookahead=future - 1), span.target) for span in test]
    noise = noise_floor(fitted, train[0].take.sample_rate)
    linear = linear_floor(fitted, tested, num_taps=num_taps, future=future)
    return {"linear_floor_esr": linear.esr} | ({"noise_floor_esr": noise.esr} if noise.silent else {})
