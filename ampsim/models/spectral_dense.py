"""The dense net with frequencies at hand: short-time magnitudes in bands stand beside what its first layer learns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ampsim.files import refuse_larger
from ampsim.models.base import AmpModel
from ampsim.models.convolution import filter_bank
from ampsim.models.dense import Dense
from ampsim.models.layers import check_sizes

COMPRESSION = 100.0  # a magnitude m becomes log(1 + 100 m) / log(101): 1 at full scale, a half at -20.9 dB
TINY = 1e-10  # power; keeps the root's slope finite on silence


class SpectralDense(Dense):
    """`Dense`, whose second layer also reads how strong each band of frequencies is around the current sample.

    A band is a complex tone in a Hann window, slid over the segment one sample at a time: a short-time Fourier transform
    with a step of one, so that a feature belongs to a sample and not to a place in a block. Windows of several lengths
    trade time against frequency. They are not learnt; what is made of them is.

    Args:
        window, future, layers, units, activation, dropout, emphasis: as in `Dense`; the first layer is an FFT convolution.
        sizes_ms: lengths of the analysis windows in milliseconds; each fits in `window`. They are centred on the current
            sample where `future` reaches that far, else they end at the newest sample seen.
        num_bands: of each length, evenly spaced on a log scale from `low_hz` (or from two periods in the analysis
            window, if that is higher) to `high_hz`.
    """

    as_chain = AmpModel.as_chain  # a chain has no place for the bands beside its first layer

    def __init__(
        self,
        *,
        window: int = 4000,
        future: int = 300,
        layers: int = 3,
        units: int = 256,
        activation: str = "relu",
        dropout: float = 0.0,
        emphasis: float = 0.0,
        sizes_ms: Sequence[float] = (6.0, 24.0, 80.0),
        num_bands: int = 16,
        low_hz: float = 80.0,
        high_hz: float = 8000.0,
        sample_rate: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(
            window=window,
            future=future,
            layers=layers,
            units=units,
            activation=activation,
            dropout=dropout,
            emphasis=emphasis,
            first_layer="fft",
            sample_rate=sample_rate,
            **keras_arguments,
        )
        check_sizes(num_bands=num_bands)
        if sample_rate is None:
            raise ValueError("bands in hertz need a sample_rate")
        sizes = [round(size * sample_rate / 1000) for size in sizes_ms]
        if not sizes or not 8 <= min(sizes) <= max(sizes) <= window:
            raise ValueError(
                f"sizes_ms={list(sizes_ms)} are {sizes} samples at {sample_rate} Hz: each is from 8 to window={window}"
            )
        if not max(low_hz, 2 * sample_rate / min(sizes)) < high_hz <= sample_rate / 2:
            raise ValueError(
                f"low_hz={low_hz:g} and high_hz={high_hz:g}: bands of {min(sizes)} samples at {sample_rate} Hz lie from "
                f"{max(low_hz, 2 * sample_rate / min(sizes)):g} to {sample_rate / 2:g} Hz"
            )
        refuse_larger("the analysis windows of the model", 16 * len(sizes) * num_bands * window)
        self.bands = np.concatenate(
            [bands(size, num_bands, sample_rate, window, future, low_hz, high_hz) for size in sizes], axis=1
        )

    @property
    def num_features(self) -> int:
        return super().num_features + self.bands.shape[1]

    def features(self, segment: tf.Tensor) -> tf.Tensor:
        levels = self.levels(segment)
        return tf.concat([super().features(segment), tf.reshape(levels, [levels.shape[0], -1])], axis=0)

    def levels(self, segment: tf.Tensor) -> tf.Tensor:
        """Compressed magnitude of each band around each sample, (num_features, batch, n), backwards in time."""
        kernels = np.concatenate([self.bands.real, self.bands.imag], axis=1).astype(np.float32)
        real, imaginary = tf.split(filter_bank(segment, tf.constant(kernels)), 2)
        magnitude = tf.sqrt(tf.square(real) + tf.square(imaginary) + TINY)
        return tf.math.log(1 + COMPRESSION * magnitude) / np.log1p(COMPRESSION).astype(np.float32)


def bands(
    size: int, num_bands: int, sample_rate: int, window: int, future: int, low_hz: float, high_hz: float
) -> np.ndarray:
    """Complex kernels, (window, num_bands), that read a full-scale sine at their centre as 1."""
    centres = np.geomspace(max(low_hz, 2 * sample_rate / size), high_hz, num_bands)
    hann = np.hanning(size + 2)[1:-1]
    tones = np.exp(-2j * np.pi * centres * np.arange(size)[:, None] / sample_rate) * (2 * hann / hann.sum())[:, None]
    start = min(max(window - future - size // 2, 0), window - size)  # centred on sample window - future if it can be
    kernels = np.zeros((window, num_bands), complex)
    kernels[start : start + size] = tones
    return kernels
