"""The convolutional nets of `.nam` files, played as NeuralAmpModelerCore plays them: WaveNet with all its parts, and ConvNet.

Every convolution keeps the past that it reaches back to, so a block brings nothing along.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ampsim.players.documents import MOST_LAYERS, Weights, whole
from ampsim.players.player import ACTIVATIONS, Array, Player
from ampsim.signals.audio import Signal

LONGEST_MEMORY = 1 << 20  # samples
LARGEST = 1 << 24  # numbers of a convolution, zeros between its groups included
# What each convolution heard before a block; None where that was the block's first sample, for as long as it remembers.
Past = Iterator[Array] | None
Activation = Callable[[Array], Array]

# By the format's name, in Keras' words; those with numbers of their own follow below.
NAMES = {
    "Tanh": "tanh",
    "Hardtanh": "hard_tanh",
    "ReLU": "relu",
    "Sigmoid": "sigmoid",
    "SiLU": "silu",
    "Hardswish": "hard_silu",
    "Softsign": "softsign",
}
# Where a layer may be modulated, in the order of the weights.
FILMS = (
    *("conv_pre", "conv_post", "input_mixin_pre", "input_mixin_post", "activation_pre"),
    *("activation_post", "layer1x1_post", "head1x1_post"),
)


class Net(Player):
    """Convolutions of any kind: a subclass lists those with a memory, and says in `play` what it makes of a block."""

    outputs = 1
    convolutions: "list[Convolution]"
    remarks: tuple[str, ...] = ()  # what players do with it that its maker may not have meant

    def remember(self, convolutions: "list[Convolution]") -> None:
        """Raises ValueError where they reach back too far."""
        self.convolutions = convolutions
        whole(1 + sum(each.memory for each in convolutions), "the receptive field", most=LONGEST_MEMORY)
        self.state_bytes = sum(4 * each.inputs * each.memory for each in convolutions)

    def play(self, block: Array, past: Past, after: list[Array]) -> Array:
        """(1, n) -> (outputs, n); what each convolution heard last is appended to `after`."""
        raise NotImplementedError

    def reset_state(self) -> list[Array]:
        return [np.zeros((each.inputs, each.memory), np.float32) for each in self.convolutions]

    def settled_state(self) -> list[Array]:
        """After zeros for as long as the net remembers, which is what its players begin with."""
        after = list[Array]()
        self.play(np.zeros((1, 1), np.float32), None, after)
        return after

    def stream(self, block: Signal, state: list[Array]) -> tuple[Signal, list[Array]]:
        after = list[Array]()
        return self.play(block[None], iter(state), after)[0].astype(np.float32), after


class WaveNet(Net):
    """Arrays of dilated convolutions, each adding to a head; see `ampsim.models.WaveNet`, which has the same arithmetic.

    Args:
        condition: a net whose output the layers are given in place of the input; None where there is none.
    """

    def __init__(self, config: dict[str, Any], weights: Weights, condition: Net | None = None) -> None:
        whole(config.get("in_channels", 1), "in_channels", most=1)
        whole(sum(len(array["dilations"]) for array in config["layers"]), "the number of its layers", most=MOST_LAYERS)
        self.condition = condition
        self.arrays = [LayerArray(array, weights, condition.outputs if condition else 1) for array in config["layers"]]
        inputs, head_size = 1, self.arrays[0].head.inputs
        for array in self.arrays:
            if (array.inputs, array.head.inputs) != (inputs, head_size):
                raise ValueError("its arrays do not fit together")
            inputs, head_size = array.channels, array.head.outputs
        self.behind = PostHead(config["head"], weights, head_size) if config.get("head") else None
        self.outputs = self.behind.convolutions[-1].outputs if self.behind else head_size
        float(config["head_scale"])
        self.scale = weights.take(1)[0]  # players use this last weight, and not the one in the config
        self.last = slice(-1 - self.behind.convolutions[-1].size, -1) if self.behind else slice(-1, None)
        self.remember([each for part in (condition, *self.arrays, self.behind) if part for each in part.convolutions])
        self.remarks = tuple(dict.fromkeys(text for array in self.arrays for text in array.remarks))

    def play(self, block: Array, past: Past, after: list[Array]) -> Array:
        features = block
        condition = self.condition.play(block, past, after) if self.condition else block
        head: Array | None = None
        for array in self.arrays:
            features, head = array(features, condition, head, past, after)
        assert head is not None
        head = self.scale * head
        return self.behind(head, past, after) if self.behind else head


class PostHead:
    """Blocks of an activation and a convolution behind all arrays."""

    def __init__(self, config: dict[str, Any], weights: Weights, inputs: int) -> None:
        sizes = config["kernel_sizes"]
        whole(len(sizes), "the number of kernel_sizes of its head", most=MOST_LAYERS)
        if config.get("in_channels") not in (None, inputs):
            raise ValueError(f"its head takes {config['in_channels']!r:.20} channels, and its arrays give {inputs}")
        middle, last = whole(config["channels"], "channels"), whole(config["out_channels"], "out_channels")
        widths = [inputs, *[middle] * (len(sizes) - 1), last]
        self.activations = [activation_named(config["activation"], width) for width in widths[:-1]]
        self.convolutions = [
            Convolution(weights, before, after, size)
            for before, after, size in zip(widths[:-1], widths[1:], sizes, strict=True)
        ]

    def __call__(self, features: Array, past: Past, after: list[Array]) -> Array:
        for activation, convolution in zip(self.activations, self.convolutions, strict=True):
            features = convolution(activation(features), past, after)
        return features


class LayerArray:
    """Layers of one width, whose activated outputs are summed for the head."""

    def __init__(self, config: dict[str, Any], weights: Weights, condition: int) -> None:
        self.inputs, self.channels = whole(config["input_size"], "input_size"), whole(config["channels"], "channels")
        if whole(config["condition_size"], "condition_size") != condition:
            raise ValueError(f"its condition_size is {config['condition_size']}, and the layers are given {condition}")
        if "kernel_size" in config and "kernel_sizes" in config:
            raise ValueError("it has both kernel_size and kernel_sizes")
        count = whole(len(config["dilations"]), "the number of dilations")
        settings = zip(
            each(config["kernel_sizes"] if "kernel_sizes" in config else config["kernel_size"], count),
            config["dilations"],
            each(config["activation"], count),
            each(config.get("gating_mode") or ("gated" if config.get("gated") else "none"), count),
            each(config.get("secondary_activation"), count),
            strict=True,
        )
        self.rechannel = Convolution(weights, self.inputs, self.channels, bias=False)
        self.layers = [Layer(weights, config, condition, *setting) for setting in settings]
        head = config.get("head") or {"out_channels": config["head_size"], "bias": config["head_bias"]}
        size, outputs = head.get("kernel_size", 1), whole(head["out_channels"], "the head's size")
        dilation = head.get("head_dilation", 1)
        self.head: Convolution = Convolution(
            weights, self.layers[0].heads, outputs, size, dilation, bias=bool(head["bias"])
        )
        # Those with a memory, in the order in which they are played.
        self.convolutions: list[Convolution] = [*(layer.convolution for layer in self.layers), self.head]
        self.remarks: list[str] = [text for layer in self.layers for text in layer.remarks]

    def __call__(
        self, features: Array, condition: Array, head: Array | None, past: Past, after: list[Array]
    ) -> tuple[Array, Array]:
        features = self.rechannel(features)
        total = head
        for layer in self.layers:
            features, activated = layer(features, condition, past, after)
            total = activated if total is None else total + activated
        assert total is not None
        return features, self.head(total, past, after)


class Layer:
    """A dilated convolution with the condition mixed in, activated, and added to what came in.

    What an array states of its layers is the same for all but kernel size, dilation and activations.
    """

    def __init__(
        self,
        weights: Weights,
        config: dict[str, Any],
        condition: int,
        size: Any,
        dilation: Any,
        activation: Any,
        gating: Any,
        secondary: Any,
    ) -> None:
        if gating not in ("none", "gated", "blended"):
            raise ValueError(f"gating_mode is {gating!r:.40}")
        channels = int(config["channels"])
        stated = config.get("bottleneck")
        self.width = whole(channels if stated is None else stated, "bottleneck")
        self.gating, self.activation = gating, activation_named(activation, self.width)
        usual = gating == "none" or secondary is None  # of layers without a gate, whatever stands there
        self.secondary = activation_named("Sigmoid" if usual else secondary, self.width)
        wide = self.width if gating == "none" else 2 * self.width
        groups = config.get("groups_input", 1), config.get("groups_input_mixin", 1)
        self.convolution = Convolution(weights, channels, wide, size, dilation, groups=groups[0])
        self.mixin = Convolution(weights, condition, wide, bias=False, groups=groups[1])
        residual, head = part(config, "layer1x1", usual=True), part(config, "head1x1", usual=False)
        self.residual = Convolution(weights, self.width, channels, groups=residual["groups"]) if residual else None
        self.head = (
            Convolution(weights, self.width, whole(head["out_channels"], "out_channels"), groups=head["groups"])
            if head
            else None
        )
        self.heads = self.head.outputs if self.head else self.width
        widths = (channels, wide, condition, wide, wide, self.width, channels, self.heads)
        self.films = {
            place: Film(config[f"{place}_film"], weights, condition, width)
            for place, width in zip(FILMS, widths, strict=True)
            if active(config.get(f"{place}_film"))
        }
        self.remarks: list[str] = self.judged(channels)

    def judged(self, channels: int) -> list[str]:
        """What the player does otherwise than the trainer; raises ValueError for what neither does."""
        for place, there in (("layer1x1_post", self.residual), ("head1x1_post", self.head)):
            if place in self.films and not there:
                raise ValueError(f"its `{place}_film` is active, and there is nothing that it is behind")
        found = []
        if self.residual is None:
            if self.width != channels:
                raise ValueError(f"its bottleneck is {self.width}, and without layer1x1 it is as wide as its channels")
            found.append("layers without `layer1x1` add nothing to what came in")
        if "layer1x1_post" in self.films and self.gating != "blended":
            found.append("`layer1x1_post_film` is left out of layers that do not blend")
        return found

    def __call__(self, features: Array, condition: Array, past: Past, after: list[Array]) -> tuple[Array, Array]:
        def modulated(place: str, values: Array) -> Array:
            film = self.films.get(place)
            return film(values, condition) if film else values

        convolved = self.convolution(modulated("conv_pre", features), past, after)
        mixed = self.mixin(modulated("input_mixin_pre", condition))
        total = modulated("conv_post", convolved) + modulated("input_mixin_post", mixed)
        activated = modulated("activation_post", self.activated(modulated("activation_pre", total)))
        if self.residual:
            added = self.residual(activated)
            features = features + (modulated("layer1x1_post", added) if self.gating == "blended" else added)
        return features, modulated("head1x1_post", self.head(activated)) if self.head else activated

    def activated(self, total: Array) -> Array:
        first, second = total[: self.width], total[self.width :]
        if self.gating == "none":
            return self.activation(first)
        share = self.secondary(second)
        if self.gating == "gated":
            return self.activation(first) * share
        return share * self.activation(first) + (1 - share) * first


class Film:
    """A factor for each channel and, if it shifts, an offset, as a mix of the condition."""

    def __init__(self, config: dict[str, Any], weights: Weights, condition: int, width: int) -> None:
        self.width, self.shifts = width, bool(config.get("shift", True))
        outputs = 2 * width if self.shifts else width
        self.mix = Convolution(weights, condition, outputs, groups=config.get("groups", 1))

    def __call__(self, features: Array, condition: Array) -> Array:
        mixed = self.mix(condition)
        scaled = features * mixed[: self.width]
        return scaled + mixed[self.width :] if self.shifts else scaled


class ConvNet(Net):
    """Dilated convolutions of two taps one after another, each with an activation, and a mix of the last one's channels."""

    def __init__(self, config: dict[str, Any], weights: Weights) -> None:
        for key in ("in_channels", "out_channels"):
            whole(config.get(key, 1), key, most=1)
        channels = whole(config["channels"], "channels")
        whole(len(config["dilations"]), "the number of its layers", most=MOST_LAYERS)
        self.activation = activation_named(config["activation"], channels)
        self.stack: list[Convolution] = []
        for number, dilation in enumerate(config["dilations"]):
            inputs = channels if number else 1
            groups = config.get("groups", 1)
            normalised = bool(config["batchnorm"])
            block = Convolution(weights, inputs, channels, 2, dilation, bias=not normalised, groups=groups)
            if normalised:
                block.normalise(weights.take(4, channels, 1), weights.take(1)[0])
            self.stack.append(block)
        self.head = Convolution(weights, channels, 1)
        self.last = slice(-self.head.size, None)
        self.remember(self.stack)

    def play(self, block: Array, past: Past, after: list[Array]) -> Array:
        features = block
        for each in self.stack:
            features = self.activation(each(features, past, after))
        return self.head(features)


class Convolution:
    """A weight for each output, input of its group and tap, in this order, the oldest sample's tap first."""

    def __init__(
        self,
        weights: Weights,
        inputs: int,
        outputs: int,
        size: Any = 1,
        dilation: Any = 1,
        *,
        bias: bool = True,
        groups: Any = 1,
    ) -> None:
        self.inputs, self.outputs, self.dilation = inputs, outputs, whole(dilation, "a dilation")
        size, groups = whole(size, "a kernel size"), whole(groups, "groups")
        self.memory = (size - 1) * self.dilation
        if inputs % groups or outputs % groups:
            raise ValueError(f"{groups} groups do not share {inputs} channels and {outputs} outputs evenly")
        kernel = weights.take(outputs, inputs // groups, size)
        self.size = kernel.size + (outputs if bias else 0)  # numbers in the file
        if groups > 1:
            kernel = apart(kernel, groups)
        self.taps = np.ascontiguousarray(kernel.transpose(2, 0, 1))
        self.bias = weights.take(outputs, 1) if bias else np.float32(0)

    def normalise(self, numbers: Array, epsilon: Any) -> None:
        """Take a batch normalisation into the weights: mean, variance, factor and offset, (4, outputs, 1). Raises ValueError."""
        mean, variance, factor, offset = numbers
        if np.any(variance + epsilon <= 0):
            raise ValueError("a variance of its batch normalisation is not above 0")
        scale = factor / np.sqrt(variance + epsilon)
        self.taps = self.taps * scale
        self.bias = offset - scale * mean

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


def apart(kernel: Array, groups: int) -> Array:
    """A grouped kernel, (outputs, inputs of a group, taps), as one of all inputs with zeros between the groups."""
    outputs, inside, size = kernel.shape
    whole(outputs * inside * groups * size, "the size of a convolution", most=LARGEST)
    found = np.zeros((outputs, inside * groups, size), kernel.dtype)
    for group in range(groups):
        rows = slice(group * outputs // groups, (group + 1) * outputs // groups)
        found[rows, group * inside : (group + 1) * inside] = kernel[rows]
    return found


def active(stated: Any) -> bool:
    """Whether a part is there: as an object it is unless it says that it is not."""
    return isinstance(stated, dict) and bool(stated.get("active", True))


def part(config: dict[str, Any], key: str, *, usual: bool) -> dict[str, Any] | None:
    """What an array states of a mix behind its activations; None where there is none."""
    stated = config.get(key)
    if stated is None:
        return {"groups": 1} if usual else None
    return {"groups": 1, **stated} if stated["active"] else None


def each(value: Any, count: int) -> list[Any]:
    """A value for all layers, or a list with one for each."""
    values = value if isinstance(value, list) else [value] * count
    if len(values) != count:
        raise ValueError(f"a list has {len(values)} entries for {count} layers")
    return values


def activation_named(stated: Any, width: int) -> Activation:
    """An activation of (width, n) by its name, or by an object with its numbers."""
    numbers = stated if isinstance(stated, dict) else {}
    name = numbers.get("type") if numbers else stated
    if name == "LeakyReLU":
        return leaking(np.float32(numbers.get("negative_slope", 0.01)))
    if name == "PReLU":
        slopes = numbers.get("negative_slope", numbers.get("negative_slopes", 0.01))
        found = np.array(slopes, np.float32).reshape(-1, 1)
        if len(found) not in (1, width):
            raise ValueError(f"its PReLU has {len(found)} slopes for {width} channels")
        return leaking(found)
    if name in ("LeakyHardtanh", "LeakyHardTanh"):
        usual = {"min_val": -1.0, "max_val": 1.0, "min_slope": 0.01, "max_slope": 0.01}
        return bounded(*(np.float32(numbers.get(key, value)) for key, value in usual.items()))
    if name == "Fasttanh":
        return fast_tanh
    if name not in NAMES:
        known = [*NAMES, "LeakyReLU", "PReLU", "LeakyHardtanh", "Fasttanh"]
        raise ValueError(f"its activation is {name!r:.40}; {', '.join(known)} are played")
    return ACTIVATIONS[NAMES[name]]


def leaking(slope: Any) -> Activation:
    return lambda values: np.where(values > 0, values, slope * values)


def bounded(least: Any, most: Any, below: Any, above: Any) -> Activation:
    """A straight line between two bounds, with other slopes beyond them."""

    def play(values: Array) -> Array:
        inside = np.clip(values, least, most)
        excess = values - inside
        return inside + np.where(excess < 0, below, above) * excess

    return play


def fast_tanh(values: Array) -> Array:
    """The quotient of polynomials by which players with little time compute a tanh."""
    size, square = np.abs(values), values * values
    over = values * (2.45550750702956 * (1 + size) + (0.893229853513558 + 0.821226666969744 * size) * square)
    under = 2.44506634652299 + (2.44506634652299 + square) * np.abs(values + 0.814642734961073 * values * size)
    return np.asarray(over / under, values.dtype)
