"""The closed sections of a config: their names, types and ranges."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ampsim import AmpsimError


class Precision(str, Enum):
    float32 = "float32"
    bfloat16 = "bfloat16"


class Conditioning(str, Enum):
    weights = "weights"
    film = "film"
    bias = "bias"


@dataclass
class Training:
    """The closed section `training`: its names and types; the values stand in conf/training/."""

    segment_length: int = 2048
    batch_size: int | None = None
    epochs: float | None = None
    seconds: float | None = None
    validate_every: float = 1.0
    patience: int | None = None
    steps_per_call: int = 8
    xla: bool | None = None
    precision: Precision = Precision.float32
    devices: Any = 1
    anti_aliasing: float = 0.0
    conditioning: Conditioning = Conditioning.weights
    conditioning_parts: int = 8
    checkpoint_every_s: float = 30.0
    preview: bool = False
    resume: bool = False


@dataclass
class Sweep:
    """The closed section `sweep`: how a sweep is run, and no part of what its runs are."""

    resume: bool | None = None
    job_timeout_s: float | None = None
    budget_s: float | None = None
    threads: int | None = None
    export: str | None = None
    figures: int | None = 3


LARGEST = 2**63 - 1
AT_LEAST = {
    "segment_length": 1,
    "batch_size": 1,
    "steps_per_call": 1,
    "patience": 1,
    "checkpoint_every_s": 0,
    "anti_aliasing": 0,
    "conditioning_parts": 1,
}
ABOVE_ZERO = ("epochs", "seconds", "validate_every")


def checked(config: dict[str, Any]) -> dict[str, Any]:
    """The config, once the closed section's numbers make sense."""
    refuse_endless(config)
    if not isinstance(config.get("name"), str | None):
        raise AmpsimError(f"name={config['name']!r}: it is text or null")
    training, seed = config["training"], config["seed"]
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise AmpsimError(f"seed={seed}: it is a whole number from 0 to {2**32 - 1}")
    for name, minimum in AT_LEAST.items():
        if training[name] is not None and training[name] < minimum:
            raise AmpsimError(f"training.{name}={training[name]}: it is {minimum} or more")
    for name in ABOVE_ZERO:
        if training[name] is not None and not 0 < training[name] < math.inf:
            raise AmpsimError(f"training.{name}={training[name]}: it is above 0 and finite")
    devices = training["devices"]
    if devices != "all" and (isinstance(devices, bool) or not isinstance(devices, int) or devices < 1):
        raise AmpsimError(f"training.devices={devices}: it is `all` or a number, 1 or more")
    if training["epochs"] is None and training["seconds"] is None:
        raise AmpsimError("a run needs a budget: set training.epochs or training.seconds")
    return config


def refuse_endless(value: Any, key: str = "") -> None:
    """Refuse a number that no machine's integers hold, before arithmetic stumbles over it."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in pairs:
            refuse_endless(inner, f"{key}.{name}".lstrip("."))
    elif isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        raise AmpsimError(f"{key} is a number of {math.log10(abs(value)):.0f} digits: give it one that makes sense")
