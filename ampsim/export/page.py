"""One HTML file that plays the model in a browser: live, or on a file that is dropped into it."""

import json
import math
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy import signal

from ampsim.export import nam as nam_format
from ampsim.export import rtneural as chain_format
from ampsim.export.formats import Details, Format, Play
from ampsim.models import AmpModel
from ampsim.models.forms import CannotHoldError, ChainLayer, NamNet
from ampsim.models.packing import floats, packed, playable, text
from ampsim.players import nam, rtneural
from ampsim.players.player import Array, Chain
from ampsim.signals.audio import Signal

HELD = re.compile(r'<script type="application/json" id="amps">(.*?)</script>')


class Page(Format):
    name = "page"
    ending = ".html"
    start = "as after silence"
    keeps_controls = True
    prover = "the NumPy readers of captures, in double precision"

    def check(self, model: AmpModel) -> None:
        if not find_spec("ampsim.report"):
            raise CannotHoldError("it is made by ampsim.report, which is not installed")
        for member in model.members().values():
            player(packed(member))  # of one with controls, in their middle

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        from ampsim.report.page import amp_page

        gear = " ".join(filter(None, (details.gear_make, details.gear_model)))
        author = f"modelled by {details.modeled_by}" if details.modeled_by else ""
        about = " · ".join(filter(None, (gear, author, f"{model.sample_rate:,} Hz")))
        path.write_text(amp_page(details.name, playable({details.name: model}), about=about), encoding="utf-8")

    def first_state(self, model: AmpModel) -> Any:
        return model.stream_state()  # as `ampsim render` does: a page's renders are to be the same

    def advice(self, model: AmpModel) -> str:
        return "open the page in a browser: it plays files and live input, and needs no network connection"

    def load(self, path: Path, setting: Sequence[float] = ()) -> Play:
        found = HELD.search(path.read_text(encoding="utf-8"))
        assert found
        held = json.loads(found[1])["models"][0]
        if "controls" not in held:
            return player(held)
        turned, volume = at(held, setting or [each["value"] for each in held["controls"]])
        play = player(turned)
        return lambda heard: volume * play(heard)


def at(held: dict[str, Any], setting: Sequence[float]) -> tuple[dict[str, Any], float]:
    """A model at a setting of its controls: its weights, and the factor on what it plays. See `packing.turnable`."""
    parts, function = len(held["directions"]), floats(held["function"]).astype(np.float64)

    def told(values: Sequence[float]) -> tuple[Array, float]:
        seen = list[float]()
        for control, value in zip(held["controls"], values, strict=True):
            low, high = control["low"], control["high"]
            places = range(len(control["positions"]))
            seen += [float(value == place) for place in places] if places else [2 * (value - low) / (high - low) - 1]
        heard, features = seen, [*seen, *np.square(seen)]
        if bend := held.get("bend"):
            bent = 2 * np.log1p((np.array(seen) + 1) / 2 / bend) / math.log1p(1 / bend) - 1
            heard = [*seen, *bent]
            features = [1.0, *heard, *np.outer(bent, bent)[np.tril_indices(len(bent))]]
        units = (len(function) - parts - len(features)) // (len(heard) + parts + 2)
        sizes = [len(heard) * units, units, units * parts, parts, units]
        kernel, bias, mixing, offset, trim, level = np.split(function, np.cumsum(sizes))
        hidden = np.tanh(heard @ kernel.reshape(-1, units) + bias)
        mix = (hidden @ mixing.reshape(units, parts) + offset) / math.sqrt(parts)
        return mix, math.exp(hidden @ trim + level @ features)

    before, _ = told([each["value"] for each in held["controls"]])
    now, volume = told(setting)

    def moved(name: str, middle: str) -> str:
        return text(floats(middle) + (now - before) @ [floats(each[name]) for each in held["directions"]])

    net = held["net"] and held["net"] | {"weights": moved("weights", held["net"]["weights"])}
    return held | {"net": net, "response": held["response"] and moved("response", held["response"])}, volume


def player(held: dict[str, Any]) -> Play:
    """What plays a model as a page holds it: readers of files, and none of the code that the page has."""
    net = reader(held["net"]) if held["net"] else None
    response = floats(held["response"]).astype(np.float64) if held["response"] else None

    def play(heard: Signal) -> Signal:
        played = np.concatenate([np.zeros(held["silence"], np.float32), heard])
        played = net(played) if net else played
        played = played if response is None else signal.oaconvolve(played, response)[: len(played)]
        return played[held["silence"] :]

    return play


def reader(net: dict[str, Any]) -> Play:
    weights, config = floats(net["weights"]), net["config"]
    if net["architecture"] != "chain":
        document = nam_format.document(NamNet(net["architecture"], config, [weights]))
        return nam.parsed(Path("the page"), document, np.float64)[0]
    layers = list[ChainLayer]()
    for each in config["layers"]:
        *parts, weights = np.split(weights, np.cumsum([math.prod(shape) for shape in each["shapes"]]))
        shaped = [part.reshape(shape) for part, shape in zip(parts, each["shapes"], strict=True)]
        layers.append(ChainLayer(each["kind"], each["outputs"], each["activation"], shaped))
    chain = Chain(rtneural.chain({"in_shape": [1], "layers": chain_format.entries(layers)}))

    def play(heard: Signal) -> Signal:
        levelled = config["before"] * heard
        dry = np.concatenate([np.zeros(config["delay"]), levelled])[: len(heard)] if config["skip"] else 0.0
        return np.asarray(config["after"] * (chain(levelled) + dry))

    return play
