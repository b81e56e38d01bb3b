"""A gated recurrent unit: three quarters of an LSTM's work for as many units."""

from typing import Any

import keras
import tensorflow as tf

from ampsim.models.base import AmpModel
from ampsim.models.lstm import Lstm


class Gru(Lstm):
    """As `Lstm`, with `keras.layers.GRU` in its place; the arguments are the same."""

    kind: Any = keras.layers.GRU
    chain_kind = "gru"
    as_nam = AmpModel.as_nam

    def initial_state(self, batch: int) -> Any:
        return [[tf.zeros((batch, self.units))] for _ in self.cells]
