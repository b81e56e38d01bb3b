"""A model as a page holds it: which can be held, and the sentence for those that cannot."""

import base64
import json

import numpy as np
import pytest
from synthetic import RATE

from ampsim import models
from ampsim.models import packing
from ampsim.models.forms import CannotHoldError
from ampsim.models.packing import packed, playable


def built(model: models.AmpModel) -> models.AmpModel:
    model.build()
    return model


def test_a_filter_is_a_response_and_one_with_a_bias_a_chain():
    model = built(models.Fir(taps=5, sample_rate=RATE))
    response = np.frombuffer(base64.b64decode(packed(model)["response"]), np.float32)
    np.testing.assert_allclose(response, model.output_gain * model.filter.kernel.numpy()[::-1], rtol=1e-6)
    assert packed(model)["net"] is None
    biased = packed(built(models.Fir(taps=5, bias=True, sample_rate=RATE)))
    assert (biased["net"]["architecture"], biased["response"]) == ("chain", None)


def test_of_a_container_every_net_can_be_played_the_largest_first():
    model = built(models.Slimmable(channels=[2, 3], dilations=[1, 4], sample_rate=RATE))
    found, missing = playable({"mine": model})
    assert [(each["name"], each["net"]["config"]["layers"][0]["channels"]) for each in found] == [
        ("mine (full)", 3),
        ("mine (lite)", 2),
    ]
    assert missing == []


def test_what_a_page_cannot_play_it_says():
    found, missing = playable({"a tcn": built(models.Tcn(channels=2, dilations=[1], sample_rate=RATE))})
    assert found == []
    (sentence,) = missing
    assert sentence.startswith("a tcn cannot be played in this page: it plays WaveNets")
    assert sentence.endswith("and not this Tcn.")
    gelu = built(models.WaveNet(channels=2, dilations=[[1]], activation="gelu", sample_rate=RATE))
    with pytest.raises(CannotHoldError, match="and not this WaveNet"):
        packed(gelu)


def test_nets_that_are_too_large_together_are_held_as_far_as_there_is_room(monkeypatch: pytest.MonkeyPatch):
    many = models.Slimmable(
        names=["a", "b", "c"], channels=[4, 5, 6], max_values=[0.3, 0.6, 1.0], dilations=[1, 2, 4, 8], sample_rate=RATE
    )
    sizes = [len(json.dumps(packed(each))) for each in built(many).members().values()]
    monkeypatch.setattr(packing, "LARGEST", sizes[2] + sizes[1] + 100)
    found, missing = playable({"amp": many})
    assert [each["name"] for each in found] == ["amp (c)", "amp (b)"]
    assert missing == ["amp (a) cannot be played in this page: the page is full, with 0.0 MB more for it."]


def test_a_model_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packing, "LARGEST", 1000)
    with pytest.raises(CannotHoldError, match=r"its weights take 0\.0 MB, and 0\.001 MB is the most"):
        packed(built(models.WaveNet(channels=4, dilations=[[1, 2, 4, 8]], sample_rate=RATE)))


@pytest.mark.parametrize("conditioning", ["weights", "film", "bias"])
def test_weights_follow_the_controls_in_a_straight_line(conditioning: str):
    """Those of any setting, from those in the middle and the directions, are what packing the plain model there gives."""
    net = {"_target_": "ampsim.models.WaveNetCab", "channels": 2, "layers": 2, "taps": 9}
    controls = {"gain": [0, 10], "bright": ["off", "on"]}
    model = models.Controlled(net=net, controls=controls, parts=2, conditioning=conditioning, sample_rate=RATE)
    model.build()
    random = np.random.default_rng(1)
    for direction in model.directions:
        direction.assign(random.normal(size=direction.shape))
    model.level.assign(random.normal(scale=0.4, size=model.level.shape))  # a master volume
    model.trim.kernel.assign(random.normal(scale=0.2, size=model.trim.kernel.shape))
    held = packed(model)
    assert [(each["name"], each["value"]) for each in held["controls"]] == [("gain", 5.0), ("bright", 0.0)]
    middle = model.mix().numpy()
    plain_model = model.at([9, 1])
    plain_model.output_gain = model.net.output_gain  # the volume is a number of its own
    plain = packed(plain_model)
    moved = model.mix().numpy() - middle
    for part, wanted in (("weights", plain["net"]["weights"]), ("response", plain["response"])):
        base = packing.floats(held["net"]["weights"] if part == "weights" else held["response"])
        directions = np.stack([packing.floats(each[part]) for each in held["directions"]])
        np.testing.assert_allclose(base + moved @ directions, packing.floats(wanted), atol=2e-6)
    function = packing.floats(held["function"])
    weights = [part for layer in (model.hidden, model.mixing, model.trim) for part in layer.get_weights()]
    weights.append(model.level.numpy())
    np.testing.assert_array_equal(function, np.concatenate([np.ravel(part) for part in weights]))
