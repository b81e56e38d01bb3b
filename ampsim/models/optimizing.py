"""An optimizer of matrices: which weights of a model it leaves to Adam's rule, and one rule for every Keras."""

import math
import re
from typing import Any

import keras
import tensorflow as tf

from ampsim.models.base import AmpModel


class Muon(keras.optimizers.Muon):
    """Keras' Muon with the steps of Keras 3.13 and later, on 3.12, the last for Python 3.10.

    A step is `rms_rate * sqrt(max(rows, columns))` times a matrix of even directions (arXiv:2502.16982), where Keras 3.12
    takes `sqrt(max(1, rows / columns))`, and of weights with more axes as well. On later ones `keras.optimizers.Muon` is
    Keras' own; see `config.targets.STAND_INS`.

    Args:
        adam_weight_decay: as `weight_decay`; Keras 3.12 has one for both rules.
        rms_rate: size of an entry of a step, in learning rates.
    """

    def __init__(
        self,
        *,
        weight_decay: float | None = None,
        adam_weight_decay: float | None = None,
        rms_rate: float = 0.2,
        **kwargs: Any,
    ) -> None:
        if adam_weight_decay != weight_decay:
            raise ValueError("adam_weight_decay and weight_decay are one below Keras 3.13, which needs Python 3.11")
        super().__init__(weight_decay=weight_decay, **kwargs)
        self.rms_rate = rms_rate

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return len(variable.shape) != 2 or super()._should_use_adamw(variable)

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        """Keras 3.12 asks TensorFlow's variable for the path that Keras' own has."""
        own = self._trainable_variables[self._get_variable_index(variable)]
        super().update_step(gradient, own, learning_rate)

    def zeropower_via_newtonschulz5(self, x: tf.Tensor, steps: int) -> tf.Tensor:
        rows, columns = x.shape
        theirs = math.sqrt(max(1, rows / columns))
        return super().zeropower_via_newtonschulz5(x, steps) * (self.rms_rate * math.sqrt(max(rows, columns)) / theirs)


def leave_to_adam(optimizer: keras.optimizers.Optimizer, model: AmpModel) -> None:
    """Before the optimizer is built: exclude the model's `adam_layers` from its matrix rule, if it has one (Muon).

    What the config excludes itself stays excluded.

    Raises:
        ValueError: the optimizer, which tells weights apart by their paths, would take another weight along.
    """
    if not isinstance(optimizer, keras.optimizers.Muon):
        return
    chosen = [weight for layer in model.adam_layers() for weight in layer.trainable_weights]
    paths = {weight.path for weight in chosen}
    for weight in model.trainable_variables:
        if weight.path in paths and not any(weight is each for each in chosen):
            raise ValueError(
                f"{type(model).__name__} has two weights called {weight.path}, of which its adam_layers() hold one: give "
                "the layers different names"
            )
    patterns = [f"^{re.escape(path)}$" for path in sorted(paths)]
    optimizer.exclude_layers = [*optimizer.exclude_layers, *patterns]
