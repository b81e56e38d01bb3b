"""What a model says of itself to those who write it in other people's formats."""

from dataclasses import dataclass, replace
from typing import Any

import keras
from numpy.typing import NDArray

Array = NDArray[Any]


class CannotHoldError(ValueError):
    """Why a format cannot hold a model, as the end of a sentence that begins with the format's name."""


@dataclass(frozen=True)
class ChainLayer:
    """One layer of a chain: dense, conv1d (over a window, the first layer only), lstm or gru.

    Weights are in Keras' layout: a conv1d has (taps, 1, outputs), the oldest sample's tap first, and (outputs,).
    """

    kind: str
    outputs: int
    activation: str  # by Keras' name
    weights: list[Array]


@dataclass(frozen=True)
class NamNet:
    """A net as a `.nam` file has it, its gains worked into the weights; an array's activation is by Keras' name."""

    architecture: str
    config: dict[str, Any]
    weights: list[Array]  # in the order of the file

    def louder(self, factor: float) -> "NamNet":
        """A WaveNet whose output is multiplied: its scale is in the config and, once more, the last weight."""
        *weights, scale = self.weights
        config = self.config | {"head_scale": factor * self.config["head_scale"]}
        return replace(self, config=config, weights=[*weights, factor * scale])


@dataclass(frozen=True)
class Rig:
    """A net and the filter behind it, apart: what the net plays, filtered, is what the model plays."""

    net: NamNet
    response: (
        Array  # the filter's impulse response, (taps,): the newest sample's tap first, late by the model's `lookahead`
    )


def window_layer(kernel: Array, bias: Array, activation: str) -> ChainLayer:
    """A first layer over the window from (taps, outputs). Its bias may not be left out."""
    return ChainLayer("conv1d", kernel.shape[1], activation, [kernel[:, None], bias])


def activation_name(function: Any) -> str:
    """The name by which Keras knows an activation."""
    return str(keras.activations.serialize(function))
