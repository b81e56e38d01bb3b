"""A model as a page holds it and `engine.js` plays it: its net and the filter behind it, with weights as text."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from ampsim.models import AmpModel
from ampsim.models.forms import Array, CannotHoldError, NamNet
from ampsim.models.recurrent import Recurrent

LARGEST = 2_000_000  # characters of weights: beside the audio, a page stays below 5 MB
Packed = dict[str, Any]


def playable(models: Mapping[str, AmpModel]) -> tuple[list[Packed], list[str]]:
    """What a page can play of these models, those that hold several nets (`members`) with each, and why not the others."""
    found, missing = list[Packed](), list[str]()
    for name, model in models.items():
        members = reversed(model.members().items())  # the largest, as which the model counts, is the first
        for part, member in members:
            label = f"{name} ({part})" if part else name
            try:
                found.append({"name": label, **packed(member)})
            except CannotHoldError as error:
                missing.append(f"{label} cannot be played in this page: {error}.")
    return found, missing


def packed(model: AmpModel) -> Packed:
    """One net; raises CannotHoldError for a model that is too large for a page, or of a family that it does not play.

    Keys: sampleRate in hertz, lookahead and silence in samples (what the model plays late, and how many zeros it hears first),
    net (architecture, config, weights) and response (a filter behind it, the newest sample's tap first), of which one may
    be null.
    """
    if not model.sample_rate:
        raise CannotHoldError("the model does not know its sample rate")
    net, response = parts(model)
    size = sum(len(part) for part in (net["weights"] if net else "", response or ""))
    if size > LARGEST:
        raise CannotHoldError(f"its weights take {size / 1e6:.1f} MB, and {LARGEST / 1e6:g} MB is the most")
    return {
        "sampleRate": model.sample_rate,
        "lookahead": model.lookahead,
        "silence": model.receptive_field - 1,
        "net": net,
        "response": response,
    }


def parts(model: AmpModel) -> tuple[Packed | None, str | None]:
    """Net and response in the first form that the model has: with its filter apart, as in a `.nam` file, or as a chain."""
    try:
        rig = model.as_rig()
        return of_net(rig.net), text(rig.response)
    except CannotHoldError:
        pass
    try:
        net = model.as_nam()
        if net.architecture == "Linear":
            return None, text(*net.weights)
        if net.architecture == "WaveNet":
            return of_net(net), None
    except CannotHoldError:
        pass
    try:
        return of_chain(model), None
    except CannotHoldError:
        family = type(model).__name__
        raise CannotHoldError(f"it plays WaveNets, LSTMs, GRUs, dense nets and filters, and not a {family}") from None


def of_net(net: NamNet) -> Packed:
    return {"architecture": net.architecture, "config": net.config, "weights": text(*net.weights)}


def of_chain(model: AmpModel) -> Packed:
    """A chain with its gains, where a skip connection is between them."""
    skip = isinstance(model, Recurrent) and model.skip
    layers = model.as_chain(net_only=skip)
    entries = [
        {"kind": each.kind, "outputs": each.outputs, "activation": each.activation, "taps": len(each.weights[0])}
        for each in layers
    ]
    before, after = (model.input_gain, model.output_gain) if skip else (1.0, 1.0)
    config = {"layers": entries, "before": before, "after": after, "skip": skip, "delay": model.lookahead}
    return {
        "architecture": "chain",
        "config": config,
        "weights": text(*(part for each in layers for part in each.weights)),
    }


def text(*arrays: Array) -> str:
    """Little-endian 32-bit floats in base64."""
    flat = np.concatenate([np.ravel(part) for part in arrays])
    return base64.b64encode(flat.astype("<f4").tobytes()).decode()
