"""Several devices share a batch out: two logical CPUs, in a process of their own, against one device here."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose
from synthetic import pair

from ampsim import AmpsimError
from ampsim.losses import ESR, MAE, Balanced, Sum
from ampsim.models import AmpModel, Dense, WaveNet
from ampsim.models.layers import product, products_in
from ampsim.recordings.pairs import Span
from ampsim.training.devices import distribution
from ampsim.training.schedules import Constant
from ampsim.training.segments import Segments
from ampsim.training.trainer import Trainer

FAMILIES = {
    "dense": lambda: Dense(window=16, future=4, layers=2, units=4),
    "balanced": lambda: Dense(window=16, future=4, layers=2, units=4),  # with a loss that keeps a state
    "wavenet": lambda: WaveNet(channels=[4], dilations=[[1, 2, 4]]),
}


def curves(family: str, *, batch_size: int = 4, precision: str = "float32", devices: int | str = 1) -> list[float]:
    """Training loss and validation ESR of three epochs."""
    take = pair(1.5)
    keras.utils.set_random_seed(0)
    with distribution(devices).scope():
        model: AmpModel = FAMILIES[family]()
        model.build()
        optimizer = keras.optimizers.Muon(0.01, exclude_layers=["head"])
        segments = Segments([Span(take, 0, 9400)], history=model.history, lookahead=model.lookahead, segment_length=400)
        kind = Balanced if family == "balanced" else Sum
        loss = kind(terms={"esr": ESR(), "mae": MAE(weight=0.1)}).prepare(sample_rate=44100, segment_length=400)
        fit = Trainer(
            model,
            loss,
            optimizer,
            Constant(),
            segments,
            [Span(take, 9500, 11_000)],
            batch_size=batch_size,
            epochs=3,
            precision=precision,
        )
    return [row[key] for row in fit.fit().intervals for key in ("loss", "validation_esr")]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_two_devices_learn_what_one_learns(family: str) -> None:
    process = subprocess.run(
        [sys.executable, __file__, family],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    assert_allclose(json.loads(process.stdout.splitlines()[-1]), curves(family), rtol=1e-5)


def test_more_devices_than_there_are_is_a_sentence() -> None:
    with pytest.raises(AmpsimError, match=r"devices=64: there are \d+ on this machine"):
        distribution(64)


@pytest.mark.parametrize("family", FAMILIES)
def test_products_in_bfloat16_learn_about_the_same(family: str) -> None:
    exact, rounded = curves(family), curves(family, precision="bfloat16")
    assert exact != rounded
    assert_allclose(rounded, exact, rtol=0.05)


def test_a_product_in_bfloat16_has_eight_bits() -> None:
    a = tf.constant([[1 + 2.0**-8]])  # between two numbers of bfloat16
    assert float(product(a, a)[0, 0]) == (1 + 2.0**-8) ** 2
    with products_in("bfloat16"):
        assert float(product(a, a)[0, 0]) == 1.0
    assert np.asarray(product(a, a)).dtype == np.float32


if __name__ == "__main__":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    with pytest.raises(AmpsimError, match="cannot be shared out evenly to 2 devices"):
        curves(sys.argv[1], batch_size=3, devices="all")
    print(json.dumps(curves(sys.argv[1], devices="all")))
