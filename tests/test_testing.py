"""The checks that a package runs on its own model: they pass ours and name what another does not keep."""

import pytest
import tensorflow as tf

from ampsim import models
from ampsim.testing import check_model


def sounding(kind: type[models.Fir]) -> models.AmpModel:
    """A filter with something in every tap, so that every tap is seen to work."""
    model = kind(taps=8)
    model.build()
    model.set_weights([0.1 + weight for weight in model.get_weights()])
    return model


def test_models_that_keep_the_contract_pass():
    check_model(lambda: models.Tcn(channels=2, dilations=[1, 2], future=2))
    check_model(lambda: models.Gru(units=2, burn_in=60))


def test_a_stream_that_forgets_its_state_is_named():
    class Forgetful(models.Fir):
        def stream(self, block: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return super().stream(block, state)[0], tf.zeros_like(state)

    with pytest.raises(AssertionError, match="Forgetful: blocks of 1 sample differ from one pass"):
        check_model(lambda: sounding(Forgetful))


def test_a_model_that_hears_more_than_it_says_is_named():
    class Modest(models.Fir):
        @property
        def receptive_field(self) -> int:
            return self.taps - 1

        def transform(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
            return super().transform(tf.pad(segment, [[0, 0], [1, 0]]))

    with pytest.raises(AssertionError, match="Modest: an impulse before what receptive_field=7 says"):
        check_model(lambda: sounding(Modest))


def test_a_weight_that_nothing_reads_is_named():
    class Idle(models.Fir):
        def build(self, input_shape: object = None) -> None:
            super().build()
            self.idle = self.add_weight(shape=(), initializer="zeros", name="idle")

    with pytest.raises(AssertionError, match=r"the loss does not depend on .*idle"):
        check_model(lambda: Idle(taps=8))
