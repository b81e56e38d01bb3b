"""What a net costs the plugin that plays it: an estimate, from its layers and weights."""

import numpy as np

from ampsim.models.forms import NamNet
from ampsim.players.nam import CONTAINER

# Nanoseconds of CPU time in NeuralAmpModelerCore 0.5.5 (64-sample blocks, fast tanh, -O3 -ffast-math) on one core of an AMD
# EPYC: for each weight and each layer of a net, for each tap of a head and of an impulse response, and for a filter by FFT.
# Nets of `model=wavenet_*`, `wavenet_cab` with filters of up to 4,096 taps and LSTMs of 8 to 64 units are within 20 % of them.
WEIGHT_NS, LAYER_NS = {"WaveNet": 0.075, "LSTM": 0.055}, {"WaveNet": 14.0, "LSTM": 50.0}
HEAD_TAP_NS, SLOT_TAP_NS, LINEAR_NS = 2.36, 0.071, 49.0
A2_NS = {8: 2450.0, 3: 405.0}  # by channels: players have code for these two nets
A2_DILATIONS = [1, 3, 7, 17, 41, 101, 239, 1, 3, 7, 17, 41, 101, 239, 1, 13, 1, 3, 7, 17, 41, 101, 239]
A2_KERNEL_SIZES = [6] * 14 + [15, 15] + [6] * 7


def speed(net: NamNet, sample_rate: int, *, slot_taps: int = 0) -> float:
    """Times faster than real time that one core plays a net, and an impulse response behind it: an estimate.

    Each weight is multiplied once a sample; a layer costs something beside that, as for its activations.
    """
    if net.architecture == "Linear":
        return 1e9 / (sample_rate * LINEAR_NS)
    if net.architecture == CONTAINER:  # whose largest net costs most
        return speed(net.config["submodels"][-1]["model"], sample_rate)
    entries = net.config.get("layers", [])
    if is_a2(net):
        return 1e9 / (sample_rate * A2_NS[entries[0]["channels"]])
    num_layers = sum(len(entry["dilations"]) for entry in entries) or net.config["num_layers"]
    head_taps = sum(entry["channels"] * entry["head"]["kernel_size"] for entry in entries if "head" in entry)
    num_weights = sum(np.size(part) for part in net.weights) - head_taps
    nanoseconds = WEIGHT_NS[net.architecture] * num_weights + LAYER_NS[net.architecture] * num_layers
    nanoseconds += HEAD_TAP_NS * head_taps + SLOT_TAP_NS * slot_taps
    return float(1e9 / (sample_rate * nanoseconds))


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
