"""Which weights of a model an optimizer of matrices leaves to Adam's rule."""

import re

import keras

from ampsim.models.base import AmpModel


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
