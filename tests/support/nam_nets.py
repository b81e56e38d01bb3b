"""Nets of `.nam` files with all that they may be made of, and what NeuralAmpModelerCore 0.5.5 played of them.

The nets are random ones of our own: `document` writes them, and STORED holds what Core's `Reset` and `process`, in blocks of 64,
made of SIGNAL at five places. The trainer (neural-amp-modeler 0.13) agrees with Core to 1e-6 in all but what `OTHERWISE` names.
"""

from typing import Any

import numpy as np

SIGNAL = (0.5 * np.random.default_rng(7).standard_normal(200)).astype(np.float32)
PLACES = [0, 1, 9, 60, 199]
FILM = {"active": True, "shift": True, "groups": 1}
FILMS = (
    *("conv_pre", "conv_post", "input_mixin_pre", "input_mixin_post", "activation_pre"),
    *("activation_post", "layer1x1_post", "head1x1_post"),
)
HEAD1X1 = {"head1x1": {"active": True, "out_channels": 4, "groups": 2}}
BLENDED = {"gating_mode": "blended", "secondary_activation": {"type": "Sigmoid"}}
GATED = {"gating_mode": "gated", "secondary_activation": "Hardswish", "activation": "ReLU"}


def array(**changed: Any) -> dict[str, Any]:
    """Four channels, three layers; None takes a key out."""
    usual = {
        **{"input_size": 1, "condition_size": 1, "channels": 4, "kernel_size": 3, "dilations": [1, 2, 5]},
        **{"activation": "Tanh", "head": {"out_channels": 1, "kernel_size": 1, "bias": True}},
    }
    return {key: value for key, value in (usual | changed).items() if value is not None}


def net(*arrays: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"layers": list(arrays), "head": None, "head_scale": 0.5, **more}


def document(config: dict[str, Any], count: int, *, seed: int, architecture: str = "WaveNet") -> dict[str, Any]:
    weights = (0.4 * np.random.default_rng(seed).standard_normal(count)).round(3).tolist()
    found = {"version": "0.7.0", "architecture": architecture, "config": config, "weights": weights}
    return found | {"sample_rate": 48000}


def inner(count: int) -> dict[str, Any]:
    """A net of two outputs, on which another is conditioned."""
    head = {"out_channels": 2, "kernel_size": 2, "bias": True}
    return document(net(array(channels=2, dilations=[1, 3], head=head)), count, seed=99)


def activated(**activation: Any) -> dict[str, Any]:
    return net(array(activation=activation))


CASES: dict[str, dict[str, Any]] = {
    "head1x1": net(array(head1x1={"active": True, "out_channels": 6, "groups": 2})),
    "no layer1x1": net(array(layer1x1={"active": False, "groups": 1})),
    "groups of layer1x1": net(array(layer1x1={"active": True, "groups": 2})),
    "bottleneck": net(array(bottleneck=2)),
    "groups": net(array(groups_input=2)),
    "each channel alone": net(array(groups_input=4, layer1x1={"active": True, "groups": 4})),
    "kernel sizes": net(array(kernel_size=None, kernel_sizes=[2, 5, 3])),
    "a head with a memory": net(array(head={"out_channels": 1, "kernel_size": 7, "bias": True})),
    "a dilated head": net(array(head={"out_channels": 1, "kernel_size": 3, "bias": False, "head_dilation": 4})),
    "two arrays": net(
        array(head={"out_channels": 3, "kernel_size": 1, "bias": False}), array(input_size=4, channels=3)
    ),
    "gated, in old words": net(array(gated=True, head=None, head_size=1, head_bias=False)),
    "gated": net(array(bottleneck=3, **GATED)),
    "blended": net(array(**BLENDED)),
    "a layer of each": net(
        array(
            gating_mode=["none", "gated", "blended"],
            activation=["ReLU", {"type": "Tanh"}, "SiLU"],
            secondary_activation=[None, "Sigmoid", {"type": "LeakyReLU", "negative_slope": 0.2}],
        )
    ),
    "all films": net(array(bottleneck=2, **HEAD1X1, **BLENDED, **{f"{place}_film": FILM for place in FILMS})),
    **{f"film {place}": net(array(**HEAD1X1, **{f"{place}_film": FILM})) for place in FILMS},
    "a film that does not shift": net(array(activation_pre_film={"active": True, "shift": False})),
    "a head behind all": net(
        array(head={"out_channels": 5, "kernel_size": 1, "bias": True}),
        head={"channels": 3, "activation": "Tanh", "out_channels": 1, "kernel_sizes": [3, 2]},
    ),
    "conditioned": net(array(condition_size=2, groups_input_mixin=2), condition_dsp=inner(57)),
    "conditioned films": net(
        array(condition_size=2, **BLENDED, conv_post_film={**FILM, "groups": 2}, activation_post_film=FILM),
        condition_dsp=inner(57),
    ),
    "Hardtanh": activated(type="Hardtanh"),
    "LeakyReLU": activated(type="LeakyReLU", negative_slope=0.3),
    "PReLU": activated(type="PReLU", negative_slopes=[0.1, -0.2, 0.3, 1.4]),
    "PReLU of one slope": activated(type="PReLU", negative_slope=0.25),
    "Sigmoid": activated(type="Sigmoid"),
    "SiLU": activated(type="SiLU"),
    "Hardswish": activated(type="Hardswish"),
    "LeakyHardtanh": activated(type="LeakyHardtanh", min_val=-0.2, max_val=0.3, min_slope=0.1, max_slope=0.2),
    "LeakyHardtanh as it is": net(array(activation="LeakyHardtanh")),
    "Softsign": activated(type="Softsign"),
    "Fasttanh": activated(type="Fasttanh"),
    "ConvNet": {"channels": 4, "dilations": [1, 2, 4], "batchnorm": False, "activation": "ReLU"},
    "ConvNet of one block": {"channels": 4, "dilations": [3], "batchnorm": False, "activation": "Tanh"},
}
# What the trainer means by them it does not say to its players: they leave out what it added.
OTHERWISE = {"no layer1x1": "add nothing", "film layer1x1_post": "is left out"}

# Numbers in the file, and what Core plays at PLACES.
STORED: dict[str, tuple[int, list[float]]] = {
    "head1x1": (294, [0.507723, 0.505524, 0.512424, 0.493603, 0.516734]),
    "no layer1x1": (178, [0.382806, 0.384606, 0.376413, 0.411843, 0.438565]),
    "groups of layer1x1": (214, [-0.035058, -0.017793, -0.073507, -0.040533, -0.024245]),
    "bottleneck": (128, [-0.045814, -0.061425, 0.024643, -0.064434, -0.091083]),
    "groups": (166, [0.112563, 0.11694, 0.091765, 0.098267, 0.123704]),
    "each channel alone": (94, [0.430254, 0.454124, 0.409571, 0.464867, 0.54594]),
    "kernel sizes": (254, [-0.144582, -0.150148, -0.055311, -0.164026, -0.167077]),
    "a head with a memory": (262, [1.413606, 1.438385, 1.167161, 0.983487, 1.148558]),
    "a dilated head": (245, [0.237392, 0.291091, 0.375275, 0.299941, 0.048075]),
    "two arrays": (396, [-0.092922, -0.090162, -0.176821, -0.09761, -0.077304]),
    "gated, in old words": (405, [0.207821, 0.213803, 0.168169, 0.152325, 0.212302]),
    "gated": (309, [-0.038618, -0.044089, -0.008276, -0.024967, -0.072894]),
    "blended": (406, [0.249221, 0.262102, 0.303595, 0.307394, 0.260582]),
    "a layer of each": (350, [0.06961, 0.105372, -0.044758, 0.213807, 0.234103]),
    "all films": (562, [-0.011186, -0.004099, -0.026057, -0.006373, 0.02534]),
    "film conv_pre": (322, [-0.145526, -0.072118, -0.329547, -0.131347, 0.194886]),
    "film conv_post": (322, [0.004744, 0.004447, 0.0052, 0.00397, 0.003097]),
    "film input_mixin_pre": (286, [-0.043626, -0.04228, -0.068295, -0.068357, -0.052275]),
    "film input_mixin_post": (322, [-0.129984, -0.124911, -0.15685, -0.065812, -0.043928]),
    "film activation_pre": (322, [0.02727, 0.011537, 0.082066, 0.02589, -0.054225]),
    "film activation_post": (322, [0.039667, 0.003247, 0.109145, -0.013446, -0.119667]),
    "film layer1x1_post": (322, [0.180173, 0.173216, 0.16058, 0.163104, 0.156208]),
    "film head1x1_post": (322, [-0.436006, -0.462171, -0.380798, -0.471109, -0.591702]),
    "a film that does not shift": (262, [0.347338, 0.303063, 0.444813, 0.395113, 0.003859]),
    "a head behind all": (313, [-0.226237, -0.227895, -0.182464, -0.215974, -0.220892]),
    "conditioned": (238, [0.199725, 0.146929, 0.209701, 0.033472, -0.165912]),
    "conditioned films": (598, [-0.215716, -0.222897, -0.145403, -0.175519, -0.245492]),
    "Hardtanh": (238, [-0.20258, -0.209742, -0.339626, -0.387774, -0.276323]),
    "LeakyReLU": (238, [0.084528, 0.077027, 0.152048, 0.124656, 0.101714]),
    "PReLU": (238, [0.081196, 0.111112, -0.041711, 0.0785, 0.207779]),
    "PReLU of one slope": (238, [0.05637, 0.060246, 0.048991, 0.064879, 0.076511]),
    "Sigmoid": (238, [0.165929, 0.164415, 0.180593, 0.191488, 0.184686]),
    "SiLU": (238, [-0.034694, -0.034441, -0.036366, -0.035403, -0.032195]),
    "Hardswish": (238, [0.036964, 0.034328, 0.029487, 0.044485, 0.018199]),
    "LeakyHardtanh": (238, [0.09775, 0.059581, 0.250224, 0.271844, -0.063052]),
    "LeakyHardtanh as it is": (238, [-0.022584, -0.020597, 0.014623, 0.017292, -0.029163]),
    "Softsign": (238, [-0.180913, -0.18812, -0.155251, -0.149188, -0.188501]),
    "Fasttanh": (238, [-0.120035, -0.114036, -0.173924, -0.217001, -0.116976]),
    "ConvNet": (89, [-0.043676, -0.020954, -0.25045, 0.007722, 0.084191]),
    "ConvNet of one block": (17, [0.908786, 0.924192, 0.862794, 0.77069, 0.8134]),
}


def made(name: str, count: int) -> dict[str, Any]:
    kind = "ConvNet" if name.startswith("ConvNet") else "WaveNet"
    return document(CASES[name], count, seed=list(CASES).index(name), architecture=kind)


def container(*bounds: float, **more: Any) -> dict[str, Any]:
    """As many nets, each twice as loud as the one before."""
    nets = [made("bottleneck", STORED["bottleneck"][0]) for _ in bounds]
    for number, each in enumerate(nets):
        each["weights"][-1] *= 2**number
    models = [{"max_value": bound, "model": each} for bound, each in zip(bounds, nets, strict=True)]
    config = {"submodels": models}
    return {"version": "0.7.0", "architecture": "SlimmableContainer", "config": config, "weights": [], **more}
