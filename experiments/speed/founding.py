"""The founding net trained and rendered by ampsim, beside the founding recipe, in turn on the same machine.

    python experiments/speed/founding.py                 # about 15 minutes
    python experiments/speed/founding.py --parts train render
    python experiments/speed/founding.py --stereo my_amp.wav --parts learn

The recipe is plain Keras: every window of 4000 samples stored as a row, `fit` with batches of 256, `predict` over rows.
Each measurement runs in a process of its own, so that its peak memory is its own, and the two sides take turns, so that a
machine whose speed drifts does not favour one of them. The table gives medians, and the ratio pair by pair.

Parts:
    train    windows per second in a steady state
    memory   peak memory of an epoch over 550,000 windows, at two window lengths (ampsim alone: the recipe would need 8.8 GB)
    render   samples per second of rendering; the recipe's counts the storing of the windows, without which it has nothing
    hour     one hour of audio from file to file (ampsim alone)
    learn    test ESR after the same wall time, on the same training samples (fewer than 550,000: `fit` holds them twice)
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WINDOW, FUTURE, UNITS, LAYERS, BATCH = 4000, 300, 256, 3, 256
PAST = WINDOW - FUTURE


# ---- The recipe -----------------------------------------------------------------------------------------------------


def windows_of(direct: np.ndarray, start: int, stop: int) -> np.ndarray:
    return np.array([direct[k - PAST : k + FUTURE] for k in range(start, stop)], dtype=np.float32)


def recipe_net():
    import keras

    dense = [keras.layers.Dense(UNITS, activation="relu") for _ in range(LAYERS)]
    net = keras.Sequential([keras.Input((WINDOW,)), *dense, keras.layers.Dense(1, activation="tanh")])
    net.compile(loss="mean_squared_error", optimizer="rmsprop")
    return net


def recipe_train(spans: dict, options: argparse.Namespace) -> dict:
    import keras

    direct, amp = whole(spans["train"])
    count = 40_000
    inputs, targets = windows_of(direct, PAST, PAST + count), amp[PAST : PAST + count]
    seconds: list[float] = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            seconds.append(time.perf_counter() - self.began)

    recipe_net().fit(inputs, targets, batch_size=BATCH, epochs=4, verbose=0, callbacks=[Clock()])
    return {"windows_per_s": count / statistics.median(seconds[1:])}  # the first epoch compiles


def recipe_render(spans: dict, options: argparse.Namespace) -> dict:
    direct, _ = whole(spans["test"])
    net = recipe_net()
    net.predict(windows_of(direct, PAST, PAST + BATCH), batch_size=BATCH, verbose=0)
    count = min(60_000, len(direct) - WINDOW)
    began = time.perf_counter()
    inputs = windows_of(direct, PAST, PAST + count)
    stored = time.perf_counter()
    net.predict(inputs, batch_size=BATCH, verbose=0)
    ended = time.perf_counter()
    return {"samples_per_s": count / (ended - began), "predict_alone_per_s": count / (ended - stored)}


def recipe_learn(spans: dict, options: argparse.Namespace) -> dict:
    """Train for the time given, storing the windows included, then score on the whole test span piece by piece."""
    import keras

    net = recipe_net()
    began = time.perf_counter()
    direct, amp = whole(spans["train"])
    stop = len(direct) - FUTURE
    inputs, targets = windows_of(direct, PAST, stop), amp[PAST:stop]

    class Budget(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            self.model.stop_training = time.perf_counter() - began > options.seconds

    history = net.fit(inputs, targets, batch_size=BATCH, epochs=1000, verbose=0, callbacks=[Budget()])
    del inputs
    error = energy = 0.0
    direct, amp = whole(spans["test"])
    for start in range(PAST, len(direct) - FUTURE, 50_000):
        end = min(start + 50_000, len(direct) - FUTURE)
        prediction = net.predict(windows_of(direct, start, end), batch_size=2048, verbose=0)[:, 0]
        error += float(np.sum((amp[start:end] - prediction) ** 2))
        energy += float(np.sum(amp[start:end] ** 2))
    return {"test_esr": error / energy, "train_loss": history.history["loss"][-1]}


# ---- ampsim ---------------------------------------------------------------------------------------------------------


def ampsim_trainer(spans: dict, options: argparse.Namespace, **budget: float):
    """The net of conf/model/dense.yaml at the founding sizes, trained as conf/experiment/founding.yaml says."""
    from ampsim.config import settings
    from ampsim.config.targets import build
    from ampsim.training.fit import make_deterministic
    from ampsim.training.segments import Segments
    from ampsim.training.trainer import Trainer

    config = settings.composed(["experiment=founding", f"model.window={options.window}", *options.overrides])
    make_deterministic(options.seed)
    model = build(config["model"])
    model.build()
    training = dict(config["training"]) | {"epochs": None, "seconds": None} | budget
    del training["devices"]
    length = training.pop("segment_length")
    segments = Segments(spans["train"], history=model.history, lookahead=model.lookahead, segment_length=length)
    parts = [build(config[name]) for name in ("loss", "optimizer", "schedule")]
    return model, Trainer(model, *parts, segments, spans["validation"], seed=options.seed, **training)


def ampsim_train(spans: dict, options: argparse.Namespace) -> dict:
    from ampsim.training.observer import Observer
    from ampsim.training.state import Progress

    rates: list[float] = []

    class Rates(Observer):
        def progress(self, progress: Progress) -> None:
            rates.append(progress.samples_per_s)

    _, trainer = ampsim_trainer(spans, options, seconds=15.0, validate_every=1e9)
    trainer.fit(Rates())
    return {"windows_per_s": statistics.median(rates[2:])}


def ampsim_memory(spans: dict, options: argparse.Namespace) -> dict:
    _, trainer = ampsim_trainer(spans, options, epochs=1.0)
    trainer.fit()
    return {"windows": trainer.state.step * trainer.batch_size * trainer.segments.segment_length}


def ampsim_render(spans: dict, options: argparse.Namespace) -> dict:
    from ampsim.models import Dense
    from ampsim.models.rendering import Renderer

    direct = np.tile(whole(spans["test"])[0], 8)[: 30 * options.rate]
    model = Dense(window=WINDOW, future=FUTURE, layers=LAYERS, units=UNITS)
    model.build()
    renderer = Renderer(model)
    renderer(direct[: options.rate])
    began = time.perf_counter()
    renderer(direct)
    seconds = time.perf_counter() - began
    return {"samples_per_s": len(direct) / seconds, "real_time_factor": len(direct) / options.rate / seconds}


def ampsim_hour(spans: dict, options: argparse.Namespace) -> dict:
    import soundfile

    from ampsim.models import Dense
    from ampsim.models.rendering import Renderer
    from ampsim.signals.playing import render_file

    model = Dense(window=WINDOW, future=FUTURE, layers=LAYERS, units=UNITS, sample_rate=options.rate)
    model.build()
    renderer = Renderer(model)
    direct = whole(spans["test"])[0]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "hour.flac"
        with soundfile.SoundFile(source, "w", options.rate, 1, subtype="PCM_16") as file:
            while file.frames < 3600 * options.rate:
                file.write(direct)
        began = time.perf_counter()
        for _ in render_file(renderer, source, Path(folder) / "out.flac"):
            pass
        seconds = time.perf_counter() - began
    return {"real_time_factor": 3600 / seconds}


def ampsim_learn(spans: dict, options: argparse.Namespace) -> dict:
    from ampsim.runs.evaluation import evaluate

    model, trainer = ampsim_trainer(spans, options, seconds=options.seconds)
    state = trainer.fit()
    return {"test_esr": evaluate(model, spans["test"]).scores["esr"], "train_loss": state.intervals[-1]["loss"]}


# ---- Running them in turn -------------------------------------------------------------------------------------------


def spans_of(options: argparse.Namespace) -> dict:
    """Aligned train, validation and test spans of the recording, the training part cut to `--windows` samples."""
    from ampsim.recordings.pairs import Span, aligned, estimate_delay
    from ampsim.recordings.sources import Stereo, VirtualAmp
    from ampsim.recordings.splits import split

    if options.stereo:
        tests = {"test": [Path(options.stereo[-1]).name]} if len(options.stereo) > 1 else {"test": 0.1}
        source = Stereo(path=options.stereo, splits={"train": 0.85, "validation": "5 s", **tests})
    else:
        source = VirtualAmp(duration_s=60.0, splits={"train": 0.75, "validation": "5 s", "test": 0.15})
    takes = source.load()
    takes = [aligned(take, estimate_delay(takes).samples) for take in takes]
    spans = split(takes, source.splits, gap=options.window)
    first = spans["train"][0]
    spans["train"] = [Span(first.take, first.start, min(first.stop, first.start + options.windows + WINDOW))]
    options.rate = takes[0].sample_rate
    return spans


def whole(spans: list) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([span.direct for span in spans]), np.concatenate([span.target for span in spans])


def measured(side: str, part: str, options: argparse.Namespace, **changes: int) -> dict:
    """One measurement in a process of its own."""
    given = {**vars(options), **changes}
    command = [sys.executable, __file__, "--measure", f"{side}_{part}", "--given", json.dumps(given)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SystemExit(answer.stderr[-3000:])
    return json.loads(answer.stdout.strip().splitlines()[-1])


def compare(part: str, key: str, options: argparse.Namespace) -> None:
    pairs = []
    for turn in range(options.turns):
        pairs.append((measured("ampsim", part, options, seed=turn), measured("recipe", part, options, seed=turn)))
        print(f"  {part} turn {turn + 1}: ampsim {pairs[-1][0]}  recipe {pairs[-1][1]}", flush=True)
    ours, theirs = (statistics.median(pair[side][key] for pair in pairs) for side in (0, 1))
    ratios = sorted(pair[0][key] / pair[1][key] for pair in pairs)
    print(
        f"{part}: {key} ampsim {ours:,.4g}, recipe {theirs:,.4g}; ratio {statistics.median(ratios):.3g} "
        f"({ratios[0]:.3g} to {ratios[-1]:.3g} over {len(ratios)} turns)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["train", "memory", "render", "learn"])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0, help="wall time of the part `learn`")
    parser.add_argument("--windows", type=int, default=200_000, help="training windows of the part `learn`")
    parser.add_argument(
        "--stereo", nargs="*", help="recordings to use in place of the virtual amp; the last is the test"
    )
    parser.add_argument("--overrides", nargs="*", default=[], help="of ampsim's config")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--given", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        options = argparse.Namespace(**json.loads(options.given), measure_name=options.measure)
        found = globals()[options.measure_name](spans_of(options), options)
        found["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        print(json.dumps(found))
        return
    options.window, options.seed = WINDOW, 0
    for part in options.parts:
        if part == "memory":
            for window in (WINDOW, 2 * WINDOW):
                found = measured("ampsim", "memory", options, window=window, windows=550_000)
                print(f"memory, window {window}: {found}", flush=True)
        elif part == "hour":
            print(f"hour: {measured('ampsim', 'hour', options)}", flush=True)
        else:
            keys = {"train": "windows_per_s", "render": "samples_per_s", "learn": "test_esr"}
            compare(part, keys[part], options)


if __name__ == "__main__":
    main()
