"""Reads and plays captures: `.nam` files (Neural Amp Modeler: WaveNet, ConvNet, LSTM, Linear and containers of them) as the
player's own code does, and RTNeural's JSON."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import signal

from ampsim import AmpsimError, files
from ampsim.files import expanded
from ampsim.players import rtneural
from ampsim.players.documents import Weights, read_json, understood, whole
from ampsim.players.player import ACTIVATIONS, Chain, Dense, Layer, Player, Recurrent
from ampsim.players.wavenet import LONGEST_MEMORY, NAMES, ConvNet, Net, WaveNet
from ampsim.signals import audio
from ampsim.signals.audio import Signal

__all__ = ["NAMES", "Capture", "read"]

VERSIONS = ((0, 5), (0, 6), (0, 7))  # which NeuralAmpModelerCore plays as well
ASSUMED_RATE = 48 * 1000  # of a file that states none, as all of version 0.5.0; the format's plugin assumes the same
LSTM_WARM_UP_S = 0.5  # of zeros, before a file
CONTAINER = "SlimmableContainer"
DEEPEST = 4  # nets inside of nets


@dataclass(frozen=True)
class Capture:
    """A file with a net: what plays it, and what it tells about itself."""

    path: Path
    player: Player
    architecture: str
    sample_rate: int
    metadata: dict[str, Any] = field(default_factory=dict)
    rate_assumed: bool = False  # whether the file leaves it open at which rate, in hertz, its net is to be played
    num_submodels: int = 0  # of a container, of which one is played

    @property
    def name(self) -> str:
        return str(self.metadata.get("name") or self.path.stem)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a listener has to know before the capture is played."""
        found = []
        if self.rate_assumed:
            found.append(f"{self.path} states no sample rate: {self.sample_rate:,} Hz is assumed, as its players do")
        if isinstance(self.player, Net):
            found += [
                f"{self.path} is played as its players do, and not as it was trained: {text}"
                for text in self.player.remarks
            ]
        return tuple(found)

    @property
    def loudness_db(self) -> float | None:
        """What the file states of its output's level for the format's reference input."""
        stated = self.metadata.get("loudness")
        return float(stated) if isinstance(stated, int | float) and np.isfinite(stated) else None


def read(
    path: str | Path, *, slim: float | str | None = None, submodel: int | None = None, precision: Any = np.float32
) -> Capture:
    """Read a capture.

    Args:
        slim: of a container, 0 to 1: the first net whose `max_value` is larger, as a player's knob chooses; None is the last,
            the largest.
        submodel: or the net by its place, counted from 0.
        precision: what the net is played in; np.float64 leaves no rounding to speak of and takes twice as long.

    Raises:
        AmpsimError: the file cannot be read, is no capture, or holds what this reader does not play.
    """
    path = expanded(path)
    document = read_json(path, "NAM capture")
    if rtneural.is_chain(document):
        found = rtneural.of_document(path, document)
        return capture(path, found, found.told(), found.sample_rate, document.get("metadata"))
    if "model_data" in document and "state_dict" in document:
        raise AmpsimError(
            f"{path} is a model of GuitarML's players, which is not played: export it as .nam or for AIDA-X"
        )
    nets, bounds = contents(path, document)
    rates = [rate for net in (document, *nets) if (rate := sample_rate(path, net))]
    if len(set(rates)) > 1:
        listed = ", ".join(f"{rate:,} Hz" for rate in sorted(set(rates)))
        raise AmpsimError(f"{path} holds nets of several sample rates ({listed}): a container plays at one")
    chosen = choice(path, bounds, slim, submodel)
    # A container's own metadata are those of its largest net.
    own = (document, nets[-1]) if chosen == len(nets) - 1 else (nets[chosen],)
    metadata = next((net["metadata"] for net in own if isinstance(net.get("metadata"), dict)), None)
    player, architecture = parsed(path, nets[chosen], precision)
    made = capture(path, player, architecture, next(iter(rates), None), metadata)
    return replace(made, num_submodels=len(bounds))


def capture(path: Path, player: Player, architecture: str, rate: int | None, metadata: Any) -> Capture:
    files.refuse_larger(f"the memory of the net in {path}", 3 * player.state_bytes)  # a block makes copies
    player.name, player.sample_rate = str(path), rate or ASSUMED_RATE
    if isinstance(player, Lstm):
        player.warm_up = round(LSTM_WARM_UP_S * player.sample_rate)
    metadata = metadata if isinstance(metadata, dict) else {}
    return Capture(path, player, architecture, player.sample_rate, metadata, rate_assumed=rate is None)


def contents(path: Path, document: dict[str, Any]) -> tuple[list[dict[str, Any]], list[float]]:
    """The nets of a container, the smallest first, and their `max_value`; of another file itself and none."""
    refuse_other(path, document)
    if document["architecture"] != CONTAINER:
        return [document], []
    with understood(path, f"its {CONTAINER}"):
        entries = document["config"]["submodels"]
        if not isinstance(entries, list) or not entries:
            raise ValueError("it holds no net")
        nets, bounds = [entry["model"] for entry in entries], [float(entry["max_value"]) for entry in entries]
        if any(not isinstance(net, dict) or net.get("architecture") == CONTAINER for net in nets):
            raise ValueError("it holds something else than nets")
        if not all(before < after for before, after in pairwise(bounds)):
            raise ValueError(f"the max_value of its nets do not ascend: {', '.join(map(str, bounds))}")
        if not bounds[-1] >= 1:
            raise ValueError(f"the last max_value is {bounds[-1]}, and less than 1")
    for net in nets:
        refuse_other(path, net)
    return nets, bounds


def choice(path: Path, bounds: Sequence[float], slim: float | str | None, submodel: int | None) -> int:
    """Which net is to be played. Raises AmpsimError."""
    if slim in (None, "") and submodel is None:
        return max(len(bounds) - 1, 0)
    if not bounds:
        raise AmpsimError(f"{path} holds one net, of which none is to be chosen: leave slim out")
    if submodel is not None:
        if not 0 <= submodel < len(bounds):
            raise AmpsimError(f"submodel={submodel}: {path} holds {len(bounds)} nets, counted from 0")
        return submodel
    try:
        value = float(slim or 0)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise AmpsimError(f"slim={slim}: it is a number from 0 (the smallest net) to 1 (the largest)")
    return next((place for place, bound in enumerate(bounds) if value < bound), len(bounds) - 1)


def refuse_other(path: Path, document: dict[str, Any]) -> None:
    """Refuse what is no capture, or one of a version that may mean something else by the same words."""
    for key, kind in (("version", str | int | float), ("architecture", str), ("config", dict), ("weights", list)):
        if not isinstance(document.get(key), kind):
            raise AmpsimError(f"{path} is no NAM capture: its `{key}` is missing or of the wrong kind")
    found = re.match(r"(\d{1,9})\.(\d{1,9})(?![\w])", stated := str(document["version"]))
    if not found or (int(found[1]), int(found[2])) not in VERSIONS:
        raise AmpsimError(f"{path} is of NAM's version {stated:.20}; those from 0.5 to 0.7 can be played")


def parsed(path: Path, document: dict[str, Any], precision: Any) -> tuple[Player, str]:
    architecture = document["architecture"]
    if architecture not in ARCHITECTURES:
        raise AmpsimError(f"{path} holds a {architecture:.40}; {', '.join(ARCHITECTURES)} can be played")
    with understood(path, f"its {architecture}"):
        weights = Weights(document["weights"], precision)
        player = ARCHITECTURES[architecture](document["config"], weights, precision)
        if isinstance(player, Net) and player.outputs != 1:
            raise ValueError(f"it has {player.outputs} outputs")
        weights.finish()
    return player, architecture


def sample_rate(path: Path, document: dict[str, Any]) -> int | None:
    """In hertz; None where it is left open, which the format's own code also writes as null or as a number below 1."""
    stated = document.get("sample_rate")
    with understood(path, "its sample_rate"):
        rate = float(stated) if isinstance(stated, str) else stated
        if rate is None or (isinstance(rate, int | float) and not isinstance(rate, bool) and -1e9 < rate <= 0):
            return None
        return whole(rate, "sample_rate", least=audio.RATES[0], most=audio.RATES[1])


class Linear(Player):
    """One filter; its weights are its impulse response, the newest sample's first."""

    def __init__(self, config: dict[str, Any], weights: Weights) -> None:
        taps = whole(config["receptive_field"], "receptive_field", most=LONGEST_MEMORY)
        self.response = weights.take(taps)
        self.bias = weights.take(1)[0] if config.get("bias", False) else 0.0

    def reset_state(self) -> Signal:
        return np.zeros(len(self.response) - 1, np.float32)

    def stream(self, block: Signal, state: Signal) -> tuple[Signal, Signal]:
        segment = np.concatenate([state, block])
        if not len(block):
            return block, segment
        output = signal.oaconvolve(segment, self.response, mode="valid") + self.bias
        return output.astype(np.float32), segment[len(block) :]


class Lstm(Chain):
    """LSTM layers of one size, then one output; cold states count for nothing after half a second of zeros."""

    def __init__(self, config: dict[str, Any], weights: Weights) -> None:
        inputs, units = whole(config["input_size"], "input_size", most=1), whole(config["hidden_size"], "hidden_size")
        layers: list[Layer] = []
        self.first_state: list[Any] = []
        for _ in range(whole(config["num_layers"], "num_layers", most=64)):
            matrix, bias = weights.take(4 * units, inputs + units), weights.take(4 * units)
            layers.append(Recurrent("lstm", matrix[:, :inputs].T, matrix[:, inputs:].T, bias))
            self.first_state.append([weights.take(units), weights.take(units)])
            inputs = units
        head = Dense(weights.take(units, 1), weights.take(1), ACTIVATIONS["linear"])
        super().__init__([*layers, head])
        self.last = slice(-units - 1, None)

    def reset_state(self) -> list[Any]:
        return [*self.first_state, None]


def conditioned(config: dict[str, Any], weights: Weights, precision: Any, depth: int = 0) -> WaveNet:
    """A WaveNet, and the net that it is conditioned on, which is a whole capture in its config. Raises ValueError."""
    stated = config.get("condition_dsp")
    if stated is None:
        return WaveNet(config, weights)
    if depth == DEEPEST:
        raise ValueError(f"its `condition_dsp` holds another, and so on for more than {DEEPEST}")
    if stated["architecture"] not in ("WaveNet", "ConvNet"):
        raise ValueError(
            f"its `condition_dsp` is a {stated['architecture']!r:.40}; a WaveNet or ConvNet is played there"
        )
    inner = Weights(stated["weights"], precision)
    if stated["architecture"] == "ConvNet":
        found: WaveNet | ConvNet = ConvNet(stated["config"], inner)
    else:
        found = conditioned(stated["config"], inner, precision, depth + 1)
    inner.finish()
    return WaveNet(config, weights, found)


ARCHITECTURES: dict[str, Callable[[dict[str, Any], Weights, Any], Player]] = {
    "WaveNet": conditioned,
    "ConvNet": lambda config, weights, precision: ConvNet(config, weights),
    "LSTM": lambda config, weights, precision: Lstm(config, weights),
    "Linear": lambda config, weights, precision: Linear(config, weights),
}
