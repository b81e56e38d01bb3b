"""One update of an optimizer for all weights of a model at once: hundreds of small ones take longer to compile than the net."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

BY_NUMBER = (keras.optimizers.Adam, keras.optimizers.RMSprop, keras.optimizers.SGD)


class StackedMuon(keras.optimizers.Muon):
    """Muon for stacks of matrices of one shape, (count, rows, columns): each matrix is evened out by itself."""

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return len(variable.shape) != 3

    def lr_adjust(self, x: tf.Tensor) -> tf.Tensor:
        return x if self.rms_rate is None else x * (math.sqrt(max(x.shape[-2:])) * self.rms_rate)


class Packed:
    """An optimizer of few large weights in place of many small ones: a vector and, for Muon, a stack for each shape.

    Args:
        optimizer: not yet built; `suits` says whether it is such a one. Muon is replaced by one that takes stacks.
        variables: a model's.
        stacks: those of which each row is a matrix by itself; see `AmpModel.stacks`.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        variables: Sequence[keras.Variable],
        *,
        xla: bool,
        stacks: Sequence[tuple[keras.Variable, tuple[int, ...]]] = (),
    ) -> None:
        self.optimizer, self.variables = optimizer, [*variables]
        if isinstance(optimizer, keras.optimizers.Muon):
            self.optimizer = StackedMuon.from_config(optimizer.get_config())
        matrices = isinstance(optimizer, keras.optimizers.Muon)
        shapes = {id(variable): shape for variable, shape in stacks if matrices}
        self.groups = dict[tuple[int, ...], list[int]]()
        for index, variable in enumerate(variables):
            self.groups.setdefault(shapes.get(id(variable)) or stack_for(variable, optimizer), []).append(index)
        self.wholes = [keras.Variable(tf.zeros_like(each), name="whole") for each in self.packed(variables)]
        self.optimizer.build(self.wholes)
        self.update = tf.function(self.updated, jit_compile=xla, autograph=False)

    @staticmethod
    def suits(optimizer: keras.optimizers.Optimizer) -> bool:
        """Whether the rule is one of numbers or of matrices: none of a weight's norm, or of weights that are left out."""
        norms = optimizer.clipnorm or optimizer.global_clipnorm
        known = type(optimizer) in (*BY_NUMBER, keras.optimizers.Muon)
        return known and not (norms or optimizer.use_ema)

    def apply(self, gradients: Sequence[tf.Tensor]) -> None:
        values = self.update(self.packed(self.variables), self.packed(gradients))
        for group, value in zip(self.groups.values(), values, strict=True):
            sizes = [math.prod(self.variables[index].shape) for index in group]
            for index, part in zip(group, tf.split(tf.reshape(value, [-1]), sizes), strict=True):
                self.variables[index].assign(tf.reshape(part, self.variables[index].shape))

    def updated(self, weights: Sequence[tf.Tensor], gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        for whole, value in zip(self.wholes, weights, strict=True):
            whole.assign(value)
        self.optimizer.apply(gradients, self.wholes)
        return [whole.value + 0.0 for whole in self.wholes]

    def packed(self, parts: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        flat = [tf.reshape(tf.convert_to_tensor(part), [-1]) for part in parts]
        return [
            tf.reshape(tf.concat([flat[index] for index in group], 0), [-1, *matrix])
            for matrix, group in self.groups.items()
        ]


def stack_for(variable: keras.Variable, optimizer: keras.optimizers.Optimizer) -> tuple[int, ...]:
    """The shape of a matrix that goes by a rule of matrices; () for what goes by a rule of numbers."""
    matrix = isinstance(optimizer, keras.optimizers.Muon) and not optimizer._should_use_adamw(variable)
    return tuple(variable.shape) if matrix else ()
