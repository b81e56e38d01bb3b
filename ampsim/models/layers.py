"""Layers that several families share.

Between them a batch of signals is (channels, time * batch): the examples lie interleaved, sample by sample, so that a
shift in time is one slice of long contiguous rows whatever the batch. This layout trained 1.3 times faster than
(batch, time, channels) on a CPU.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from ampsim import AmpsimError
from ampsim.files import refuse_larger
from ampsim.models.convolution import filter_bank
from ampsim.models.forms import Array

# Uniform within 1 / sqrt(inputs of a unit), as PyTorch starts the kernels of its convolutions.
AS_IN_TORCH: dict[str, Any] = {"scale": 1 / 3, "mode": "fan_in", "distribution": "uniform"}


MOST_LAYERS = 500
_in_products: list[tf.DType] = [tf.float32]


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Within it, matrix products multiply numbers of this type ("float32" or "bfloat16"); all else stays in float32."""
    _in_products.append(tf.as_dtype(precision))
    try:
        yield
    finally:
        _in_products.pop()


def in_full_precision() -> bool:
    return _in_products[-1] == tf.float32


def product(a: tf.Tensor, b: tf.Tensor, **transposed: bool) -> tf.Tensor:
    """`tf.matmul` of two float32 matrices in the precision that `products_in` set."""
    kind = _in_products[-1]
    return tf.cast(tf.matmul(tf.cast(a, kind), tf.cast(b, kind), **transposed), tf.float32)


@contextmanager
def bounded_weights(what: str) -> Iterator[None]:
    """Within it, weights that together are beyond `files.memory_limit` are refused before they are set aside.

    Args:
        what: has the weights, for the sentence.

    Raises:
        TooLargeError: at the end, whatever Keras made of it in between.
    """
    total, refused = 0, list[AmpsimError]()

    def counted(create: Callable[..., tf.Variable], **options: Any) -> tf.Variable:
        nonlocal total
        first = options["initial_value"]
        if callable(first):
            with graph.as_default():  # where a number has a shape and takes no memory
                first = first()
        first = first if tf.is_tensor(first) else tf.convert_to_tensor(first)
        total += first.shape.num_elements() * first.dtype.size
        try:
            refuse_larger(f"the weights of {what}", total)
        except AmpsimError as error:
            refused.append(error)
            raise
        return create(**options)

    graph = tf.Graph()
    try:
        with tf.variable_creator_scope(counted):
            yield
    finally:
        if refused:
            raise refused[0]


def interleaved(segment: tf.Tensor) -> tf.Tensor:
    """(batch, n) as one channel, (1, n * batch)."""
    return tf.reshape(tf.transpose(segment), [1, -1])


def separated(channel: tf.Tensor, batch: int) -> tf.Tensor:
    """One channel, (1, n * batch), as (batch, n)."""
    return tf.transpose(tf.reshape(channel, [-1, batch]))


def newest(features: tf.Tensor, length: int) -> tf.Tensor:
    """The last `length` columns of (channels, columns)."""
    return features[:, features.shape[1] - length :]


class Convolution(keras.layers.Layer):
    """A dilated convolution without padding, as `keras.layers.Conv1D(padding="valid")`.

    Its kernel is one matrix, (kernel_size * inputs, channels) with the oldest tap first: optimizers that even out a
    matrix's directions (Muon) see it as one. One product makes what every tap gives every sample, a sum of shifted slices
    then is the convolution. With XLA this trained 3.5 times faster than `Conv1D(dilation_rate=...)` on a CPU.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int = 1,
        dilation: int = 1,
        *,
        use_bias: bool = True,
        name: str = "convolution",
    ) -> None:
        super().__init__(name=name)
        self.channels, self.kernel_size, self.dilation, self.use_bias = channels, kernel_size, dilation, use_bias

    def build(self, inputs: int) -> None:
        shape = (self.kernel_size * inputs, self.channels)
        initializer = keras.initializers.VarianceScaling(**AS_IN_TORCH)
        self.kernel = self.add_weight(shape=shape, initializer=initializer, name="kernel")
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.channels,), initializer="zeros", name="bias")
        self.built = True

    def nam_weights(self, gain: float = 1.0) -> list[Array]:
        """As a `.nam` file has them: (outputs, inputs, taps), the oldest sample's tap first, and the bias if there is one."""
        kernel, *bias = self.get_weights()
        return [gain * kernel.reshape(self.kernel_size, -1, self.channels).transpose(), *bias]

    @property
    def memory(self) -> int:
        """Samples before the current one that an output depends on."""
        return (self.kernel_size - 1) * self.dilation

    def call(self, features: tf.Tensor, *, batch: int = 1) -> tf.Tensor:
        """(inputs, n * batch) -> (channels, (n - memory) * batch)."""
        inputs, columns = features.shape
        taps = tf.reshape(self.kernel, [self.kernel_size, inputs, self.channels])
        taps = tf.reshape(tf.transpose(taps, [0, 2, 1]), [self.kernel_size * self.channels, inputs])
        products = product(taps, features)
        shift = self.dilation * batch
        length = columns - self.memory * batch
        total = sum(
            products[tap * self.channels : (tap + 1) * self.channels, tap * shift : tap * shift + length]
            for tap in range(self.kernel_size)
        )
        return total + self.bias[:, None] if self.use_bias else total


class Fir(keras.layers.Layer):
    """A learnt filter of any length, by FFT. It starts as an impulse: what goes in comes out.

    Args:
        taps: its length.
        future: the taps on the current sample and later ones; the impulse stands on the current sample.
    """

    def __init__(self, taps: int, *, future: int = 1) -> None:
        super().__init__()
        self.taps, self.future = taps, future

    def build(self, input_shape: Any = None) -> None:
        self.kernel = self.add_weight(shape=(self.taps,), initializer="zeros", name="kernel")  # oldest tap first
        impulse = tf.one_hot(self.taps - self.future, self.taps)
        self.kernel.assign(impulse)
        self.built = True

    def call(self, segment: tf.Tensor, skip: int = 0) -> tf.Tensor:
        """(batch, taps - 1 + n) -> (batch, n); without the `skip` oldest taps, from a segment that is so much shorter."""
        return tf.reverse(filter_bank(segment, self.kernel[skip:, None])[0], [1])


def activation_named(name: str) -> Any:
    """An activation by Keras' name. Raises ValueError for a name that Keras does not know."""
    try:
        return keras.activations.get(name)
    except ValueError:
        raise ValueError(
            f"activation={name}: Keras knows no such activation; tanh, relu and sigmoid are some"
        ) from None


def check_sizes(**sizes: int) -> None:
    """Raises ValueError for a size below 1, and for more layers than can be built in seconds."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}={size}: it is 1 or more")
        if name == "layers" and size > MOST_LAYERS:
            raise ValueError(f"layers={size}: it is {MOST_LAYERS} or less")


def check_dilations(dilations: Any) -> None:
    """Raises ValueError for what is no list, for an empty one, and for a dilation that is no whole number from 1 up."""
    if not isinstance(dilations, Sequence) or isinstance(dilations, str):
        raise ValueError(f"dilations={dilations}: a list is needed here, such as [1,2,4]")
    if len(dilations) > MOST_LAYERS:
        raise ValueError(f"dilations has {len(dilations):,} entries: {MOST_LAYERS} or fewer are needed, one a layer")
    check_whole("dilations", dilations)


def check_whole(name: str, numbers: Sequence[Any]) -> None:
    """Raises ValueError for an empty list, and for an entry that is no whole number from 1 up."""
    if not numbers or not all(isinstance(number, int) and number >= 1 for number in numbers):
        raise ValueError(f"{name}={list(numbers)}: one or more whole numbers, each 1 or more")
