"""A long short-term memory (Wright, Damskägg & Välimäki 2019)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from ampsim.models.layers import check_sizes
from ampsim.models.recurrent import Recurrent


class Lstm(Recurrent):
    """LSTM layers on the sample itself, then one output unit.

    Args:
        units: of each layer.
        layers: one after another.
        burn_in, skip: as of `Recurrent`. A `.nam` file has no skip connection.
    """

    kind: Any = keras.layers.LSTM

    def __init__(
        self,
        *,
        units: int = 16,
        layers: int = 1,
        skip: bool = False,
        burn_in: int = 1024,
        future: int = 1,
        sample_rate: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(burn_in=burn_in, skip=skip, future=future, sample_rate=sample_rate, **keras_arguments)
        check_sizes(units=units, layers=layers)
        self.units = units
        self.cells = [self.kind(units, return_sequences=True, return_state=True) for _ in range(layers)]
        self.head = keras.layers.Dense(1, name="head")

    def build(self, input_shape: object = None) -> None:
        size = 1
        for cell in self.cells:
            cell.build((None, None, size))
            size = self.units
        self.head.build((None, None, size))
        self.built = True

    def adam_layers(self) -> list[keras.layers.Layer]:
        return [self.head]

    @contextmanager
    def unrolled(self) -> Iterator[None]:
        for cell in self.cells:
            cell.unroll = True
        try:
            yield
        finally:
            for cell in self.cells:
                cell.unroll = False

    def initial_state(self, batch: int) -> Any:
        return [[tf.zeros((batch, self.units)), tf.zeros((batch, self.units))] for _ in self.cells]

    def advance(self, signal: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
        features, after = signal[..., None], []
        for cell, before in zip(self.cells, state, strict=True):
            features, *ended = cell(features, initial_state=before)
            after.append(ended)
        return self.head(features)[..., 0], after
