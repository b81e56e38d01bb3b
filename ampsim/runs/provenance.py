"""What a run remembers of where it was made: machine, versions, code."""

import getpass
import platform
import subprocess
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import ampsim
from ampsim.runs.machine import usable_cores

PACKAGES = (
    "ampsim",
    "tensorflow",
    "keras",
    "numpy",
    "scipy",
    "soundfile",
    "pyloudnorm",
    "mlflow",
    "hydra-core",
    "omegaconf",
)


def machine() -> dict[str, str]:
    import tensorflow as tf  # here, so that a sweep, whose jobs are processes of their own, does not load it

    devices = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(device).get("device_name", device.name) for device in devices]
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "processor": platform.processor() or platform.machine(),
        "cores": str(usable_cores()),
        "device": ", ".join(names) or "CPU",
    }


def versions() -> dict[str, str]:
    return {name: installed(name) for name in PACKAGES}


def installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # run from a folder, or installed under another name (tensorflow-cpu)
        return "unknown"


def code_version() -> dict[str, str]:
    """The version, and the git commit where ampsim runs from a checkout of its own."""
    checkout = Path(ampsim.__file__).parent.parent
    found = {"ampsim_version": ampsim.__version__}
    if (checkout / ".git").exists():
        command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
            found["mlflow.source.git.commit"] = answer.stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass  # no git on this machine, or a checkout without commits
    return found


def origin() -> dict[str, str]:
    """Who began a run, by what and with which code, as tags that MLflow's page shows."""
    found = {"mlflow.source.name": "ampsim train", "mlflow.source.type": "LOCAL", **code_version()}
    with suppress(OSError, KeyError, ImportError):  # a user without a name, as in some containers
        found["mlflow.user"] = getpass.getuser()
    return found


def environment() -> dict[str, Any]:
    """Machine, versions and code, as environment.json holds them."""
    return {**machine(), "versions": versions(), **code_version()}
