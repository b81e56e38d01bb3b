"""The GPUs or CPUs of this machine that share a batch."""

import tensorflow as tf

from ampsim import AmpsimError


def distribution(devices: int | str) -> tf.distribute.Strategy:
    """What shares a batch out to `devices` GPUs (CPUs where there is none) of this machine, or to "all" of them.

    Raises:
        AmpsimError: there are not as many.
    """
    present = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    count = len(present) if devices == "all" else int(devices)
    if count > len(present):
        names = ", ".join(device.name.removeprefix("/device:") for device in present)
        raise AmpsimError(f"training.devices={count}: there are {len(present)} on this machine ({names})")
    if count == 1:
        return tf.distribute.get_strategy()
    # The nets are small, so that copies cost little; collective operations do not keep their order within a loop.
    together = tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy([device.name for device in present[:count]], cross_device_ops=together)
