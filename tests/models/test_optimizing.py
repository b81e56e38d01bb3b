"""What Muon leaves to Adam: told by the model, not by the names of its layers."""

import keras
import pytest

from ampsim import models
from ampsim.models.layers import Convolution
from ampsim.models.optimizing import leave_to_adam

OLD = ["rechannel", "mixin", "head", "oscillators"]  # what the config listed before models did


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
    found = adams(model, keras.optimizers.Muon())
    assert set(found) == expected
    assert adams(model, keras.optimizers.Muon(exclude_layers=OLD)) == found  # a config of an old run means the same


def test_a_layer_that_shares_its_name_with_another_is_refused():
    class Twins(models.Tcn):
        def adam_layers(self) -> list[Convolution]:
            return self.blocks[:1]

    model = Twins(channels=3, dilations=[1, 2])
    model.build()
    with pytest.raises(ValueError, match=r"Twins has two weights called .*convolution/kernel"):
        leave_to_adam(keras.optimizers.Muon(), model)


def test_another_optimizer_is_left_as_it_is():
    model = models.Tcn(channels=3, dilations=[1])
    model.build()
    optimizer = keras.optimizers.Adam()
    before = optimizer.get_config()
    leave_to_adam(optimizer, model)
    assert optimizer.get_config() == before
