"""Every family at the sizes of its config: seconds to compile, training rate, rendering rate, memory.

    python experiments/speed/families.py                                # about 5 minutes
    python experiments/speed/families.py --models wavenet_standard --peer "path/to/python runner.py --arch standard"

Each family is measured in a process of its own, and a peer in turn with them. A peer is a command as in
experiments/quality_per_minute: it prints a JSON with `train_samples_per_s`.
"""

import argparse
import json
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def measure(name: str, seconds: float) -> dict:
    import keras

    from ampsim.config import settings
    from ampsim.config.targets import build
    from ampsim.models.rendering import Renderer
    from ampsim.recordings.splits import split
    from ampsim.training.segments import Segments
    from ampsim.training.trainer import Trainer

    config = settings.composed(["experiment=minute", f"model={name}", "data.duration_s=60"])
    source = build(config["data"])
    takes = source.load()
    keras.utils.set_random_seed(0)
    model = build(config["model"], sample_rate=takes[0].sample_rate)
    model.build()
    splits = split(takes, source.splits, gap=model.receptive_field)
    training = dict(config["training"]) | {"epochs": 1e6, "seconds": None}
    del training["devices"]
    length = training.pop("segment_length")
    segments = Segments(splits["train"], history=model.history, lookahead=model.lookahead, segment_length=length)
    prepared = build(config["loss"]).prepare(sample_rate=takes[0].sample_rate, segment_length=length)
    parts = [build(config[part]) for part in ("optimizer", "schedule")]
    trainer = Trainer(model, prepared, *parts, segments, splits["validation"], **training)
    began = time.perf_counter()
    trainer.call()
    compiled = time.perf_counter() - began
    rates, started = [], time.perf_counter()
    while time.perf_counter() - started < seconds:
        began = time.perf_counter()
        rates.append(trainer.call() / (time.perf_counter() - began))
    renderer = Renderer(model)
    signal = np.tile(takes[0].input, 2)[: 60 * takes[0].sample_rate]
    renderer(signal[: 3 * takes[0].sample_rate])
    began = time.perf_counter()
    renderer(signal)
    return {
        "parameters": model.count_params(),
        "compile_s": round(compiled, 1),
        "train_samples_per_s": round(statistics.median(rates)),
        "real_time_factor": round(60 / (time.perf_counter() - began), 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    from ampsim.config import settings

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=settings.choices("model"))
    parser.add_argument("--seconds", type=float, default=10.0, help="of steady training")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--peer", help="a command to take turns with")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.seconds)))
        return
    ratios: dict[str, list[float]] = {}
    for _ in range(options.turns):
        theirs = peer(options) if options.peer else None
        for name in options.models:
            command = [sys.executable, __file__, "--measure", name, "--seconds", str(options.seconds)]
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            if answer.returncode:
                raise SystemExit(answer.stderr[-3000:])
            found = json.loads(answer.stdout.strip().splitlines()[-1])
            print(f"{name:<22}{found}", flush=True)
            if theirs:
                ratios.setdefault(name, []).append(found["train_samples_per_s"] / theirs)
    for name, values in ratios.items():
        print(f"{name}: {statistics.median(values):.2f} times the peer's rate ({min(values):.2f} to {max(values):.2f})")


def peer(options: argparse.Namespace) -> float:
    from ampsim.recordings.sources import VirtualAmp
    from ampsim.signals import audio

    (take,) = VirtualAmp(duration_s=60.0).load()
    with tempfile.TemporaryDirectory() as folder:
        words = shlex.split(options.peer)
        for side, samples in (("input", take.input), ("output", take.target)):
            path = Path(folder) / f"{side}.wav"
            audio.write(path, samples, take.sample_rate, subtype="FLOAT")
            words += [f"--{side}", str(path)]
        n = len(take.input)
        words += [
            "--train",
            f"0:{n * 8 // 10}",
            "--val",
            f"{n * 8 // 10}:{n * 9 // 10}",
            "--test",
            f"{n * 9 // 10}:{n}",
        ]
        words += ["--seconds", str(2 * options.seconds)]
        answer = subprocess.run(words, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise SystemExit(answer.stderr[-3000:])
    found = json.loads(answer.stdout[answer.stdout.index("{") :])
    print(f"{'peer':<22}{found['train_samples_per_s']:,.0f} samples/s", flush=True)
    return found["train_samples_per_s"]


if __name__ == "__main__":
    main()
