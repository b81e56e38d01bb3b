"""Nets of one kind in several sizes, which a player chooses from: what NAM calls a slimmable container."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from ampsim.models.base import AmpModel, PlainStream
from ampsim.models.forms import NamNet
from ampsim.models.wavenet import DILATIONS, WaveNet
from ampsim.players.nam import CONTAINER


class Slimmable(AmpModel):
    """WaveNets of several widths, trained together on the same batches; called, it is the last, which is the largest.

    They share nothing but the batches: each has a loss and best weights of its own.

    Args:
        names: of the nets, the smallest first, in scores and curves.
        channels: of each net, which is one array.
        max_values: a player whose setting is below a net's plays it, or an earlier one; ascending, the last is 1 or more.
        dilations, kernel_size: a number a layer, the same for all nets; `kernel_size` may be one number.
        head_kernel_size, activation, negative_slope, gated, head_scale: as of `WaveNet`.
    """

    def __init__(
        self,
        *,
        names: Sequence[str] = ("lite", "full"),
        channels: Sequence[int] = (3, 8),
        max_values: Sequence[float] = (0.5, 1.0),
        dilations: Sequence[int] = DILATIONS,
        kernel_size: int | Sequence[int] = 3,
        head_kernel_size: int = 1,
        activation: str = "tanh",
        negative_slope: float = 0.2,
        gated: bool = False,
        head_scale: float = 0.02,
        future: int = 1,
        sample_rate: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(future=future, sample_rate=sample_rate, **keras_arguments)
        check_sizes_of(names, channels, max_values)
        self.names, self.max_values = [*names], [*max_values]
        self.nets = [
            WaveNet(
                channels=[width],
                dilations=[dilations],
                kernel_size=kernel_size if isinstance(kernel_size, int) else [kernel_size],
                head_kernel_size=head_kernel_size,
                activation=activation,
                negative_slope=negative_slope,
                gated=gated,
                head_scale=head_scale,
                future=future,
                sample_rate=sample_rate,
                input_gain=self.input_gain,
                output_gain=self.output_gain,
                name=name,
            )
            for name, width in zip(names, channels, strict=True)
        ]

        self.xla_parts, self.xla_rendering = self.nets[-1].xla_parts, self.nets[-1].xla_rendering
        self.batch_size = self.nets[-1].batch_size

    def members(self) -> dict[str, AmpModel]:
        return dict(zip(self.names, self.nets, strict=True))

    @property
    def receptive_field(self) -> int:
        return self.nets[-1].receptive_field

    def build(self, input_shape: object = None) -> None:
        for net in self.nets:
            net.build()
        self.built = True

    def transform(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.nets[-1].transform(segment, training=training)

    def fit_levels(self, input_rms: float, target_rms: float) -> None:
        super().fit_levels(input_rms, target_rms)
        for net in self.nets:
            net.fit_levels(input_rms, target_rms)

    def adam_layers(self) -> list[keras.layers.Layer]:
        return [layer for net in self.nets for layer in net.adam_layers()]

    def plain_stream(self, block_length: int) -> tuple[PlainStream, Any]:
        return self.nets[-1].plain_stream(block_length)

    def as_nam(self) -> NamNet:
        entries = [
            {"max_value": value, "model": net.as_nam()} for value, net in zip(self.max_values, self.nets, strict=True)
        ]
        return NamNet(CONTAINER, {"submodels": entries}, [])


def check_sizes_of(names: Sequence[str], channels: Sequence[int], max_values: Sequence[float]) -> None:
    """Raises ValueError for lists that do not go together, and for values by which a player could not choose."""
    if not names or not len(names) == len(channels) == len(max_values):
        raise ValueError(
            f"names={[*names]}, channels={[*channels]} and max_values={[*max_values]}: one or more nets are needed, each with "
            "an entry in every list"
        )
    if len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
        raise ValueError(f"names={[*names]}: each net has a name of its own, of letters, digits and underscores")
    if [*max_values] != sorted(set(max_values)) or max_values[-1] < 1:
        raise ValueError(f"max_values={[*max_values]}: they ascend, and the last is 1 or more")
