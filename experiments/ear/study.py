"""Which loss makes a net that listeners are predicted to like, in three families, on five recordings, with five seeds.

    python experiments/ear/study.py ear.csv           # trains what the file does not hold yet; safe to stop and run again
    python experiments/ear/study.py ear.csv --steps 8 --losses esr mfcc --recordings ds1   # a part, to see that it runs
    python experiments/ear/study.py noise.csv --families minute --recordings ds1 --losses esr_both esr_treble esr_highs --seeds 0

AMPSIM_DATA names the folder that holds ds1/, marshall_2204/ and rigs/. `analysis.py` reads the file.

Each run takes the same number of steps whatever else the machine does, on one thread. The seeds of one loss, family and
recording share one compiled step, from new weights each. The LSTMs of a recording are trained side by side, all losses and
seeds in one loop over samples, which takes little longer for many than for one.
"""

import argparse
import csv
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ampsim.config.run_config import RunConfig
from ampsim.config.targets import build
from ampsim.metrics import (
    a_weighted_esr,
    aliasing_to_signal_ratio,
    fluctuation,
    hiss,
    log_spectral_distance,
    predicted_mushra,
    waveform_scores,
)
from ampsim.metrics.probes import BELOW_PEAK_DB
from ampsim.metrics.scores import Pairs
from ampsim.metrics.zimtohrli import zimtohrli_mos
from ampsim.models import AmpModel
from ampsim.models.optimizing import leave_to_adam
from ampsim.models.rendering import Renderer
from ampsim.recordings.preparing import Recording, align
from ampsim.signals.audio import decibels, peak
from ampsim.training.fit import Fit, make_deterministic
from ampsim.training.state import State

RIGS = "${oc.env:AMPSIM_DATA}/rigs"
RECORDINGS = {
    "ds1": ["data=ds1", "data.splits.test=[test_input.wav]"],
    "marshall_2204": ["data=marshall_2204"],
    **{
        rig: [
            "data=stereo",
            f"data.path=['{RIGS}/{rig}_train.flac','{RIGS}/{rig}_test.flac']",
            f"data.splits.test=[{rig}_test.flac]",
        ]
        for rig in ("bad_cat_g12", "thc_v30", "brunetti_direct")
    },
}
# The first seconds of each recording's two takes.
TRAIN_S, VALIDATION_S, TEST_S = 15, 6, 6
LSTM = "lstm"
ADAM = ["optimizer=adam", "training.segment_length=2048"]
# Steps, and the words of a command. What `model.treble` and `model.tail` solve for after training would blur the losses.
FAMILIES = {
    "wavenet_cab": (
        300,
        ["model=wavenet_cab", "model.channels=8", "model.layers=6", "model.tail=0", "model.treble=0"],
    ),
    "wiener_hammerstein": (
        300,
        ["model=wiener_hammerstein", *ADAM, "optimizer.learning_rate=0.004", "training.xla=false"],
    ),
    LSTM: (
        150,
        [
            "model=lstm",
            "model.units=8",
            "model.burn_in=128",
            *ADAM,
            "optimizer.learning_rate=0.02",
            "training.batch_size=4",
        ],
    ),
}
MINUTE = {"minute": (2400, [])}  # the default net as it is: by itself, as it takes a minute a run
DEFAULT = "esr_treble"
LOSSES = [DEFAULT, "esr_both", "mfcc", "balanced", "esr", "log_mel", "mrstft", "ear", "esr_highs"]
SEEDS = [*range(5)]
OF_SIGNALS = (
    "esr",
    "a_weighted_esr",
    "log_spectral_distance_db",
    "fluctuation_db",
    "predicted_mushra",
    "predicted_mushra_worst",
    "predicted_mushra_share_above_90",
    "zimtohrli_mos",
    "hiss_db",
)
Run = tuple[str, int]  # loss and seed
SPLITS = ("validation", "test")
COLUMNS = [
    *("recording", "family", "loss", "seed", "steps", "aliasing_db", "aliasing_worst_db"),
    *(f"{split}_{name}" for split in SPLITS for name in OF_SIGNALS),
    "cpu_s",
]


@cache
def recording(name: str) -> Recording:
    """The first seconds of the take to train on, and of the one to test on."""
    takes = []
    whole = build(RunConfig.compose(RECORDINGS[name])["data"], "data").load()
    for take, seconds in zip(whole, (TRAIN_S + VALIDATION_S, TEST_S), strict=True):
        length = round(seconds * take.sample_rate)
        takes.append(replace(take, input=take.input[:length], target=take.target[:length]))
    aligned, delay = align(takes, "auto", lambda text: None)
    splits = {"train": 1.0, "validation": f"{VALIDATION_S} s", "test": [takes[1].name]}
    return Recording(tuple(aligned), delay, splits)


def fit_of(words: list[str], name: str, seed: int, steps: int) -> Fit:
    """What is trained, with a budget of so many steps and one validation, at its end."""
    config = RunConfig.compose(["training.seconds=null", "training.epochs=1", f"seed={seed}", *words])
    fit = Fit.of(config, recording(name))
    epoch_steps = -(-fit.segments.num_segments // (config["training"]["batch_size"] or fit.model.batch_size))
    training = {**config["training"], "epochs": steps / epoch_steps, "validate_every": steps}
    return replace(fit, config=RunConfig({**config.sections, "training": training}, config.overrides))


# ---- Training -------------------------------------------------------------------------------------------------------


def one_after_another(words: list[str], name: str, runs: list[Run], steps: int) -> Iterator[AmpModel]:
    """The model, trained with one loss from each seed in turn by one trainer, so that its step is compiled once."""
    fit = fit_of([*words, f"loss={runs[0][0]}"], name, runs[0][1], steps)
    trainer = fit.trainer()
    fresh = [variable.numpy() for variable in (*fit.optimizer.variables, *fit.loss.variables)]
    for _, seed in runs:
        make_deterministic(seed)
        start = build(fit.config["model"], "model", sample_rate=fit.recording.sample_rate)
        start.build()
        trainer.set_weights([variable.numpy() for variable in start.variables])
        for variable, value in zip((*fit.optimizer.variables, *fit.loss.variables), fresh, strict=True):
            variable.assign(value)
        trainer.seed, trainer.order, trainer.state = seed, (-1, np.empty(0)), State()
        trainer.fit()
        yield fit.model


def side_by_side(words: list[str], name: str, runs: list[Run], steps: int) -> Iterator[AmpModel]:
    """LSTMs of one layer, each with its own loss and seed on its own order of segments, as `Trainer` would train one of them."""
    fits = [fit_of([*words, f"loss={loss}"], name, seed, steps) for loss, seed in runs]
    models, segments, optimizer = [fit.model for fit in fits], fits[0].segments, fits[0].optimizer
    variables = [variable for model in models for variable in model.trainable_variables]
    leave_to_adam(optimizer, models[0])
    optimizer.build(variables)
    schedule, rate = build(fits[0].config["schedule"]), float(optimizer.learning_rate.numpy())
    sources = [tf.constant(each) for each in (segments.input, segments.target)]
    span = segments.segment_length + models[0].receptive_field - 1

    @tf.function
    def step(starts: tf.Tensor) -> None:
        heard, target = (
            tf.gather(source, starts[..., None] + tf.range(length))
            for source, length in zip(sources, (span, segments.segment_length), strict=True)
        )
        with tf.GradientTape() as tape:
            prediction = played(models, heard)
        slopes = [fit.loss.gradient(target[n], prediction[n])[2] for n, fit in enumerate(fits)]
        optimizer.apply(tape.gradient(prediction, variables, output_gradients=tf.stack(slopes)), variables)

    batch = fits[0].config["training"]["batch_size"]
    orders: list[np.ndarray] = []
    for number in range(steps):
        epoch, index = divmod(number, -(-segments.num_segments // batch))
        if not index:
            orders = [segments.epoch(epoch, batch_size=batch, seed=seed) for _, seed in runs]
        optimizer.learning_rate.assign(rate * schedule(number / steps))
        step(tf.constant(np.stack([order[index] for order in orders])))
    yield from models


def played(models: list[AmpModel], heard: tf.Tensor) -> tf.Tensor:
    """What each of several LSTMs of one layer makes of its own batch: (models, batch, burn_in + n) -> (models, batch, n)."""
    gains = models[0]
    cells = [model.cells[0].cell for model in models]
    kernel, recurrent, bias = (
        stacked([getattr(cell, part) for cell in cells]) for part in ("kernel", "recurrent_kernel", "bias")
    )
    head, offset = (stacked([getattr(model.head, part) for model in models]) for part in ("kernel", "bias"))
    driven = gains.input_gain * tf.transpose(heard, [2, 0, 1])[..., None] * kernel + bias[:, None]

    def advance(state: tuple[tf.Tensor, tf.Tensor], inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        enters, keeps, candidate, leaves = tf.split(inputs + tf.matmul(state[0], recurrent), 4, axis=-1)
        memory = tf.sigmoid(keeps) * state[1] + tf.sigmoid(enters) * tf.tanh(candidate)
        return tf.sigmoid(leaves) * tf.tanh(memory), memory

    silent = tf.zeros((len(models), heard.shape[1], gains.units))
    before = tf.scan(advance, driven[: gains.burn_in], (silent, silent))
    state = tuple(tf.stop_gradient(part[-1]) for part in before)
    hidden, _ = tf.scan(advance, driven[gains.burn_in :], state)
    outputs = tf.matmul(hidden, head)[..., 0] + offset[:, 0][:, None]
    return gains.output_gain * tf.transpose(outputs, [1, 2, 0])


def stacked(variables: list[keras.Variable]) -> tf.Tensor:
    return tf.stack([tf.convert_to_tensor(variable) for variable in variables])


# ---- Scoring --------------------------------------------------------------------------------------------------------


def scores(renderer: Renderer, of: Recording) -> dict[str, float]:
    """Every score of the model that the renderer plays, on validation and on test."""
    model = renderer.model
    found: dict[str, float] = {}
    spans = of.split(gap=model.receptive_field)
    for split in SPLITS:
        pairs = [(span.target, renderer.span(span)) for span in spans[split]]
        found |= {f"{split}_{metric}": value for metric, value in of_signals(pairs, of.sample_rate).items()}
    loudest_db = decibels(max(peak(span.take.input) for span in spans["validation"]))
    before_s = max(0.25, model.history / of.sample_rate)
    tones = aliasing_to_signal_ratio(
        renderer, of.sample_rate, levels_db=[loudest_db + level for level in BELOW_PEAK_DB], before_s=before_s
    )
    return found | {"aliasing_db": tones.mean_db, "aliasing_worst_db": tones.worst_db}


def of_signals(pairs: Pairs, rate: int) -> dict[str, float]:
    return {
        **{name: value for name, value in waveform_scores(pairs).items() if name in OF_SIGNALS},
        "a_weighted_esr": a_weighted_esr(pairs, rate),
        "log_spectral_distance_db": log_spectral_distance(pairs, rate),
        "fluctuation_db": fluctuation(pairs, rate),
        **predicted_mushra(pairs, rate).scores,
        "zimtohrli_mos": zimtohrli_mos(pairs, rate),
        "hiss_db": hiss(pairs, rate).db,
    }


def missing(path: Path, options: argparse.Namespace) -> Iterator[tuple[str, str, list[Run]]]:
    """Family, recording and runs of what the file does not hold yet: what is trained together."""
    done = set()
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            done = {(row["family"], row["recording"], row["loss"], int(row["seed"])) for row in csv.DictReader(file)}
    jobs = []
    for family in options.families:
        together = [options.losses] if family == LSTM else [[loss] for loss in options.losses]
        jobs += [(family, name, losses) for losses in together for name in options.recordings]
    for family, name, losses in jobs:
        runs = [(loss, seed) for loss in losses for seed in options.seeds if (family, name, loss, seed) not in done]
        if runs:
            yield family, name, runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--losses", nargs="+", default=LOSSES, help="names in conf/loss/")
    parser.add_argument("--recordings", nargs="+", default=[*RECORDINGS], choices=[*RECORDINGS])
    parser.add_argument("--families", nargs="+", default=[*FAMILIES], choices=[*FAMILIES, *MINUTE])
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--steps", type=int, help="of every run, in place of what its family takes")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for family, name, runs in missing(options.file, options):
        steps, words = (FAMILIES | MINUTE)[family]
        steps = options.steps or steps
        train = side_by_side if family == LSTM else one_after_another
        renderer, started = None, time.process_time()
        for (loss, seed), model in zip(runs, train(words, name, runs, steps), strict=True):
            renderer = renderer or Renderer(model)  # compiled once: the others of a job lend it their weights
            renderer.model.set_weights(model.get_weights())
            row = {"recording": name, "family": family, "loss": loss, "seed": seed, "steps": steps}
            append(options.file, row | scores(renderer, recording(name)) | {"cpu_s": time.process_time() - started})
            started = time.process_time()


def append(path: Path, row: dict[str, float | str]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow({key: f"{value:.5g}" if isinstance(value, float) else value for key, value in row.items()})


if __name__ == "__main__":
    main()
