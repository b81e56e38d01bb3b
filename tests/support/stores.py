"""Runs that are put into a store by hand, whose scores are known."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile

from ampsim.metrics import block_sums, esr
from ampsim.runs.tracking import PARENT, Store

RATE = 8000
AMP = (0.3 * np.sin(np.arange(3 * RATE) / 7) * np.linspace(1, 2, 3 * RATE)).astype(np.float32)
GAINS = {(1, 0): 0.80, (1, 1): 0.79, (2, 0): 0.90, (2, 1): 0.91, (3, 0): 0.905, (3, 1): 0.9058}  # by layers and seed


def put(
    store: Store,
    folder: Path,
    layers: int,
    seed: int,
    gain: float,
    *,
    parent: str,
    amp: np.ndarray = AMP,
    curve: Mapping[int, float] | None = None,
    name: str = "",
) -> str:
    """A run as `train` leaves it: what it predicts is the amp with a gain, so that its ESR is (1 - gain)²."""
    params = {"model.layers": layers, "seed": seed, "name": None, "listening_gain_db": -6.02 - layers}
    tags = {"overrides": f"model.layers={layers} seed={seed}"} | ({PARENT: parent} if parent else {})
    run = store.start(name or f"layers={layers}-seed={seed}", params=params, tags=tags)
    prediction = (gain * amp).astype(np.float32)
    for step, value in (curve or {}).items():
        run.log_metrics({"validation_esr": value}, step=step)
    run.log_metrics({"test_esr": esr(amp, prediction), "test_mse": 0.1 * esr(amp, prediction), "loss": 9.0}, step=5)
    run.log_metrics({"test_fluctuation_db": float(layers)}, step=5)
    artifacts = folder / run.id
    artifacts.mkdir(parents=True)
    kept = {"scores": {}, "blocks": asdict(block_sums([(amp, prediction)], RATE))}
    (artifacts / "scores.json").write_text(json.dumps(kept))
    written = 10 ** ((-6.02 - layers) / 20)
    (artifacts / "audio").mkdir()
    for name, samples in {"direct": amp / 2, "amp": amp, "prediction": prediction}.items():
        soundfile.write(artifacts / "audio" / f"{name}.wav", written * samples, RATE, subtype="FLOAT")
    run.log_folder(artifacts)
    run.finish()
    return run.id
