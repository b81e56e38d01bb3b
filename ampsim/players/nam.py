"""Reads and plays captures: `.nam` files (Neural Amp Modeler; WaveNet, LSTM and Linear) as the player's own code does, and
RTNeural's JSON."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import signal

from ampsim import AmpsimError, files
from ampsim.files import expanded
from ampsim.players import rtneural
from ampsim.players.documents import MOST_LAYERS, Weights, read_json, understood, whole
from ampsim.players.player import ACTIVATIONS, Array, Player, Recurrent, sigmoid
from ampsim.signals import audio
from ampsim.signals.audio import Signal

VERSIONS = ((0, 5), (0, 6), (0, 7))  # which NeuralAmpModelerCore plays as well
ASSUMED_RATE = 48 * 1000  # of a file that states none, as all of version 0.5.0; the format's plugin assumes the same
LSTM_WARM_UP_S = 0.5  # of zeros, before a file
LONGEST_MEMORY = 1 << 20  # samples
CONTAINER = "SlimmableContainer"
# What each convolution heard before a block; None where that was the block's first sample, for as long as it remembers.
Past = Iterator[Array] | None

# By the format's name, in Keras' words; the leaky one has a slope of its own.
NAMES = {
    "Tanh": "tanh",
    "Hardtanh": "hard_tanh",
    "ReLU": "relu",
    "Sigmoid": "sigmoid",
    "SiLU": "silu",
    "Hardswish": "hard_silu",
    "Softsign": "softsign",
}


@dataclass(frozen=True)
class Capture:
    """A file with a net: what plays it, and what it tells about itself."""

    path: Path
    player: Player
    architecture: str
    sample_rate: int
    metadata: dict[str, Any] = field(default_factory=dict)
    rate_assumed: bool = False  # whether the file leaves it open at which rate, in hertz, its net is to be played

    @property
    def name(self) -> str:
        return str(self.metadata.get("name") or self.path.stem)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a listener has to know before the capture is played."""
        if not self.rate_assumed:
            return ()
        return (f"{self.path} states no sample rate: {self.sample_rate:,} Hz is assumed, as its players do",)

    @property
    def loudness_db(self) -> float | None:
        """What the file states of its output's level for the format's reference input."""
        stated = self.metadata.get("loudness")
        return float(stated) if isinstance(stated, int | float) and np.isfinite(stated) else None


def read(path: str | Path, *, precision: Any = np.float32) -> Capture:
    """Read a capture.

    Args:
        precision: what the net is played in; np.float64 leaves no rounding to speak of and takes twice as long.

    Raises:
        AmpsimError: the file cannot be read, is no capture, or holds what this reader does not play.
    """
    path = expanded(path)
    document = read_json(path, "NAM capture")
    if rtneural.is_chain(document):
        found = rtneural.of_document(path, document)
        return capture(path, found, found.told(), found.sample_rate, document.get("metadata"))
    if "model_data" in document and "state_dict" in document:
        raise AmpsimError(
            f"{path} is a model of GuitarML's players, which is not played: export it as .nam or for AIDA-X"
        )
    nets = contents(path, document)
    rates = [sample_rate(path, net) for net in nets]
    metadata = next((net["metadata"] for net in nets if isinstance(net.get("metadata"), dict)), None)
    player, architecture = parsed(path, nets[1 if len(nets) > 1 else 0], precision)
    return capture(path, player, architecture, next(filter(None, rates), None), metadata)


def capture(path: Path, player: Player, architecture: str, rate: int | None, metadata: Any) -> Capture:
    files.refuse_larger(f"the memory of the net in {path}", 3 * player.state_bytes)  # a block makes copies
    player.name, player.sample_rate = str(path), rate or ASSUMED_RATE
    if isinstance(player, Lstm):
        player.warm_up = round(LSTM_WARM_UP_S * player.sample_rate)
    metadata = metadata if isinstance(metadata, dict) else {}
    return Capture(path, player, architecture, player.sample_rate, metadata, rate_assumed=rate is None)


def contents(path: Path, document: dict[str, Any]) -> list[dict[str, Any]]:
    """A capture, and what is in it: a container's nets, the largest first, which is played where nobody asks for less."""
    refuse_other(path, document)
    if document["architecture"] != CONTAINER:
        return [document]
    with understood(path, f"its {CONTAINER}"):
        entries = sorted(document["config"]["submodels"], key=lambda entry: -float(entry["max_value"]))
        nets = [entry["model"] for entry in entries]
        if not nets or any(not isinstance(net, dict) or net.get("architecture") == CONTAINER for net in nets):
            raise ValueError("it holds no net, or something else than nets")
    for net in nets:
        refuse_other(path, net)
    return [document, *nets]


def refuse_other(path: Path, document: dict[str, Any]) -> None:
    """Refuse what is no capture, or one of a version that may mean something else by the same words."""
    for key, kind in (("version", str | int | float), ("architecture", str), ("config", dict), ("weights", list)):
        if not isinstance(document.get(key), kind):
            raise AmpsimError(f"{path} is no NAM capture: its `{key}` is missing or of the wrong kind")
    found = re.match(r"(\d{1,9})\.(\d{1,9})(?![\w])", stated := str(document["version"]))
    if not found or (int(found[1]), int(found[2])) not in VERSIONS:
        raise AmpsimError(f"{path} is of NAM's version {stated:.20}; those from 0.5 to 0.7 can be played")


def parsed(path: Path, document: dict[str, Any], precision: Any) -> tuple[Player, str]:
    architecture = document["architecture"]
    if architecture not in ARCHITECTURES:
        raise AmpsimError(f"{path} holds a {architecture:.40}; {', '.join(ARCHITECTURES)} can be played")
    with understood(path, f"its {architecture}"):
        weights = Weights(document["weights"], precision)
        player = ARCHITECTURES[architecture](document["config"], weights)
        weights.finish()
    return player, architecture


def sample_rate(path: Path, document: dict[str, Any]) -> int | None:
    """In hertz; None where it is left open, which the format's own code also writes as null or as a number below 1."""
    stated = document.get("sample_rate")
    with understood(path, "its sample_rate"):
        rate = float(stated) if isinstance(stated, str) else stated
        if rate is None or (isinstance(rate, int | float) and not isinstance(rate, bool) and -1e9 < rate <= 0):
            return None
        return whole(rate, "sample_rate", least=audio.RATES[0], most=audio.RATES[1])


class Linear(Player):
    """One filter; its weights are its impulse response, the newest sample's first."""

    def __init__(self, config: dict[str, Any], weights: Weights) -> None:
        taps = whole(config["receptive_field"], "receptive_field", most=LONGEST_MEMORY)
        self.response = weights.take(taps)
        self.bias = weights.take(1)[0] if config.get("bias", False) else 0.0

    def reset_state(self) -> Signal:
        return np.zeros(len(self.response) - 1, np.float32)

    def stream(self, block: Signal, state: Signal) -> tuple[Signal, Signal]:
        segment = np.concatenate([state, block])
        if not len(block):
            return block, segment
        output = signal.oaconvolve(segment, self.response, mode="valid") + self.bias
        return output.astype(np.float32), segment[len(block) :]


class Lstm(Player):
    """LSTM layers of one size, then one output; cold states count for nothing after half a second of zeros."""

    def __init__(self, config: dict[str, Any], weights: Weights) -> None:
        inputs, units = whole(config["input_size"], "input_size", most=1), whole(config["hidden_size"], "hidden_size")
        self.layers: list[Recurrent] = []
        self.first_state: list[list[Array]] = []
        for _ in range(whole(config["num_layers"], "num_layers", most=64)):
            matrix, bias = weights.take(4 * units, inputs + units), weights.take(4 * units)
            self.layers.append(Recurrent("lstm", matrix[:, :inputs].T, matrix[:, inputs:].T, bias))
            self.first_state.append([weights.take(units), weights.take(units)])
            inputs = units
        self.head, self.bias = weights.take(units), weights.take(1)[0]

    def reset_state(self) -> list[list[Array]]:
        return self.first_state

    def stream(self, block: Signal, state: list[list[Array]]) -> tuple[Signal, list[list[Array]]]:
        features: Array = block[:, None].astype(np.float64)
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            features, ended = layer.stream(features, before)
            after.append(ended)
        return (features @ self.head + self.bias).astype(np.float32), after


class WaveNet(Player):
    """Arrays of dilated convolutions, each adding to a head; see `ampsim.models.WaveNet`, which has the same arithmetic.

    Every convolution keeps the past that it reaches back to, so a block brings nothing along. Newer files may ask for
    more than one plain net (conditioning, bottlenecks, groups); what is not played is refused.
    """

    def __init__(self, config: dict[str, Any], weights: Weights) -> None:
        refuse(config, {"head": None, "condition_dsp": None})
        whole(sum(len(array["dilations"]) for array in config["layers"]), "the number of its layers", most=MOST_LAYERS)
        self.arrays = [LayerArray(array, weights) for array in config["layers"]]
        inputs, head_size = 1, self.arrays[0].channels
        for array in self.arrays:
            if (array.inputs, array.channels) != (inputs, head_size):
                raise ValueError("its arrays do not fit together")
            inputs, head_size = array.channels, array.head.outputs
        if head_size != 1:
            raise ValueError(f"it has {head_size} outputs")
        float(config["head_scale"])
        self.scale = weights.take(1)[0]  # players use this last weight, and not the one in the config
        self.convolutions = [convolution for array in self.arrays for convolution in array.convolutions()]
        whole(1 + sum(each.memory for each in self.convolutions), "the receptive field", most=LONGEST_MEMORY)
        self.state_bytes = sum(4 * each.inputs * each.memory for each in self.convolutions)

    def reset_state(self) -> list[Array]:
        return [np.zeros((each.inputs, each.memory), np.float32) for each in self.convolutions]

    def settled_state(self) -> list[Array]:
        """After zeros for as long as the net remembers, which is what its players begin with."""
        return self.play(np.zeros(1, np.float32), None)[1]

    def stream(self, block: Signal, state: list[Array]) -> tuple[Signal, list[Array]]:
        return self.play(block, iter(state))

    def play(self, block: Signal, past: Past) -> tuple[Signal, list[Array]]:
        after = list[Array]()
        condition = features = block[None]
        head: Array | None = None
        for array in self.arrays:
            features, head = array(features, condition, head, past, after)
        assert head is not None
        return (self.scale * head[0]).astype(np.float32), after


class LayerArray:
    """Layers of one width, whose activated outputs are summed for the head."""

    def __init__(self, config: dict[str, Any], weights: Weights) -> None:
        refuse(config, UNPLAYED, channels=config["channels"])
        self.inputs, self.channels = whole(config["input_size"], "input_size"), whole(config["channels"], "channels")
        whole(config["condition_size"], "condition_size", most=1)
        count = whole(len(config["dilations"]), "the number of dilations")
        settings = zip(
            each(config["kernel_sizes"] if "kernel_sizes" in config else config["kernel_size"], count),
            config["dilations"],
            each(config["activation"], count),
            each(config.get("gating_mode", "gated" if config.get("gated") else "none"), count),
            strict=True,
        )
        head = config.get("head") or {"out_channels": config["head_size"], "bias": config["head_bias"]}
        self.rechannel = Convolution(weights, self.inputs, self.channels, bias=False)
        self.layers = [Layer(weights, self.channels, *setting) for setting in settings]
        size, outputs = head.get("kernel_size", 1), whole(head["out_channels"], "the head's size")
        self.head = Convolution(weights, self.channels, outputs, size, bias=bool(head["bias"]))

    def convolutions(self) -> "list[Convolution]":
        """Those with a memory, in the order in which they are played."""
        return [*(layer.convolution for layer in self.layers), self.head]

    def __call__(
        self, features: Array, condition: Array, head: Array | None, past: Past, after: list[Array]
    ) -> tuple[Array, Array]:
        features = self.rechannel(features)
        total = np.zeros_like(features) if head is None else head
        for layer in self.layers:
            features, activated = layer(features, condition, past, after)
            total = total + activated
        return features, self.head(total, past, after)


class Layer:
    """A dilated convolution with the net's input mixed in, activated, and added to what came in."""

    def __init__(self, weights: Weights, channels: int, size: Any, dilation: Any, activation: Any, gating: Any) -> None:
        if gating not in ("none", "gated"):
            raise ValueError(f"gating_mode is {gating!r:.40}")
        self.channels, self.activation, self.gated = channels, activation_named(activation), gating == "gated"
        wide = 2 * channels if self.gated else channels
        self.convolution = Convolution(weights, channels, wide, size, dilation)
        self.mixin = Convolution(weights, 1, wide, bias=False)
        self.residual = Convolution(weights, channels, channels)

    def __call__(self, features: Array, condition: Array, past: Past, after: list[Array]) -> tuple[Array, Array]:
        mixed = self.convolution(features, past, after) + self.mixin(condition)
        activated = self.activation(mixed[: self.channels])
        if self.gated:
            activated = activated * sigmoid(mixed[self.channels :])
        return features + self.residual(activated), activated


class Convolution:
    """A weight for each output, input and tap, in this order, the oldest sample's tap first."""

    def __init__(
        self, weights: Weights, inputs: int, outputs: int, size: Any = 1, dilation: Any = 1, *, bias: bool = True
    ) -> None:
        self.inputs, self.outputs, self.dilation = inputs, outputs, whole(dilation, "a dilation")
        size = whole(size, "a kernel size")
        self.memory = (size - 1) * self.dilation
        self.taps = np.ascontiguousarray(weights.take(outputs, inputs, size).transpose(2, 0, 1))
        self.bias = weights.take(outputs, 1) if bias else np.float32(0)

    def __call__(self, features: Array, past: Past = None, after: list[Array] | None = None) -> Array:
        """(inputs, n) -> (outputs, n). With a memory, `after` is appended what comes after the block."""
        length = features.shape[1]
        if after is not None:
            before = np.repeat(features[:, :1], self.memory, axis=1) if past is None else next(past)
            features = np.concatenate([before, features], axis=1)
            after.append(features[:, length:])
        total = np.zeros((self.outputs, length), features.dtype) + self.bias
        for number, tap in enumerate(self.taps):
            total = total + tap @ features[:, number * self.dilation : number * self.dilation + length]
        return total


# What a layer array may state only in these values: each asks for a part that is not played.
UNPLAYED: dict[str, Any] = {
    "bottleneck": "channels",
    "head1x1": {"active": False},
    "layer1x1": {"active": True, "groups": 1},
    "groups_input": 1,
    "groups_input_mixin": 1,
    "secondary_activation": "Sigmoid",  # of a gate
    **{
        f"{place}_film": {"active": False}
        for place in (
            *("conv_pre", "conv_post", "input_mixin_pre", "input_mixin_post", "activation_pre"),
            *("activation_post", "layer1x1_post", "head1x1_post"),
        )
    },
}


def refuse(config: dict[str, Any], plain: dict[str, Any], **sizes: int) -> None:
    """Raises ValueError for a key that asks for more than what is plain."""
    for key, expected in plain.items():
        stated = config.get(key)
        if isinstance(stated, list):
            stated = next((value for value in stated if value not in (None, expected)), None)
        if key == "secondary_activation" and isinstance(stated, dict):
            stated = stated.get("type")
        asks = stated not in (None, sizes.get(expected, expected) if isinstance(expected, str) else expected)
        if isinstance(expected, dict):
            asks = isinstance(stated, dict) and any(
                stated.get(name, value) != value for name, value in expected.items()
            )
        if asks:
            raise ValueError(f"its `{key}` asks for more than a plain WaveNet")


def each(value: Any, count: int) -> list[Any]:
    """A value for all layers, or a list with one for each."""
    values = value if isinstance(value, list) else [value] * count
    if len(values) != count:
        raise ValueError(f"a list has {len(values)} entries for {count} layers")
    return values


def activation_named(stated: Any) -> Callable[[Array], Array]:
    name = stated.get("type") if isinstance(stated, dict) else stated
    if name == "LeakyReLU":
        slope = np.float32(stated.get("negative_slope", 0.01)) if isinstance(stated, dict) else np.float32(0.01)
        return lambda values: np.maximum(values, slope * values) if slope <= 1 else np.minimum(values, slope * values)
    if name not in NAMES:
        raise ValueError(f"its activation is {name!r:.40}; {', '.join([*NAMES, 'LeakyReLU'])} are played")
    return ACTIVATIONS[NAMES[name]]


ARCHITECTURES: dict[str, Callable[[dict[str, Any], Weights], Player]] = {
    "WaveNet": WaveNet,
    "LSTM": Lstm,
    "Linear": Linear,
}
