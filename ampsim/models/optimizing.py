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
    takes `sqrt(max(1, rows / columns))`, and of weights with more axes as well. Keras 3.12 also looks its state up by the
    paths of weights, which TensorFlow's variables do not have and layers may share. On later ones `keras.optimizers.Muon`
    is Keras' own; see `config.targets.STAND_INS`.

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

    def build(self, variables: list[keras.Variable]) -> None:
        if self.built:
            return
        keras.optimizers.Optimizer.build(self, variables)
        self.momentums = [self.add_variable_from_reference(each, name="momentum") for each in variables]
        self.adam_velocities = [
            self.add_variable_from_reference(each, name="velocity")
            if len(each.shape) != 2 or self._should_use_adamw(each)
            else None
            for each in variables
        ]

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        momentum, velocity = self.momentums[index], self.adam_velocities[index]
        if velocity is None:
            self.assign(momentum, self.momentum * momentum + gradient)
            ahead = gradient + self.momentum * momentum if self.nesterov else momentum
            size = self.rms_rate * math.sqrt(max(gradient.shape))
            step = size * self.zeropower_via_newtonschulz5(ahead, self.ns_steps)
            self.assign_sub(variable, learning_rate * step)
            return
        count = tf.cast(self.iterations + 1, gradient.dtype)
        self.assign_add(momentum, (1 - self.adam_beta_1) * (gradient - momentum))
        self.assign_add(velocity, (1 - self.adam_beta_2) * (tf.square(gradient) - velocity))
        rate = learning_rate * self.adam_lr_ratio * tf.sqrt(1 - self.adam_beta_2**count) / (1 - self.adam_beta_1**count)
        self.assign_sub(variable, rate * momentum / (tf.sqrt(velocity) + self.epsilon))


def leave_to_adam(optimizer: keras.optimizers.Optimizer, model: AmpModel) -> None:
    """Before the optimizer is built: exclude the model's `adam_weights` from its matrix rule, if it has one (Muon).

    What the config excludes itself stays excluded.

    Raises:
        ValueError: the optimizer, which tells weights apart by their paths, would take another weight along.
    """
    if not isinstance(optimizer, keras.optimizers.Muon):
        return
    chosen = model.adam_weights()
    paths = {weight.path for weight in chosen}
    for weight in model.trainable_variables:
        if weight.path in paths and not any(weight is each for each in chosen):
            raise ValueError(
                f"{type(model).__name__} has two weights called {weight.path}, of which its adam_layers() hold one: give "
                "the layers different names"
            )
    patterns = [f"^{re.escape(path)}$" for path in sorted(paths)]
    optimizer.exclude_layers = [*optimizer.exclude_layers, *patterns]
