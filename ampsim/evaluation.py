"""Scores a model on whole held-out signals."""

import time
from dataclasses import dataclass

import numpy as np

from ampsim.audio import Signal
from ampsim.metrics import ear_scores, scores
from ampsim.models import AmpModel
from ampsim.pairs import Span
from ampsim.rendering import Renderer


@dataclass(frozen=True)
class Evaluation:
    """Scores by name, and the signals that they were taken from, one after another: direct, amp, prediction."""

    scores: dict[str, float]
    signals: dict[str, Signal]


def evaluate(model: AmpModel, spans: list[Span]) -> Evaluation:
    """Render held-out spans and score them; the real-time factor leaves compilation out."""
    renderer = Renderer(model)
    started = time.perf_counter()
    predictions = [renderer.span(span) for span in spans]
    seconds = time.perf_counter() - started
    duration_s = sum(map(len, spans)) / spans[0].take.sample_rate
    pairs = [(span.target, prediction) for span, prediction in zip(spans, predictions, strict=True)]
    found = scores(pairs) | ear_scores(pairs, spans[0].take.sample_rate)
    found |= {"real_time_factor": duration_s / seconds, "parameters": float(model.count_params())}
    signals = {
        "direct": np.concatenate([span.direct for span in spans]),
        "amp": np.concatenate([span.target for span in spans]),
        "prediction": np.concatenate(predictions),
    }
    return Evaluation(found, signals)
