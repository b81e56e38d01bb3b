"""All that a net in a `.nam` file may be made of, as NeuralAmpModelerCore plays it; see `nam_nets`."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nam_files import write
from nam_nets import (
    CASES,
    FILM,
    OTHERWISE,
    PLACES,
    SIGNAL,
    STORED,
    activated,
    array,
    container,
    document,
    inner,
    made,
    net,
)

from ampsim import AmpsimError, players


@pytest.mark.parametrize("name", CASES)
def test_a_net_is_played_as_by_core(name: str, tmp_path: Path):
    count, stored = STORED[name]
    capture = players.read(write(tmp_path / "x.nam", made(name, count)))
    np.testing.assert_allclose(capture.player(SIGNAL)[PLACES], stored, atol=2e-6)
    pieces = [SIGNAL[:1], SIGNAL[1:70], SIGNAL[70:]]
    np.testing.assert_allclose(np.concatenate([*capture.player.blocks(pieces)])[PLACES], stored, atol=2e-6)
    assert [OTHERWISE[name] in note for note in capture.notes] == [True] if name in OTHERWISE else not capture.notes


def test_a_batch_normalisation_is_that_of_its_formula(tmp_path: Path):
    """One block by hand: (convolved - mean) / sqrt(variance + epsilon) * factor + offset."""
    config = {"channels": 2, "dilations": [3], "batchnorm": True, "activation": "ReLU"}
    kernel, mean, variance = [[0.3, -0.5], [0.8, 0.2]], [0.1, -0.2], [0.5, 1.5]
    factor, offset, epsilon, head, bias = [1.2, -0.7], [0.05, 0.4], 1e-3, [0.6, -0.9], 0.1
    weights = [*kernel[0], *kernel[1], *mean, *variance, *factor, *offset, epsilon, *head, bias]
    found = document(config, 0, seed=0, architecture="ConvNet") | {"weights": weights}
    before = np.concatenate([np.zeros(3), SIGNAL])
    expected = np.full(len(SIGNAL), bias)
    for k in range(2):
        convolved = kernel[k][0] * before[: len(SIGNAL)] + kernel[k][1] * SIGNAL
        normal = (convolved - mean[k]) / np.sqrt(variance[k] + epsilon) * factor[k] + offset[k]
        expected += head[k] * np.maximum(normal, 0)
    played = players.read(write(tmp_path / "x.nam", found)).player(SIGNAL)
    np.testing.assert_allclose(played, expected, atol=1e-6)


# Of these the trainer reads no file, or not all of one.
UNREAD = {
    *OTHERWISE,
    "a layer of each",
    "conditioned",
    "conditioned films",
    "a dilated head",
    "gated, in old words",
    "PReLU",
    "PReLU of one slope",
    "Fasttanh",
}
TRAINER = """
import json, pathlib, sys, numpy, torch
from nam.models import init_from_nam
x = torch.tensor(numpy.load(sys.argv[1] + "/in.npy"))
for path in pathlib.Path(sys.argv[1]).glob("*.nam"):
    net = init_from_nam(json.loads(path.read_text())).eval()
    numpy.save(path.with_suffix(".npy"), net(x, pad_start=True).detach().numpy())
"""


def in_full(config: dict[str, Any]) -> dict[str, Any]:
    """With a list wherever layers may differ, as the trainer writes and reads it."""
    layers = []
    for each in config["layers"]:
        full, count = dict(each), len(each["dilations"])
        for key, usual in (("activation", None), ("gating_mode", "none"), ("secondary_activation", None)):
            stated = each.get(key, usual)
            listed = stated if isinstance(stated, list) else [stated] * count
            full[key] = [{"type": one} if isinstance(one, str) and key != "gating_mode" else one for one in listed]
        layers.append(full)
    condition = config.get("condition_dsp")
    more = {"condition_dsp": condition | {"config": in_full(condition["config"])}} if condition else {}
    return config | {"layers": layers} | more


@pytest.mark.slow
def test_the_trainer_plays_the_same(tmp_path: Path):
    python = os.environ.get("AMPSIM_NAM_PYTHON")
    if not python:
        pytest.skip("AMPSIM_NAM_PYTHON is not set: a Python that has neural-amp-modeler")
    np.save(tmp_path / "in.npy", SIGNAL)
    names = [name for name in CASES if name not in UNREAD and not name.startswith("ConvNet")]
    for name in names:
        contents = made(name, STORED[name][0])
        write(tmp_path / f"{name}.nam", contents | {"config": in_full(contents["config"])})
    subprocess.run([python, "-c", TRAINER, str(tmp_path)], check=True)
    for name in names:
        played = players.read(tmp_path / f"{name}.nam").player(SIGNAL)
        np.testing.assert_allclose(played, np.load(tmp_path / f"{name}.npy"), atol=2e-6, err_msg=name)


# ---- Which net of a container ----


@pytest.mark.parametrize(
    ("chosen", "place"),
    [({}, 2), ({"slim": 0}, 0), ({"slim": "0.29"}, 0), ({"slim": 0.3}, 1), ({"slim": 0.6}, 2), ({"slim": 1}, 2)]
    + [({"submodel": place}, place) for place in range(3)],
)
def test_a_net_of_a_container_is_chosen_as_by_a_players_knob(chosen: dict, place: int, tmp_path: Path):
    path = write(tmp_path / "x.nam", container(0.3, 0.6, 1.0))
    capture = players.read(path, **chosen)
    stored = np.array(STORED["bottleneck"][1])
    np.testing.assert_allclose(capture.player(SIGNAL)[PLACES], 2**place * stored, atol=1e-5)
    assert capture.num_submodels == 3


@pytest.mark.parametrize(
    ("contents", "chosen", "sentence"),
    [
        (container(0.3, 1.0), {"slim": 1.2}, "it is a number from 0"),
        (container(0.3, 1.0), {"slim": "big"}, "it is a number from 0"),
        (container(0.3, 1.0), {"submodel": 2}, "holds 2 nets, counted from 0"),
        (made("bottleneck", STORED["bottleneck"][0]), {"slim": 0}, "holds one net"),
        (container(0.6, 0.3), {}, "do not ascend: 0.6, 0.3"),
        (container(0.3, 0.3, 1.0), {}, "do not ascend"),
        (container(0.3, 0.6), {}, "the last max_value is 0.6, and less than 1"),
        (container(0.5, 1.0, sample_rate=44100), {}, "of several sample rates (44,100 Hz, 48,000 Hz)"),
    ],
)
def test_a_container_or_a_choice_that_cannot_be(contents: dict, chosen: dict, sentence: str, tmp_path: Path):
    path = write(tmp_path / "x.nam", contents)
    with pytest.raises(AmpsimError) as error:
        players.read(path, **chosen)
    assert sentence in str(error.value)


# ---- Nets that cannot be ----

BAD = {
    "groups that share nothing evenly": (net(array(groups_input=3)), "3 groups do not share 4 channels"),
    "a film behind nothing": (net(array(head1x1_post_film=FILM)), "`head1x1_post_film` is active"),
    "a bottleneck without layer1x1": (
        net(array(bottleneck=2, layer1x1={"active": False, "groups": 1})),
        "bottleneck is 2",
    ),
    "a gate of no kind": (net(array(gating_mode="doubled")), "gating_mode is 'doubled'"),
    "slopes of other channels": (activated(type="PReLU", negative_slopes=[0.1, 0.2]), "2 slopes for 4 channels"),
    "two kinds of kernel sizes": (net(array(kernel_sizes=[3, 3, 3])), "both kernel_size and kernel_sizes"),
    "a head of other channels": (
        net(
            array(),
            head={"in_channels": 9, "channels": 3, "activation": "Tanh", "out_channels": 1, "kernel_sizes": [3]},
        ),
        "its head takes 9 channels",
    ),
    "arrays that do not fit": (net(array(), array(input_size=3)), "do not fit together"),
    "a condition of an LSTM": (
        net(array(), condition_dsp={"architecture": "LSTM", "config": {}, "weights": []}),
        "its `condition_dsp` is a 'LSTM'",
    ),
    "a condition that is too short": (net(array(condition_size=2), condition_dsp=inner(56)), "it has 56 weights"),
    "a condition of other channels": (
        net(array(), condition_dsp=inner(57)),
        "its condition_size is 1, and the layers are",
    ),
    "two inputs": (net(array(), in_channels=2), "in_channels is 2"),
    "channels without end": (net(array(channels=1 << 20, groups_input=1 << 20)), "calls for more than"),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_in_one_sentence(name: str, tmp_path: Path):
    config, sentence = BAD[name]
    path = write(tmp_path / "x.nam", document(config, 300, seed=1))
    with pytest.raises(AmpsimError) as error:
        players.read(path)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_conditions_inside_of_conditions_end(tmp_path: Path):
    found = document(net(array()), 10, seed=1)
    for _ in range(30):
        found = document(net(array(), condition_dsp=found), 10, seed=1)
    with pytest.raises(AmpsimError, match="holds another, and so on"):
        players.read(write(tmp_path / "x.nam", json.loads(json.dumps(found))))
