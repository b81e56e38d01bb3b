"""The estimate of a player's time, against nets that it was not fitted to."""

from typing import Any

import pytest

from ampsim.models import WaveNet
from ampsim.models.cost import nanoseconds


def powers(count: int) -> list[int]:
    return [2**number for number in range(count)]


# Nanoseconds of CPU time a sample in NeuralAmpModelerCore 0.5.5, on one core of an AMD EPYC.
MEASURED = [
    ({"channels": [3], "dilations": [powers(9)], "gated": True}, 479),
    ({"channels": [6], "dilations": [powers(8)], "kernel_size": 6, "activation": "relu"}, 382),
    ({"channels": [5], "dilations": [powers(10)], "kernel_size": 2, "activation": "relu", "gated": True}, 448),
    ({"channels": [8], "dilations": [powers(5)], "kernel_size": 4, "gated": True}, 360),
    ({"channels": [8], "dilations": [powers(3)], "activation": "relu"}, 100),
    ({"channels": [2, 1], "dilations": [powers(10) * 2, powers(6)], "kernel_size": 2}, 398),
    ({"channels": [10], "dilations": [powers(7)]}, 386),
]


@pytest.mark.parametrize(("sizes", "measured"), MEASURED, ids=lambda each: str(each)[:40])
def test_a_net_of_random_sizes_costs_what_the_player_took(sizes: dict[str, Any], measured: float):
    model = WaveNet(**sizes)
    model.build()
    assert nanoseconds(model.as_nam()) == pytest.approx(measured, rel=0.2)


def test_more_of_anything_costs_more():
    def cost(**changes: Any) -> float:
        model = WaveNet(**{"channels": [8], "dilations": [powers(4)], **changes})
        model.build()
        return nanoseconds(model.as_nam())

    for more in (
        {"channels": [9]},
        {"dilations": [powers(5)]},
        {"kernel_size": 4},
        {"gated": True},
        {"head_kernel_size": 2},
    ):
        assert cost(**more) > cost()
    assert cost(activation="relu") < cost()
