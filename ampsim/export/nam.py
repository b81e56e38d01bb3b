"""`.nam` files of Neural Amp Modeler: WaveNet, WaveNet with cabinet, LSTM, and a filter as Linear."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ampsim.export.formats import Details, Format, Play, family, gains
from ampsim.models import AmpModel, Fir, Lstm, WaveNet, WaveNetCab
from ampsim.models.layers import Convolution
from ampsim.models.rendering import Renderer
from ampsim.players import nam
from ampsim.players.loudness import gain, loudness_db
from ampsim.players.player import Array

VERSION = "0.5.4"  # what most published files are; older plugins read it, and so do new ones
HEAD_VERSION = "0.7.0"  # the first whose head may be a filter: newer plugins only
GEAR_TYPES = ("amp", "pedal", "pedal_amp", "amp_cab", "amp_pedal_cab", "preamp", "studio")
TONE_TYPES = ("clean", "overdrive", "crunch", "hi_gain", "fuzz")
NAMES = {keras_name: name for name, keras_name in nam.NAMES.items()}


class Nam(Format):
    name = "nam"
    ending = ".nam"
    start = "as after silence: its players run zeros through a net before a file"
    prover = "the NumPy reader of captures, in double precision"

    def refusal(self, model: AmpModel) -> str:
        if type(model) not in (WaveNet, WaveNetCab, Lstm, Fir):
            return f"it holds a WaveNet, an LSTM or a filter, and not a {family(model)}"
        if isinstance(model, Lstm) and model.skip:
            return "it has no place for the skip connection of an LSTM (model.skip=false has none)"
        if isinstance(model, WaveNet) and activation_name(model) not in NAMES:
            return f"its nets know the activations {', '.join(NAMES)}, and not {activation_name(model)}"
        return ""

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        document = {
            "version": VERSION,
            **net(model),
            "sample_rate": model.sample_rate,
            "metadata": metadata(details, Renderer(model)),
        }
        path.write_text(json.dumps(document), encoding="utf-8")

    def players(self, model: AmpModel) -> str:
        if not isinstance(model, WaveNetCab):
            return ""
        return (
            f"the .nam file is of version {HEAD_VERSION}: only players whose NeuralAmpModelerCore knows that version read "
            "it, and older plugins refuse it (model=wavenet_standard makes files that they read too)"
        )

    def load(self, path: Path) -> Play:
        return nam.read(path, precision=np.float64).player


def metadata(details: Details, play: Play) -> dict[str, Any]:
    date = {unit: getattr(details.date, unit) for unit in ("year", "month", "day", "hour", "minute", "second")}
    told = {
        key: getattr(details, key) or None for key in ("name", "modeled_by", "gear_type", "gear_make", "gear_model")
    }
    told["tone_type"] = details.tone_type or None
    training = {"validation_esr": details.scores.get("validation_esr"), "ampsim": details.scores}
    return {"date": date, "loudness": loudness_db(play), "gain": gain(play), **told, "training": training}


def net(model: AmpModel) -> dict[str, Any]:
    """The keys `architecture`, `config` and `weights`, and `version` where the usual one does not do."""
    if isinstance(model, WaveNet):
        return wavenet(model)
    if isinstance(model, Lstm):
        config = {"input_size": 1, "hidden_size": model.units, "num_layers": len(model.cells)}
        return {"architecture": "LSTM", "config": config, "weights": flat(lstm_weights(model))}
    assert isinstance(model, Fir)
    before, after = gains(model)
    # Newest sample first, as the C++ players read it; neural-amp-modeler's own Python writes it the other way round.
    weights = [
        before * after * model.filter.kernel.numpy()[::-1],
        *([after * model.bias.numpy()] if model.use_bias else []),
    ]
    config = {"receptive_field": model.taps, "bias": model.use_bias}
    return {"architecture": "Linear", "config": config, "weights": flat(weights)}


def lstm_weights(model: Lstm) -> list[Array]:
    weights = []
    before, after = gains(model)
    for cell in model.cells:
        kernel, recurrent, bias = cell.get_weights()  # gates in the same order: i, f, c, o
        weights += [np.concatenate([before * kernel.T, recurrent.T], axis=1), bias, np.zeros(2 * model.units)]
        before = 1.0  # for the next layer, whose input is not the model's
    return [*weights, *(after * part for part in model.head.get_weights())]


def wavenet(model: WaveNet) -> dict[str, Any]:
    layers, weights, inputs = [], list[Array](), 1
    cabinet = model.cabinet.kernel.numpy() if isinstance(model, WaveNetCab) else None
    gain_before, gain_after = gains(model)
    for array in model.arrays:
        first = array is model.arrays[0]
        layers.append(
            {
                "input_size": inputs,
                "condition_size": 1,
                **head_sizes(array.head.channels, array.head.use_bias, new=cabinet is not None),
                "channels": array.channels,
                "kernel_size": array.stack[0].convolution.kernel_size,
                "dilations": [layer.convolution.dilation for layer in array.stack],
                "activation": NAMES[activation_name(model)],
                "gated": array.stack[0].gated,
            }
        )
        # The model's input enters at the first array and is mixed into every layer.
        weights += convolution(array.rechannel, gain_before if first else 1.0)
        for layer in array.stack:
            weights += (
                convolution(layer.convolution) + convolution(layer.mixin, gain_before) + convolution(layer.residual)
            )
        weights += convolution(array.head)
        inputs = array.channels
    if cabinet is not None:
        # One more array, of one channel: its layer is silent, so its head hears what the arrays before play, and is the
        # filter. In the head of an array of 12 channels that would be 12 filters, and 12 times the work.
        silent = {"kernel_size": 1, "dilations": [1], "activation": NAMES["tanh"], "gated": False}
        layers.append(
            {
                "input_size": inputs,
                "condition_size": 1,
                **head_sizes(1, False, new=True, kernel_size=len(cabinet)),
                "channels": 1,
                **silent,
            }
        )
        nothing = [inputs, 1, 1, 1, 1, 1]  # rechannel, convolution and its bias, mixin, residual and its bias
        weights += [np.zeros(sum(nothing)), cabinet]
    scale = model.head_scale * gain_after
    config = {"layers": layers, "head": None, "head_scale": scale}
    found = {"architecture": "WaveNet", "config": config, "weights": flat([*weights, np.array(scale)])}
    return found if cabinet is None else {"version": HEAD_VERSION, **found}


def head_sizes(channels: int, bias: bool, *, new: bool, kernel_size: int = 1) -> dict[str, Any]:
    if new:
        return {"head": {"out_channels": channels, "kernel_size": kernel_size, "bias": bias}}
    return {"head_size": channels, "head_bias": bias}


def convolution(layer: Convolution, gain: float = 1.0) -> list[Array]:
    """The kernel as (outputs, inputs, taps), the oldest sample's tap first, and the bias if there is one."""
    kernel, *bias = layer.get_weights()
    return [gain * kernel.reshape(layer.kernel_size, -1, layer.channels).transpose(), *bias]


def flat(weights: list[Array]) -> list[float]:
    return [float(number) for part in weights for number in np.ravel(np.float32(part))]


def activation_name(model: WaveNet) -> str:
    return str(keras.activations.serialize(model.arrays[0].stack[0].activation))
