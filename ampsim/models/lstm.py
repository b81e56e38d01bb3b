"""A long short-term memory (Wright, Damskägg & Välimäki 2019)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ampsim.models.forms import CannotHoldError, ChainLayer, NamNet
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
    chain_kind = "lstm"

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

    def as_nam(self) -> NamNet:
        if self.skip:
            raise CannotHoldError("it has no place for the skip connection of an LSTM (model.skip=false has none)")
        weights = []
        for cell, gain in zip(self.cells, self.gains_of_inputs(), strict=True):
            kernel, recurrent, bias = cell.get_weights()  # gates in the same order: i, f, c, o
            weights += [np.concatenate([gain * kernel.T, recurrent.T], axis=1), bias, np.zeros(2 * self.units)]
        weights += [self.output_gain * part for part in self.head.get_weights()]
        config = {"input_size": 1, "hidden_size": self.units, "num_layers": len(self.cells)}
        return NamNet("LSTM", config, weights)

    def as_chain(self, *, net_only: bool = False) -> list[ChainLayer]:
        if self.skip and not net_only:
            raise CannotHoldError(
                "a chain of layers has no skip connection (aidax has one; model.skip=false needs none)"
            )
        before, after = ([1.0] * len(self.cells), 1.0) if net_only else (self.gains_of_inputs(), self.output_gain)
        chain = []
        for cell, gain in zip(self.cells, before, strict=True):
            kernel, *others = cell.get_weights()
            chain.append(ChainLayer(self.chain_kind, self.units, "tanh", [gain * kernel, *others]))
        return [*chain, ChainLayer("dense", 1, "linear", [after * part for part in self.head.get_weights()])]

    def gains_of_inputs(self) -> list[float]:
        """For each layer: only the first hears the model's input."""
        return [self.input_gain, *[1.0] * (len(self.cells) - 1)]
