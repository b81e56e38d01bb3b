"""What plays a net by NumPy alone, sample after sample; it knows nothing of TensorFlow or of how a file is written."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ampsim.signals.audio import Signal, refuse_unsound

Array = NDArray[np.floating]

# Samples played at a time. Products of matrices this small run on one thread; the threads of a BLAS fight over a busy
# machine, and a WaveNet then took eight times as long.
BLOCK_LENGTH = 1024


class Player:
    """A net that carries a state from block to block, as `AmpModel.stream` does.

    A kind of net defines `reset_state` and `stream`, and in `warm_up` how many zeros its format plays before a file.
    """

    name = "the net"  # in errors; a reader puts the file's path here
    sample_rate: int | None = None
    state_bytes = 0  # what its past takes, where a file can make that large
    last = slice(None)  # of the numbers in its file, those that its output is proportional to
    warm_up = 0

    def reset_state(self) -> Any:
        """The state of a player that was just switched on: zeros everywhere."""
        raise NotImplementedError

    def stream(self, block: Signal, state: Any) -> tuple[Signal, Any]:
        """The next output, (n,), of the next input, (n,), and the state to go on from."""
        raise NotImplementedError

    def blocks(self, signals: Iterable[Signal]) -> Iterator[Signal]:
        """Play a signal that arrives in pieces of any length.

        Raises:
            AmpsimError: the net plays NaN or infinity.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # which is told of in a sentence
            state, done = self.settled_state(), 0
        for signal in signals:
            for start in range(0, len(signal), BLOCK_LENGTH):
                with np.errstate(over="ignore", invalid="ignore"):
                    output, state = self.stream(signal[start : start + BLOCK_LENGTH], state)
                refuse_unsound(self.name, output, at=done, sample_rate=self.sample_rate)
                done += len(output)
                yield output

    def settled_state(self) -> Any:
        """The state after the zeros that the format plays before a file."""
        state = self.reset_state()
        for start in range(0, self.warm_up, BLOCK_LENGTH):
            _, state = self.stream(np.zeros(min(BLOCK_LENGTH, self.warm_up - start), np.float32), state)
        return state

    def __call__(self, signal: Signal) -> Signal:
        """Play a whole signal, (num_samples,)."""
        return np.concatenate([np.empty(0, np.float32), *self.blocks([signal])])


class Layer:
    """A map of (n, inputs) to (n, outputs) with whatever state it keeps."""

    state_bytes = 0

    def reset_state(self) -> Any:
        return None

    def stream(self, features: Array, state: Any) -> tuple[Array, Any]:
        raise NotImplementedError


class Chain(Player):
    """Layers one after another, each from zero states."""

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers
        self.state_bytes = sum(layer.state_bytes for layer in layers)

    def reset_state(self) -> list[Any]:
        return [layer.reset_state() for layer in self.layers]

    def stream(self, block: Signal, state: list[Any]) -> tuple[Signal, list[Any]]:
        features: Array = block[:, None].astype(np.float64)
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            features, ended = layer.stream(features, before)
            after.append(ended)
        return features[:, 0].astype(np.float32), after


class Dense(Layer):
    def __init__(self, kernel: Array, bias: Array, activation: Callable[[Array], Array]) -> None:
        self.kernel, self.bias, self.activation = kernel, bias, activation

    def stream(self, features: Array, state: Any) -> tuple[Array, Any]:
        return self.activation((features @ self.kernel + self.bias).T).T, None


class Recurrent(Layer):
    """One LSTM or GRU layer, in Keras' layout of weights.

    Args:
        kind: "lstm" (gates i, f, c, o) or "gru" (gates z, r, h; the reset gate after the product).
        kernel: (inputs, gates * units).
        recurrent: (units, gates * units).
        bias: (gates * units,); for a GRU (2, 3 * units), of the input and of the state.
    """

    def __init__(self, kind: str, kernel: Array, recurrent: Array, bias: Array) -> None:
        self.kind, self.units = kind, len(recurrent)
        # Double precision costs nothing beside Python's loop.
        self.kernel, self.recurrent, self.bias = (part.astype(np.float64) for part in (kernel, recurrent, bias))

    def reset_state(self) -> list[Array]:
        return [np.zeros(self.units) for _ in range(2 if self.kind == "lstm" else 1)]

    def stream(self, features: Array, state: list[Array]) -> tuple[Array, list[Array]]:
        """(n, inputs) -> (n, units), and the state after it."""
        step = self.lstm if self.kind == "lstm" else self.gru
        entering = features @ self.kernel + (self.bias if self.kind == "lstm" else self.bias[0])
        outputs = np.empty((len(features), self.units))
        for k, row in enumerate(entering):
            state = step(row, state)
            outputs[k] = state[0]
        return outputs, state

    def lstm(self, entering: Array, state: list[Array]) -> list[Array]:
        hidden, cell = state
        units = self.units
        gates = entering + hidden @ self.recurrent
        opened = sigmoid(gates)
        cell = opened[units : 2 * units] * cell + opened[:units] * np.tanh(gates[2 * units : 3 * units])
        return [opened[3 * units :] * np.tanh(cell), cell]

    def gru(self, entering: Array, state: list[Array]) -> list[Array]:
        (hidden,) = state
        units = self.units
        remembered = hidden @ self.recurrent + self.bias[1]
        update, reset = np.split(sigmoid(entering[: 2 * units] + remembered[: 2 * units]), 2)
        candidate = np.tanh(entering[2 * units :] + reset * remembered[2 * units :])
        return [update * hidden + (1 - update) * candidate]


def sigmoid(values: Array) -> Array:
    return 0.5 + 0.5 * np.tanh(0.5 * values)  # the same function; exp would overflow


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda values: values,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda values: np.maximum(values, 0),
    "elu": lambda values: np.where(values > 0, values, np.expm1(np.minimum(values, 0))),
    "softmax": lambda values: np.exp(values - values.max(0)) / np.exp(values - values.max(0)).sum(0),
    "hard_tanh": lambda values: np.clip(values, -1, 1),
    "silu": lambda values: values * sigmoid(values),
    "hard_silu": lambda values: values * np.clip(values + 3, 0, 6) / 6,
    "softsign": lambda values: values / (1 + np.abs(values)),
}
