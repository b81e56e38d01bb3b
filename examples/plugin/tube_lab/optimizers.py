"""An optimizer of one's own: Adam with other defaults."""

from typing import Any

import keras


@keras.saving.register_keras_serializable("tube_lab")
class Steady(keras.optimizers.Adam):
    """Adam with a longer memory, so that it takes steadier steps."""

    def __init__(self, *, beta_1: float = 0.95, **kwargs: Any) -> None:
        super().__init__(beta_1=beta_1, **kwargs)
