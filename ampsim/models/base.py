"""The contract that every model family keeps."""

import inspect
from typing import Any

import keras
import tensorflow as tf


class AmpModel(keras.Model):
    """A map from a segment of input to a segment of output.

    Called with (batch, receptive_field - 1 + n) it returns (batch, n): output k depends on the `receptive_field` input
    samples from k on, of which the last `future` are the current sample and those after it. Input and output are
    audio with full scale at 1.

    A family defines `receptive_field`, `build` and `call`; its constructor's keyword arguments are its config.

    Args:
        future: input samples seen from the current one on; 1 is causal.
        sample_rate: what the model was trained at, in hertz. It rides along in the saved file.
    """

    _arguments: dict[str, Any]
    xla = True  # whether XLA makes this family faster, in training and in rendering

    def __new__(cls, *args: Any, **kwargs: Any) -> "AmpModel":
        instance = super().__new__(cls, *args, **kwargs)
        signature = inspect.signature(cls)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments |= arguments.pop(name)
        # Kept past Keras' attribute tracking: its own `layers` and wrapped lists would be in the way of `get_config`.
        object.__setattr__(instance, "_arguments", {key: as_lists(value) for key, value in arguments.items()})
        return instance

    def __init__(self, *, future: int = 1, sample_rate: int | None = None, **keras_arguments: Any) -> None:
        super().__init__(**keras_arguments)
        if future < 1:
            raise ValueError(f"future={future}: it counts the current sample, so it is 1 (causal) or more")
        self.future = future
        self.sample_rate = sample_rate

    def check_future(self) -> None:
        """For the constructor, once the receptive field is known; raises ValueError."""
        if self.future > self.receptive_field:
            raise ValueError(
                f"future={self.future}: it is part of what the model sees, which is {self.receptive_field} samples"
            )

    @property
    def receptive_field(self) -> int:
        """How many input samples determine one output sample."""
        raise NotImplementedError

    @property
    def history(self) -> int:
        """Input samples needed before the current one."""
        return self.receptive_field - self.future

    @property
    def lookahead(self) -> int:
        """Input samples needed after the current one."""
        return self.future - 1

    def build(self, input_shape: Any = None) -> None:
        raise NotImplementedError

    def call(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
        raise NotImplementedError

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


def as_lists(value: Any) -> Any:
    """A sequence as a config file gives it back."""
    return [as_lists(item) for item in value] if isinstance(value, (list, tuple)) else value
