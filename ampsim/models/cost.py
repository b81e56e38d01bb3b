"""What a net costs the plugin that plays it: an estimate, from its layers.

The numbers are of NeuralAmpModelerCore 0.5.5, built with -Ofast for any x86-64 processor, in CPU time of one core of an AMD EPYC
(blocks of 64 samples, fast tanh). Those of WaveNets are fitted to 210 nets of random sizes: 2 to 20 channels, 3 to 23 layers, up
to 64 taps in the head. For 60 others the estimate was off by 4 % in the median, by up to a tenth for 80 % of them, and by 20 %
at most. LSTMs of 8 to 64 units are within 20 %. Built for newer processors (x86-64-v3) the player takes half to two thirds.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ampsim.models.forms import NamNet
from ampsim.players.nam import CONTAINER

# Nanoseconds a sample, of a WaveNet. A convolution is a product of matrices for each tap, whose rows are computed in fours and
# the rest one by one: for each product, with and for such a rest; for each multiplication in fours, and in the rest.
PRODUCT_NS, REST_NS = 0.731, 0.680
IN_FOURS_NS, IN_REST_NS = 0.057, 0.164
ONE_OUTPUT_NS, OF_ONE_INPUT_NS = (
    1.3,
    0.5,
)  # for each product with one row, whose inputs cost nothing more; of one input more
ARRAY_NS, LAYER_NS, GATES_NS = 8.46, 7.89, 22.3
TANH_NS, OTHER_NS = 0.468, 0.239  # for each channel that is activated
LSTM_WEIGHT_NS, LSTM_LAYER_NS = 0.055, 50.0
SLOT_TAP_NS, LINEAR_NS = 0.071, 49.0  # for each tap of an impulse response; for a filter of any length, which is by FFT
A2_NS = {8: 1410.0, 3: 462.0}  # by channels: players have code for these two nets
A2_DILATIONS = [1, 3, 7, 17, 41, 101, 239, 1, 3, 7, 17, 41, 101, 239, 1, 13, 1, 3, 7, 17, 41, 101, 239]
A2_KERNEL_SIZES = [6] * 14 + [15, 15] + [6] * 7


def speed(net: NamNet, sample_rate: int, *, slot_taps: int = 0) -> float:
    """Times faster than real time that one core plays a net, and an impulse response behind it: an estimate."""
    if net.architecture == CONTAINER:  # whose largest net costs most
        return speed(net.config["submodels"][-1]["model"], sample_rate)
    return 1e9 / (sample_rate * (nanoseconds(net) + SLOT_TAP_NS * slot_taps))


def nanoseconds(net: NamNet) -> float:
    """For each sample."""
    if net.architecture == "Linear":
        return LINEAR_NS
    if net.architecture == "LSTM":
        return LSTM_WEIGHT_NS * sum(np.size(part) for part in net.weights) + LSTM_LAYER_NS * net.config["num_layers"]
    entries = net.config["layers"]
    if is_a2(net):
        return A2_NS[entries[0]["channels"]]
    return sum(of_array(entry) for entry in entries)


def of_array(entry: dict[str, Any]) -> float:
    """The nanoseconds of an array of layers, as a `.nam` file describes it."""
    layers, channels = len(entry["dilations"]), entry["channels"]
    gated = entry.get("gated", False) or "gated" in entry.get("gating_mode", ())
    plain = entry["activation"] in ("tanh", [{"type": "tanh"}] * layers)
    own = LAYER_NS + channels * (TANH_NS if plain else OTHER_NS) + gated * GATES_NS
    return ARRAY_NS + layers * own + sum(taps * of_product(*sizes) for taps, *sizes in convolutions(entry, gated))


def convolutions(entry: dict[str, Any], gated: bool) -> Iterator[tuple[int, int, int]]:
    """Taps, inputs and outputs of each convolution of an array."""
    channels, layers = entry["channels"], len(entry["dilations"])
    wide = 2 * channels if gated else channels
    yield 1, entry["input_size"], channels
    for taps in entry.get("kernel_sizes") or [entry["kernel_size"]] * layers:
        yield from ((taps, channels, wide), (1, entry["condition_size"], wide), (1, channels, channels))
    head = entry.get("head") or {"kernel_size": 1, "out_channels": entry["head_size"]}
    yield head["kernel_size"], channels, head["out_channels"]


def of_product(inputs: int, outputs: int) -> float:
    """The nanoseconds of one tap."""
    if outputs == 1:
        return ONE_OUTPUT_NS + OF_ONE_INPUT_NS / inputs
    rest = outputs % 4
    multiplied = inputs * (IN_FOURS_NS * (outputs - rest) + IN_REST_NS * rest)
    return PRODUCT_NS + REST_NS * (rest > 0) + multiplied


def is_a2(net: NamNet) -> bool:
    """Whether players have code for exactly this net."""
    entry = (net.config.get("layers") or [{}])[0]
    leaky = {"type": "leaky_relu", "negative_slope": 0.01}
    return (
        entry.get("channels") in A2_NS
        and (entry.get("kernel_sizes"), entry["dilations"]) == (A2_KERNEL_SIZES, A2_DILATIONS)
        and entry["activation"] == [leaky] * len(A2_DILATIONS)
        and entry["gating_mode"] == ["none"] * len(A2_DILATIONS)
        and entry["head"] == {"out_channels": 1, "kernel_size": 16, "bias": True}
        and len(net.config["layers"]) == 1
    )


def told_speed(factor: float | None) -> str:
    if factor is None:
        return ""
    about = f"{factor:.1f}" if factor < 3 else f"{factor:.0f}"
    return f"it plays at about {about} times real time on one core (an estimate, from CPU times of NeuralAmpModelerCore 0.5.5)"
