"""Long filters over segments, by FFT."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import tensorflow as tf
from scipy.fft import next_fast_len

# From the gradient of the output to those of the segment and of the kernel.
Gradient = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

by_fft: ContextVar[bool] = ContextVar("by_fft", default=True)


@contextmanager
def without_fft() -> Iterator[None]:
    """Inside, `filter_bank` is a plain convolution: the runtimes of other formats have no FFT."""
    token = by_fft.set(False)
    try:
        yield
    finally:
        by_fft.reset(token)


def filter_bank(segment: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """What `keras.layers.Dense` computes before its bias on every window of a segment, without storing a window.

    The whole segment is one FFT; an output costs a few operations per filter instead of one per tap. Time runs
    BACKWARDS in the output: then the useful part of the circular convolution starts at 0 in this pass and in the
    gradient's, so neither needs a shifted copy of an array as large as all outputs.

    Args:
        segment: (batch, window - 1 + n), both sizes known.
        kernel: (window, units), the oldest sample's weights first.

    Returns:
        (units, batch, n): for each filter, each example's n outputs from the last to the first.
    """
    if not by_fft.get():
        products = tf.nn.conv1d(segment[..., None], tf.convert_to_tensor(kernel)[:, None], 1, "VALID")
        return tf.reverse(tf.transpose(products, [2, 0, 1]), [2])
    window = kernel.shape[0]
    batch, length = segment.shape
    n = length - window + 1
    size = next_fast_len(length, real=True)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def convolve(segment: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        backwards = tf.reverse(segment, [1])
        padding = tf.zeros([batch, size - length])
        signal = tf.signal.rfft(tf.concat([backwards[:, window - 1 :], padding, backwards[:, : window - 1]], axis=1))
        filters = tf.signal.rfft(tf.transpose(kernel), [size])
        outputs = tf.signal.irfft(crossed(signal, filters[:, None], batch), [size])[..., :n]

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            received = tf.signal.rfft(upstream, [size])
            to_kernel = tf.reduce_sum(crossed(tf.math.conj(signal), received, batch), axis=1)
            to_kernel = tf.transpose(tf.signal.irfft(to_kernel, [size])[:, :window])
            # TensorFlow drops the rest from the graph where nobody asks for the input's gradient.
            to_signal = tf.signal.irfft(tf.reduce_sum(received * tf.math.conj(filters)[:, None], axis=0), [size])
            to_segment = tf.concat([to_signal[:, size - (window - 1) :], to_signal[:, :n]], axis=1)
            return tf.reverse(to_segment, [1]), to_kernel

        return outputs, gradient

    return convolve(segment, tf.convert_to_tensor(kernel))  # not a variable, which custom_gradient treats apart


def crossed(signal: tf.Tensor, filters: tf.Tensor, batch: int) -> tf.Tensor:
    """Spectra (batch, bins) times spectra (units, batch or 1, bins), as (units, batch, bins)."""
    if batch == 1:  # a product of two matrices' rows is several times faster than a broadcast over three axes
        return (signal * filters[:, 0])[:, None]
    return signal[None] * filters


def depthwise(features: tf.Tensor, kernels: tf.Tensor) -> tf.Tensor:
    """Each channel convolved with its own impulse response, from silence: (channels, batch, n), (channels, n), by FFT.

    Newest first: kernels[:, 0] is the weight of the current sample.
    """
    n = features.shape[-1]
    size = next_fast_len(2 * n - 1, real=True)
    spectrum = tf.signal.rfft(features, [size]) * tf.signal.rfft(kernels, [size])[:, None]
    return tf.signal.irfft(spectrum, [size])[..., :n]
