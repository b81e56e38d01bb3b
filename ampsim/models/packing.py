"""A model as a page holds it and `engine.js` plays it: its net and the filter behind it, with weights as text."""

import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np

from ampsim.models.base import AmpModel
from ampsim.models.controlled import Controlled
from ampsim.models.forms import Array, CannotHoldError, NamNet
from ampsim.models.recurrent import Recurrent
from ampsim.recordings.controls import middle_of

# What `engine.js` knows, by Keras' names.
ACTIVATIONS = ("linear", "tanh", "sigmoid", "relu", "leaky_relu", "hard_tanh", "silu", "hard_silu", "softsign", "elu")
LARGEST = 2_000_000  # characters of weights: beside the audio, a page stays below 5 MB
Packed = dict[str, Any]


def playable(models: Mapping[str, AmpModel]) -> tuple[list[Packed], list[str]]:
    """What a page can play of these models, those that hold several nets (`members`) with each, and why not the others."""
    found, missing, room = list[Packed](), list[str](), LARGEST
    for name, model in models.items():
        members = reversed(model.members().items())  # the largest, as which the model counts, is the first
        for part, member in members:
            label = f"{name} ({part})" if part else name
            try:
                held = packed(member)
                if (size := len(json.dumps(held))) > room and found:
                    raise CannotHoldError(f"the page is full, with {size / 1e6:.1f} MB more for it")
                found.append({"name": label, **held})
                room -= size
            except CannotHoldError as error:
                missing.append(f"{label} cannot be played in this page: {error}.")
    return found, missing


def packed(model: AmpModel) -> Packed:
    """One net; raises CannotHoldError for a model that is too large for a page, or of a family that it does not play.

    Keys (`turnable` adds to them): sampleRate in hertz, lookahead and silence in samples (what the model plays late, and how
    many zeros it hears first), net (architecture, config, weights) and response (a filter behind it, the newest sample's tap
    first), of which one may be null.
    """
    if not model.sample_rate:
        raise CannotHoldError("the model does not know its sample rate")
    if isinstance(model, Controlled):
        return turnable(model)
    net, response = parts(model)
    check_size(len(net["weights"] if net else "") + len(response or ""))
    return {
        "sampleRate": model.sample_rate,
        "lookahead": model.lookahead,
        "silence": model.history if isinstance(model, Recurrent) else model.receptive_field - 1,
        "net": net,
        "response": response,
    }


def turnable(model: Controlled) -> Packed:
    """A net with its controls in the middle, and with what else makes it one of any setting: the function of the controls
    (`Controlled`: hidden layer, mix, trim and level), and how far each part of the mix moves weights and response, which
    follow it in a straight line. What is played is turned up or down by the volume at the setting, also in the middle."""
    middle = middle_of(model.controls)
    model.turn(middle)
    found, mix = packed(model.net), model.mix().numpy()
    directions = []
    for unit in np.eye(model.parts, dtype=np.float32):
        for variable, value in zip(model.net.trainable_variables, model.weights_of(mix + unit), strict=True):
            variable.assign(value)
        moved = packed(model.net)
        weights = text(floats(moved["net"]["weights"]) - floats(found["net"]["weights"])) if found["net"] else None
        response = text(floats(moved["response"]) - floats(found["response"])) if found["response"] else None
        directions.append({"weights": weights, "response": response})
    model.turn(middle)
    check_size((1 + model.parts) * len((found["net"] or {}).get("weights", "") + (found["response"] or "")))
    function = [weight for layer in (model.hidden, model.mixing, model.trim) for weight in layer.get_weights()]
    return found | {
        "controls": [asdict(each) | {"value": each.middle} for each in model.controls],
        "function": text(*function, model.level.numpy()),
        "bend": model.bend,
        "directions": directions,
    }


def check_size(characters: int) -> None:
    if characters > LARGEST:
        raise CannotHoldError(f"its weights take {characters / 1e6:.1f} MB, and {LARGEST / 1e6:g} MB is the most")


def parts(model: AmpModel) -> tuple[Packed | None, str | None]:
    """Net and response in the first form that the model has: with its filter apart, as in a `.nam` file, or as a chain."""
    with suppress(CannotHoldError):
        return of_net((rig := model.as_rig()).net), text(rig.response)
    with suppress(CannotHoldError):
        net = model.as_nam()
        if net.architecture == "Linear" and not net.config["bias"]:
            return None, text(*net.weights)
        if net.architecture == "WaveNet":
            return of_net(net), None
    with suppress(CannotHoldError):
        return of_chain(model), None
    family, known = type(model).__name__, ", ".join(ACTIVATIONS)
    raise CannotHoldError(
        f"it plays WaveNets, LSTMs, GRUs, dense nets and filters with the activations {known}, and not this {family}"
    )


def of_net(net: NamNet) -> Packed:
    stated = [entry["activation"] for entry in net.config["layers"]]
    check([each for entry in stated for each in (entry if isinstance(entry, list) else [entry])])
    return {"architecture": net.architecture, "config": net.config, "weights": text(*net.weights)}


def of_chain(model: AmpModel) -> Packed:
    """A chain with its gains, where a skip connection is between them."""
    skip = isinstance(model, Recurrent) and model.skip
    layers = model.as_chain(net_only=skip)
    check([each.activation for each in layers])
    entries = [
        {
            "kind": each.kind,
            "outputs": each.outputs,
            "activation": each.activation,
            "shapes": [np.shape(part) for part in each.weights],
        }
        for each in layers
    ]
    before, after = (model.input_gain, model.output_gain) if skip else (1.0, 1.0)
    config = {"layers": entries, "before": before, "after": after, "skip": skip, "delay": model.lookahead}
    return {
        "architecture": "chain",
        "config": config,
        "weights": text(*(part for each in layers for part in each.weights)),
    }


def check(activations: list[Any]) -> None:
    """Raises CannotHoldError for one that the page does not know; some are objects with their numbers."""
    names = {each["type"] if isinstance(each, dict) else each for each in activations}
    if unknown := sorted(names - set(ACTIVATIONS)):
        raise CannotHoldError(f"it does not know the activation {unknown[0]}")


def text(*arrays: Array) -> str:
    """Little-endian 32-bit floats in base64."""
    flat = np.concatenate([np.ravel(part) for part in arrays])
    return base64.b64encode(flat.astype("<f4").tobytes()).decode()


def floats(packed: str) -> Array:
    return np.frombuffer(base64.b64decode(packed), "<f4")
