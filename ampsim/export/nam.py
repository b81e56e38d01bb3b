"""`.nam` files of Neural Amp Modeler, of every model that says what it is in one (`as_nam`)."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ampsim.export.formats import Details, Format, Play
from ampsim.models import AmpModel
from ampsim.models.forms import CannotHoldError, NamNet
from ampsim.models.rendering import Renderer
from ampsim.players import nam
from ampsim.players.loudness import gain, loudness_db

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

    def check(self, model: AmpModel) -> None:
        named(model.as_nam())

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        facts = {"sample_rate": model.sample_rate, "metadata": metadata(details, Renderer(model))}
        path.write_text(json.dumps(document(model.as_nam()) | facts), encoding="utf-8")

    def players(self, model: AmpModel) -> str:
        if not heads(model.as_nam()):
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


def document(net: NamNet) -> dict[str, Any]:
    """The keys `version`, `architecture`, `config` and `weights`, with activations by the format's names."""
    weights = [float(number) for part in net.weights for number in np.ravel(np.float32(part))]
    version = HEAD_VERSION if heads(net) else VERSION
    return {"version": version, "architecture": net.architecture, "config": named(net), "weights": weights}


def heads(net: NamNet) -> bool:
    """Whether an array's head is more than a mix of its channels."""
    return any("head" in entry for entry in net.config.get("layers", []))


def named(net: NamNet) -> dict[str, Any]:
    """The net's config with activations by the format's names."""
    if "layers" not in net.config:
        return net.config
    for entry in net.config["layers"]:
        if entry["activation"] not in NAMES:
            raise CannotHoldError(f"its nets know the activations {', '.join(NAMES)}, and not {entry['activation']}")
    return net.config | {
        "layers": [entry | {"activation": NAMES[entry["activation"]]} for entry in net.config["layers"]]
    }
