"""A small WaveNet for the amp and a long filter for the cabinet: more for a minute of training than either."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import linalg

from ampsim.models.base import Example, PlainStream
from ampsim.models.forms import Array, Rig
from ampsim.models.layers import Fir, check_sizes
from ampsim.models.past import Past, with_pasts
from ampsim.models.wavenet import WaveNet
from ampsim.signals.audio import Signal
from ampsim.signals.linear import correlations, whitening

REGULARISATION = 1e-6  # noise, of the power of what the filter hears, that it must not amplify


class WaveNetCab(WaveNet):
    """One array of a WaveNet, then one learnt filter by FFT.

    The filter gives the memory that a cabinet has at almost no cost, so that the net needs none of it. Coupling
    capacitors let go of what a lopsided distortion charges them with even more slowly, below 40 Hz. To hear that in
    training would double its work, so that part of the filter, the tail, is solved for at the end: a filter of what the
    net plays has a closed form (Wiener).

    Args:
        layers: of the array; the dilation doubles from 1 on.
        dilations: of the layers, in place of `layers`.
        kernel_size: taps of every layer, or a list with one number a layer.
        channels, head_kernel_size, activation, negative_slope, gated, head_scale: as of `WaveNet`.
        taps: length of the filter in training, `future` of it on the current sample and later ones.
        tail: older taps than these; zeros until `solve`.
        treble: what the treble counts for in `solve`, against the waveform; 0 leaves it out.
    """

    def __init__(
        self,
        *,
        channels: int = 12,
        layers: int = 8,
        dilations: Sequence[int] | None = None,
        kernel_size: int | Sequence[int] = 3,
        head_kernel_size: int = 1,
        activation: str = "tanh",
        negative_slope: float = 0.2,
        gated: bool = False,
        head_scale: float = 1.0,
        taps: int = 1024,
        tail: int = 0,
        treble: float = 0.0,
        future: int = 1,
        sample_rate: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        check_sizes(layers=layers, taps=taps)
        if future > taps:
            raise ValueError(f"future={future} and taps={taps}: the future is part of the filter")
        if tail < 0:
            raise ValueError(f"tail={tail}: it is 0 or more")
        if treble < 0:
            raise ValueError(f"treble={treble}: it is 0 or more")
        self.taps, self.tail, self.treble = taps, tail, treble
        super().__init__(
            channels=channels,
            dilations=[[2**number for number in range(layers)] if dilations is None else dilations],
            kernel_size=kernel_size if isinstance(kernel_size, int) else [kernel_size],
            head_kernel_size=head_kernel_size,
            activation=activation,
            negative_slope=negative_slope,
            gated=gated,
            head_scale=head_scale,
            future=future,
            sample_rate=sample_rate,
            **keras_arguments,
        )
        self.cabinet = Fir(taps + tail, future=future)

    @property
    def receptive_field(self) -> int:
        return super().receptive_field + self.taps + self.tail - 1

    def build(self, input_shape: object = None) -> None:
        super().build()
        self.cabinet.build()

    def transform(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
        skip = self.tail if training else 0
        return self.cabinet(super().transform(segment[:, skip:], training), skip=skip)

    def plain_stream(self, block_length: int) -> tuple[PlainStream, Any]:
        def net(channel: tf.Tensor, past: Past) -> tf.Tensor:
            return self.cabinet(past.heard(self.net(channel, past), self.cabinet.taps - 1))

        return with_pasts(self, net)

    def nam_arrays(self) -> tuple[list[dict[str, Any]], list[Array]]:
        """With one more array, of one channel: its layer is silent, so its head hears what the net plays, and is the filter.

        In the head of the net's own array of 12 channels that would be 12 filters, and 12 times the work.
        """
        entries, weights = super().nam_arrays()
        kernel = self.cabinet.kernel.numpy()
        inputs = self.arrays[-1].channels
        silent = {"channels": 1, "kernel_size": 1, "dilations": [1], "activation": "tanh", "gated": False}
        entries = [
            *(
                entry if "head" in entry else headed(entry, entry.pop("head_size"), entry.pop("head_bias"))
                for entry in entries
            ),
            headed({"input_size": inputs, "condition_size": 1, **silent}, 1, False, kernel_size=len(kernel)),
        ]
        # Rechannel, convolution and its bias, mixin, residual and its bias.
        return entries, [*weights, np.zeros(inputs + 5), kernel]

    def as_rig(self) -> Rig:
        return Rig(self.nam_net(*super().nam_arrays()), self.cabinet.kernel.numpy()[::-1].astype(np.float64))

    def solve(self, examples: Sequence[Example]) -> bool:
        """The filter, tail included, by least squares: what is added to it is that of the error that is left.

        Two errors are made small at once, each over what it is now: that of the waveform, and with the weight `treble` that
        behind a filter that whitens the target. The first is nearly all bass: by itself it leaves whatever the net plays
        above a cabinet's range, which is heard as hiss.
        """
        if not (found := self.equations(examples)):
            return False
        self.cabinet.kernel.assign_add(self.filter_for(*found))
        return True

    def equations(self, examples: Sequence[Example]) -> tuple[Array, Array] | None:
        """The normal equations of what to add to the filter, (taps + tail,) each: autocorrelation and cross-correlation.

        Those of several sets of examples may be added. None where there is nothing to solve for.
        """
        if not (self.tail or self.treble):
            return None
        takes = [self.played(each.input, each.target) for each in examples]
        criteria = [(1.0, np.ones(1))]
        if self.treble:
            criteria.append((self.treble, whitening([each.target for each in examples])))
        autocorrelation, cross_correlation = np.zeros(self.cabinet.taps), np.zeros(self.cabinet.taps)
        for weight, taps in criteria:
            heard = [tuple(np.convolve(each, taps, "valid") for each in take) for take in takes]
            energy = sum(float(error @ error) for _, error in heard)
            if not energy > 0:
                return None
            # What is played begins earlier than the error by what the filter remembers.
            late = [(net, np.pad(error, (self.cabinet.taps - 1, 0))) for net, error in heard]
            found = correlations(late, self.cabinet.taps, 1)
            autocorrelation += weight / energy * found[0]
            cross_correlation += weight / energy * found[1]
        return (autocorrelation, cross_correlation) if autocorrelation[0] > 0 else None

    def filter_for(self, autocorrelation: Array, cross_correlation: Array) -> np.ndarray:
        """What these equations say, oldest tap first."""
        damped = autocorrelation * np.r_[1 + REGULARISATION, np.ones(self.cabinet.taps - 1)]
        return linalg.solve_toeplitz(damped, cross_correlation)[::-1].astype(np.float32)

    def played(self, input: Signal, target: Signal) -> tuple[Array, Array]:
        """What the filter hears of an example, (taps + tail - 1 + n,), and the error that it leaves, (n,)."""
        net = super().transform(self.input_gain * tf.constant(input[None], tf.float32))
        error = target / self.output_gain - self.cabinet(net)[0].numpy()
        return net[0].numpy().astype(np.float64), error.astype(np.float64)


def headed(entry: dict[str, Any], channels: int, bias: bool, *, kernel_size: int = 1) -> dict[str, Any]:
    """An array in the newer form, whose head may be a filter."""
    return entry | {"head": {"out_channels": channels, "kernel_size": kernel_size, "bias": bias}}
