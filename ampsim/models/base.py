"""The contract that every model family keeps."""

import inspect
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from ampsim.models.forms import CannotHoldError, ChainLayer, NamNet, Rig
from ampsim.recordings.controls import Control
from ampsim.signals.audio import Signal

LARGEST_NUMBER = 2**31 - 1
PlainStream = Callable[[tf.Tensor, Any], tuple[tf.Tensor, Any]]  # (1, block_length) and a state to the next of both


class Example(NamedTuple):
    """A piece of a recording: input with `history` samples before and `lookahead` after it, target, (n,), and setting."""

    input: Signal
    target: Signal
    setting: tuple[float, ...] = ()


class AmpModel(keras.Model):
    """A map from a segment of input to a segment of output.

    Called with (batch, receptive_field - 1 + n) it returns (batch, n): output k depends on the `receptive_field` input
    samples from k on, of which the last `future` are the current sample and those after it. Input and output are
    audio with full scale at 1.

    A family defines `receptive_field`, `build` and `transform`; its constructor's keyword arguments are its config. It is
    registered with Keras under its top-level package and its own name, such as `ampsim>Lstm`.

    Args:
        future: input samples seen from the current one on; 1 is causal.
        sample_rate: what the model was trained at, in hertz. It rides along in the saved file.
        input_gain, output_gain: factors before and after the net, so that it works on signals of about one in whatever
            level a recording has; see `fit_levels`.
    """

    _arguments: dict[str, Any]
    xla_training = True  # whether XLA makes this family faster, in training ...
    xla_rendering = True  # ... and in rendering
    xla_parts = False  # whether it compiles its own parts in training, so that the step around it need not be compiled
    batch_size = 4  # segments per step that suit this family; many small steps learn faster than few large ones
    levelled = True  # whether this family trains better on signals of unit level
    controls: tuple[Control, ...] = ()  # of the amp, that it has learnt; their setting is what it plays at
    setting: keras.Variable

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        keras.saving.register_keras_serializable(cls.__module__.partition(".")[0])(cls)

    def __new__(cls, *args: Any, **kwargs: Any) -> "AmpModel":
        instance = super().__new__(cls, *args, **kwargs)
        signature = inspect.signature(
            cls.__init__
        )  # of the class itself, where it has no constructor of its own, is this one's
        bound = signature.bind(instance, *args, **kwargs)
        bound.apply_defaults()
        arguments = dict(list(bound.arguments.items())[1:])
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments |= arguments.pop(name)
        for name, value in arguments.items():
            check_numbers(name, value)
        # Kept past Keras' attribute tracking: its own `layers` and wrapped lists would be in the way of `get_config`.
        object.__setattr__(instance, "_arguments", {key: as_lists(value) for key, value in arguments.items()})
        return instance

    def __init__(
        self,
        *,
        future: int = 1,
        sample_rate: int | None = None,
        input_gain: float = 1.0,
        output_gain: float = 1.0,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(**keras_arguments)
        if future < 1:
            raise ValueError(f"future={future}: it counts the current sample, so it is 1 (causal) or more")
        for name, gain in (("input_gain", input_gain), ("output_gain", output_gain)):
            if not 0 < gain < math.inf:
                raise ValueError(f"{name}={gain}: it is above 0 and finite")
        self.future = future
        self.sample_rate = sample_rate
        self.input_gain, self.output_gain = float(input_gain), float(output_gain)

    def check_future(self) -> None:
        """For the constructor, once the receptive field is known; raises ValueError."""
        if self.future > self.receptive_field:
            raise ValueError(
                f"future={self.future}: it is part of what the model sees, which is {self.receptive_field} samples"
            )

    @property
    def receptive_field(self) -> int:
        """How many input samples determine one output sample."""
        raise NotImplementedError(f"{type(self).__name__} does not define receptive_field")

    @property
    def history(self) -> int:
        """Input samples needed before the current one."""
        return self.receptive_field - self.future

    @property
    def lookahead(self) -> int:
        """Input samples needed after the current one."""
        return self.future - 1

    def members(self) -> "dict[str, AmpModel]":
        """The models that are trained on the same batches, by name, each with a loss and best weights of its own.

        A model is its only one, without a name; one that holds several of a kind replaces this, and is the last of them when
        it is called.
        """
        return {"": self}

    def turn(self, setting: Sequence[float]) -> None:
        """Play at this setting of the controls from now on, one value a control; a model without controls stays as it is."""

    def turned(self, values: tf.Tensor) -> AbstractContextManager[None]:
        """Within it, in a graph, the controls stand at these values, (num_controls,)."""
        raise NotImplementedError(f"a {type(self).__name__} has no controls")

    def build(self, input_shape: Any = None) -> None:
        raise NotImplementedError(f"{type(self).__name__} does not define build()")

    def build_from_config(self, config: dict[str, Any]) -> None:
        self.build()  # Keras' own would hide what goes wrong

    def call(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.output_gain * self.transform(self.input_gain * segment, training=training)

    def transform(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The net itself, between the two gains: (batch, receptive_field - 1 + n) -> (batch, n)."""
        raise NotImplementedError(f"{type(self).__name__} does not define transform()")

    def fit_levels(self, input_rms: float, target_rms: float) -> None:
        """Choose the gains for a recording of these levels (full scale at 1), for a family that trains better so.

        Without them a quiet recording of an amp with much gain spends most of a minute on growing weights.
        """
        if self.levelled and input_rms > 0 and target_rms > 0:
            self.input_gain, self.output_gain = 1 / input_rms, target_rms
            self._arguments.update(input_gain=self.input_gain, output_gain=self.output_gain)

    def solve(self, examples: Sequence[Example]) -> bool:
        """After training: find those weights that have a closed form once the others are learnt; whether there are any."""
        return False

    def adam_layers(self) -> list[keras.layers.Layer]:
        """Layers whose matrices an optimizer such as Muon leaves to Adam's rule.

        They lead from one channel to several or from several to one, or hold a number for each of many places: directions
        that could be evened out are not what such a matrix has.
        """
        return []

    def adam_weights(self) -> list[keras.Variable]:
        """The weights of these layers; a model whose weights are in no layers replaces this."""
        return [weight for layer in self.adam_layers() for weight in layer.trainable_weights]

    def stacks(self) -> list[tuple[keras.Variable, tuple[int, ...]]]:
        """Weights of which each row is a matrix, (count, rows * columns), and the shape of these, (rows, columns).

        An optimizer of matrices may even out each by itself, where it does not leave the whole to Adam's rule.
        """
        return []

    def get_config(self) -> dict[str, Any]:
        return {**self._arguments, "name": self.name}

    def stream_state(self) -> tf.Tensor:
        """The state before the first sample: as if there had been silence for ever."""
        return tf.zeros((1, self.receptive_field - 1))

    def stream(self, block: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
        """The next output, (1, n), of the next input, (1, n), and the state to go on from.

        The output lags by `lookahead` samples. A recurrent family replaces both methods to carry its cells instead.
        """
        segment = tf.concat([state, block], axis=1)
        return self(segment, training=False), segment[:, tf.shape(block)[1] :]

    def settled_state(self) -> Any:
        """The state after silence for so long that what a model began with is forgotten."""
        return self.stream_state()

    def zero_state(self) -> Any:
        """The state of a player that begins with zeros in every cell; of a model without cells, that after silence."""
        return self.stream_state()

    def plain_stream(self, block_length: int) -> tuple[PlainStream, Any]:
        """`stream` for blocks of one length and the state after silence, in the form that costs a runtime least.

        Runtimes have neither complex numbers nor FFT, and a state should not make them play the whole memory anew: a
        family for which `stream` does so replaces this.
        """
        return self.stream, self.settled_state()

    def as_nam(self) -> NamNet:
        """The net as a `.nam` file has it, once the model is built.

        Raises:
            CannotHoldError: the file has no place for it; a family that the file does hold replaces this.
        """
        raise CannotHoldError(f"it holds a WaveNet, an LSTM or a filter, and not a {type(self).__name__}")

    def as_rig(self) -> Rig:
        """The net and the filter behind it, apart, once the model is built.

        Raises:
            CannotHoldError: the model ends with no filter; a family that does replaces this.
        """
        raise CannotHoldError(
            f"it holds a net and the filter behind it, and a {type(self).__name__} ends with no filter"
        )

    def as_chain(self, *, net_only: bool = False) -> list[ChainLayer]:
        """The model as a chain of layers, as RTNeural plays them, once it is built.

        Args:
            net_only: without the gains and a skip connection, for a player that adds them itself.

        Raises:
            CannotHoldError: it is none; a family that is one replaces this.
        """
        raise CannotHoldError(
            f"it holds a chain of dense, conv1d, lstm and gru layers, which a {type(self).__name__} is not"
        )

    def unrolled(self) -> AbstractContextManager[None] | None:
        """A context in which `stream` runs without a loop over samples; None for a model that never has one."""
        return None


def check_numbers(name: str, value: Any) -> None:
    """Raises ValueError for a number, in a list too, that is NaN, infinite or more than TensorFlow counts to."""
    if isinstance(value, dict):
        for key, item in value.items():
            check_numbers(f"{name}.{key}", item)
    elif isinstance(value, list | tuple):
        for item in value:
            check_numbers(name, item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}={value}: it is a finite number")
    elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise ValueError(f"{name}={value:.6g}: it is {LARGEST_NUMBER:,} or less")


def as_lists(value: Any) -> Any:
    """A sequence as a config file gives it back, also inside a mapping."""
    if isinstance(value, dict):
        return {key: as_lists(item) for key, item in value.items()}
    return [as_lists(item) for item in value] if isinstance(value, (list, tuple)) else value
