"""A small WaveNet for the amp and a long filter for the cabinet: more for a minute of training than either."""

from typing import Any

import keras
import tensorflow as tf

from ampsim.models.layers import Fir, check_sizes
from ampsim.models.wavenet import WaveNet


@keras.saving.register_keras_serializable("ampsim")
class WaveNetCab(WaveNet):
    """One array of a WaveNet, then one learnt filter by FFT.

    The filter gives the memory that a cabinet has at almost no cost, so that the net needs none of it.

    Args:
        layers: of the array; the dilation doubles from 1 on.
        channels, kernel_size, activation, gated, head_scale: as of `WaveNet`.
        taps: length of the filter, `future` of it on the current sample and later ones.
    """

    def __init__(
        self,
        *,
        channels: int = 12,
        layers: int = 8,
        kernel_size: int = 3,
        activation: str = "tanh",
        gated: bool = False,
        head_scale: float = 1.0,
        taps: int = 1024,
        future: int = 1,
        sample_rate: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        check_sizes(layers=layers, taps=taps)
        if future > taps:
            raise ValueError(f"future={future} and taps={taps}: the future is part of the filter")
        self.taps = taps
        super().__init__(
            channels=channels,
            dilations=[[2**number for number in range(layers)]],
            kernel_size=kernel_size,
            activation=activation,
            gated=gated,
            head_scale=head_scale,
            future=future,
            sample_rate=sample_rate,
            **keras_arguments,
        )
        self.cabinet = Fir(taps, future=future)

    @property
    def receptive_field(self) -> int:
        return super().receptive_field + self.taps - 1

    def build(self, input_shape: object = None) -> None:
        super().build()
        self.cabinet.build()

    def transform(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.cabinet(super().transform(segment))
