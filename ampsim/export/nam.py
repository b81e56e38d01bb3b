"""`.nam` files of Neural Amp Modeler, of every model that says what it is in one (`as_nam`)."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ampsim.export.formats import Details, Format, Play, Proof
from ampsim.models import AmpModel, cost
from ampsim.models.forms import CannotHoldError, NamNet
from ampsim.models.rendering import Renderer
from ampsim.players import nam
from ampsim.players.loudness import gain, loudness_db
from ampsim.recordings.levels import level

VERSION = "0.5.4"  # what most published files are; older plugins read it, and so do new ones
# Some players ignore `gated`, and every activation but tanh, in files of up to 0.5.4, and play noise. Files of this version
# they play right, or refuse.
PLAIN_VERSION = "0.6.0"
HEAD_VERSION = "0.7.0"  # the first whose head may be a filter: newer plugins only
READERS = {
    VERSION: "every version of Neural Amp Modeler reads the .nam file",
    PLAIN_VERSION: (
        "the .nam file is of version 0.6.0: NeuralAmpModelerCore 0.4 and later read it, and older players refuse it (plain "
        "layers with tanh make files that they read too)"
    ),
    HEAD_VERSION: (
        "the .nam file is of version 0.7.0: Neural Amp Modeler from 0.7.14, its LV2 plugin from 0.2.0 and others with "
        "NeuralAmpModelerCore 0.5 read it, and older ones refuse it"
    ),
}
LINEAR_READERS = (
    "the .nam file is a filter: Neural Amp Modeler from 0.7.14 and others with NeuralAmpModelerCore 0.5 read it; its versions "
    "0.3 and 0.4, and players with NeuralAudio, refuse it"
)
MEMBERS_OWN = ("date", "loudness", "gain")  # of the metadata: what a net in a container states beside the container
GEAR_TYPES = ("amp", "pedal", "pedal_amp", "amp_cab", "amp_pedal_cab", "preamp", "studio")
TONE_TYPES = ("clean", "overdrive", "crunch", "hi_gain", "fuzz")
NAMES = {keras_name: name for name, keras_name in nam.NAMES.items()} | {"leaky_relu": "LeakyReLU"}


class Nam(Format):
    name = "nam"
    ending = ".nam"
    start = "as after silence: its players run zeros through a net before a file"
    prover = "the NumPy reader of captures, in double precision"

    def check(self, model: AmpModel) -> None:
        named(model.as_nam())

    def write(self, model: AmpModel, path: Path, details: Details) -> None:
        """A container states the levels of its last net, and each net in it its own."""
        facts = {"sample_rate": model.sample_rate, "metadata": metadata(details, Renderer(model))}
        written = document(model.as_nam()) | facts
        for entry, member in zip(written["config"].get("submodels", []), model.members().values(), strict=False):
            told = metadata(details, Renderer(member))
            entry["model"] |= {"sample_rate": model.sample_rate} | {"metadata": {key: told[key] for key in MEMBERS_OWN}}
        path.write_text(json.dumps(written), encoding="utf-8")

    def prove(self, model: AmpModel, path: Path) -> Proof:
        """Every net of a container, each as a file of its own; the one that is furthest from its model counts."""
        entries = json.loads(path.read_text(encoding="utf-8"))["config"].get("submodels", [])
        if not entries:
            return super().prove(model, path)
        proofs = [super().prove(model, path)]  # of the whole, as which the last is played
        with tempfile.TemporaryDirectory() as folder:
            alone = Path(folder) / "net.nam"
            for entry, member in zip(entries, model.members().values(), strict=True):
                alone.write_text(json.dumps(entry["model"]), encoding="utf-8")
                proofs.append(super().prove(member, alone))
        return max(proofs, key=lambda proof: proof.difference)

    def annotate(self, path: Path, facts: dict[str, Any]) -> bool:
        return annotate(path, facts)

    def players(self, model: AmpModel) -> str:
        return readers(model.as_nam())

    def speed(self, model: AmpModel) -> float | None:
        assert model.sample_rate
        return cost.speed(model.as_nam(), model.sample_rate)

    def advice(self, model: AmpModel) -> str:
        net = model.as_nam()
        if net.architecture == nam.CONTAINER:
            names = [*model.members()]
            return (
                f"it holds {len(names)} nets: Neural Amp Modeler plays {names[0]} until its Slim knob is turned up, and players "
                f"without such a knob play {names[-1]}"
            )
        try:
            model.as_rig()
        except CannotHoldError:
            return ""
        return (
            "format=rig writes the net and the filter behind it apart, as a .nam file that every version reads and impulse "
            "responses for the plugin's slot, which cost a plugin far less"
        )

    def load(self, path: Path) -> Play:
        return nam.read(path, precision=np.float64).player


def annotate(path: Path, facts: dict[str, Any]) -> bool:
    """Add facts to the metadata of a file that holds JSON."""
    found = json.loads(path.read_text(encoding="utf-8"))
    found.setdefault("metadata", {}).setdefault("ampsim", {}).update(facts)
    path.write_text(json.dumps(found), encoding="utf-8")
    return True


def metadata(details: Details, play: Play) -> dict[str, Any]:
    date = {unit: getattr(details.date, unit) for unit in ("year", "month", "day", "hour", "minute", "second")}
    told: dict[str, Any] = {
        key: getattr(details, key) or None for key in ("name", "modeled_by", "gear_type", "gear_make", "gear_model")
    }
    told["tone_type"] = details.tone_type or None
    told |= {name: level(name, getattr(details, name)) for name in ("input_level_dbu", "output_level_dbu")}
    training = {"validation_esr": details.scores.get("validation_esr"), "ampsim": details.scores}
    return {"date": date, "loudness": loudness_db(play), "gain": gain(play), **told, "training": training}


def document(net: NamNet) -> dict[str, Any]:
    """The keys `version`, `architecture`, `config` and `weights`, with activations by the format's names."""
    weights = [float(number) for part in net.weights for number in np.ravel(np.float32(part))]
    if net.architecture == nam.CONTAINER:
        entries = [entry | {"model": document(entry["model"])} for entry in net.config["submodels"]]
        return {
            "version": HEAD_VERSION,
            "architecture": nam.CONTAINER,
            "config": {"submodels": entries},
            "weights": weights,
        }
    return {"version": version(net), "architecture": net.architecture, "config": named(net), "weights": weights}


def version(net: NamNet) -> str:
    """The oldest version whose players all play the net right or refuse it."""
    if net.architecture == nam.CONTAINER or any("head" in entry for entry in net.config.get("layers", [])):
        return HEAD_VERSION
    plain = all(entry["activation"] == "tanh" and not entry["gated"] for entry in net.config.get("layers", []))
    return VERSION if plain else PLAIN_VERSION


def readers(net: NamNet) -> str:
    """Which players read the file, as a sentence."""
    return LINEAR_READERS if net.architecture == "Linear" else READERS[version(net)]


def named(net: NamNet) -> dict[str, Any]:
    """The net's config with activations by the format's names."""
    for entry in net.config.get("submodels", []):
        named(entry["model"])
    if "layers" not in net.config:
        return net.config
    return net.config | {
        "layers": [entry | {"activation": renamed(entry["activation"])} for entry in net.config["layers"]]
    }


def renamed(activation: Any) -> Any:
    """An activation, or a list with one for each layer, by the format's name in place of Keras'."""
    if isinstance(activation, list):
        return [renamed(each) for each in activation]
    if isinstance(activation, dict):
        return activation | {"type": renamed(activation["type"])}
    if activation not in NAMES:
        raise CannotHoldError(f"its nets know the activations {', '.join(NAMES)}, and not {activation}")
    return NAMES[activation]
