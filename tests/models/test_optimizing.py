"""What Muon leaves to Adam: told by the model, not by the names of its layers."""

import keras
import numpy as np
import pytest

from ampsim import models
from ampsim.config.run_config import RunConfig
from ampsim.config.targets import build
from ampsim.models.layers import Convolution
from ampsim.models.optimizing import leave_to_adam

OLD = ["rechannel", "mixin", "head", "oscillators"]  # what the config listed before models did


random = np.random.default_rng(0)


def even(matrix: np.ndarray, steps: int) -> np.ndarray:
    """Muon's quintic iteration (Jordan 2024) towards U V', in double precision and by singular values."""
    left, values, right = np.linalg.svd(matrix / np.linalg.norm(matrix), full_matrices=False)
    for _ in range(steps):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return left @ np.diag(values) @ right


@pytest.mark.parametrize("shape", [(6, 3), (3, 6)])
def test_muon_takes_the_same_steps_on_every_keras(shape: tuple[int, int]):
    """Those of a matrix as of arXiv:2502.16982, eq. 4; a vector and a weight of three axes go by Adam's rule."""
    section = RunConfig.compose(["optimizer=muon", "optimizer.learning_rate=0.01", "optimizer.adam_lr_ratio=0.5"])
    optimizer = build(dict(section["optimizer"]), "optimizer")
    weights = [keras.Variable(np.zeros(each, np.float32), name="same") for each in (shape, (4,), (2, 3, 2))]
    optimizer.build(weights)
    momenta = [np.zeros(weight.shape) for weight in weights]
    squares = [np.zeros(weight.shape) for weight in weights]
    expected = [np.zeros(weight.shape) for weight in weights]
    for count in (1, 2):
        gradients = [random.normal(size=weight.shape) for weight in weights]
        given = [keras.ops.convert_to_tensor(gradient.astype(np.float32)) for gradient in gradients]
        optimizer.apply_gradients(zip(given, weights, strict=True))
        momenta[0] = 0.95 * momenta[0] + gradients[0]
        expected[0] -= 0.01 * 0.2 * np.sqrt(6) * even(gradients[0] + 0.95 * momenta[0], steps=5)
        for k in (1, 2):
            momenta[k] = 0.9 * momenta[k] + 0.1 * gradients[k]
            squares[k] = 0.999 * squares[k] + 0.001 * gradients[k] ** 2
            mean, square = momenta[k] / (1 - 0.9**count), squares[k] / (1 - 0.999**count)
            expected[k] -= 0.005 * mean / np.sqrt(square)
    for weight, each in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight.numpy(), each, rtol=2e-3, atol=2e-6)


def muon(**arguments: object) -> keras.optimizers.Muon:
    return build({"_target_": "keras.optimizers.Muon", **arguments}, "optimizer")


def adams(model: models.AmpModel, optimizer: keras.optimizers.Muon) -> list[str]:
    """The ends of the paths of the matrices for which Muon keeps an Adam velocity."""
    leave_to_adam(optimizer, model)
    optimizer.build(model.trainable_variables)
    pairs = zip(model.trainable_variables, optimizer.adam_velocities, strict=True)
    kept = [weight.path for weight, velocity in pairs if velocity is not None and len(weight.shape) == 2]
    return ["/".join(path.split("/")[-2:]) for path in kept]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (models.WaveNetCab(channels=3, layers=2, taps=9), {"rechannel/kernel", "mixin/kernel", "head/kernel"}),
        (models.WienerHammerstein(taps_before=4, taps_after=5, units=3), {"bend/kernel", "head/kernel"}),
        (models.Lstm(units=3), {"head/kernel"}),
        (models.Tcn(channels=3, dilations=[1, 2]), {"rechannel/kernel", "head/kernel"}),
        (models.Fir(taps=5), set()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, models.AmpModel) else "",
)
def test_a_model_keeps_its_ends_from_muon(model: models.AmpModel, expected: set[str]):
    model.build()
    found = adams(model, muon())
    assert set(found) == expected
    assert adams(model, muon(exclude_layers=OLD)) == found  # a config of an old run means the same


def test_a_layer_that_shares_its_name_with_another_is_refused():
    class Twins(models.Tcn):
        def adam_layers(self) -> list[Convolution]:
            return self.blocks[:1]

    model = Twins(channels=3, dilations=[1, 2])
    model.build()
    with pytest.raises(ValueError, match=r"Twins has two weights called .*convolution/kernel"):
        leave_to_adam(muon(), model)


def test_another_optimizer_is_left_as_it_is():
    model = models.Tcn(channels=3, dilations=[1])
    model.build()
    optimizer = keras.optimizers.Adam()
    before = optimizer.get_config()
    leave_to_adam(optimizer, model)
    assert optimizer.get_config() == before
