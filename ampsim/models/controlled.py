"""A model of any family for an amp with its controls: its weights are a function of their setting."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ampsim.config.targets import build
from ampsim.models.base import AmpModel, Example, PlainStream
from ampsim.models.layers import check_sizes
from ampsim.models.wavenet_cab import WaveNetCab
from ampsim.recordings.controls import controls_of, encoded

RIDGE = 0.1  # of the fit of volumes, whose features are at most 1
BEND = 0.15
CONDITIONINGS = ("weights", "film", "bias")


class Controlled(AmpModel):
    """A net whose weights are w(c) = w0 + g(c) D for a setting c of the controls, so that at any one setting it is a plain
    model of its family: it is trained, streamed and exported as one, and costs a player no more. Its output is turned up or
    down by exp(l(c)), as a volume knob's decibels are no sum of weights.

    w0, D and l, a polynomial of degree 2 and a part of g's hidden layer, are learnt, and so is g, a small net of one hidden
    layer (tanh) to `parts` numbers (Ha, Dai & Le 2016 call w a hypernetwork's output; the sum over parts is a conditionally
    parameterised layer, Yang et al. 2019). Both hear each knob on its own scale and on a logarithmic one: from few settings
    the way between them can be told only where it is nearly straight.

    Args:
        net: config of a plain model: `_target_` and its arguments.
        bend: of a knob's range, what is added to it before its logarithm: pots of gain and volume have a taper, for ears that
            hear ratios, and most happens at their low end. 0 leaves the logarithmic scale out.
        controls: by name, a range for a knob and positions for a switch; see `controls_of`.
        conditioning: what of the net depends on the setting: "weights" is all; "film" a factor for each output channel of a
            matrix, and all of a vector (biases and filters); "bias" the vectors alone, which is as if each layer heard the
            controls among its inputs.
        parts: rank of that dependence.
        units: of the hidden layer.
    """

    levelled = False  # its net is

    def __init__(
        self,
        *,
        net: dict[str, Any],
        controls: Mapping[str, Sequence[Any]],
        conditioning: str = "weights",
        parts: int = 8,
        units: int = 16,
        bend: float = BEND,
        future: int = 1,
        sample_rate: int | None = None,
        **keras_arguments: Any,
    ) -> None:
        check_sizes(parts=parts, units=units)
        if bend < 0:
            raise ValueError(f"bend={bend}: it is a share of a knob's range, or 0 for its own scale alone")
        if conditioning not in CONDITIONINGS:
            raise ValueError(f"conditioning={conditioning}: it is one of {', '.join(CONDITIONINGS)}")
        if not isinstance(net, dict):  # but a model that was built from it
            raise ValueError("net is the config of a plain model, and no model itself")
        plain: AmpModel = build(net, "model", **({} if sample_rate is None else {"sample_rate": sample_rate}))
        if len(plain.members()) > 1 or plain.controls:
            raise ValueError(
                f"a {type(plain).__name__} holds several nets: one that is a single net can learn controls"
            )
        super().__init__(future=plain.future, sample_rate=plain.sample_rate, **keras_arguments)
        self._arguments.update(future=plain.future, bend=bend)
        object.__setattr__(
            self, "net", plain
        )  # past Keras' tracking: its variables are places for weights and nothing more
        object.__setattr__(self, "controls", controls_of(controls))
        self.conditioning, self.parts, self.units, self.bend = conditioning, parts, units, bend
        self.xla_rendering, self.batch_size = plain.xla_rendering, plain.batch_size
        # In one piece XLA would compute each weight anew wherever it is read, which took 70 times as long.
        self.xla_training, self.xla_parts = False, plain.xla_training or plain.xla_parts
        whole = plain.xla_training and not plain.xla_parts
        self.learning_net = tf.function(self.net_with, jit_compile=True, autograph=False) if whole else self.net_with

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Controlled":
        """The first models with controls were saved without `bend`, and have none."""
        return cls(**{"bend": 0.0, **config})

    @property
    def receptive_field(self) -> int:
        return self.net.receptive_field

    def build(self, input_shape: Any = None) -> None:
        self.net.build()
        size = sum(control.size for control in self.controls)
        weights = self.net.trainable_variables
        self.base = [
            self.add_weight(
                shape=each.shape, initializer=keras.initializers.Constant(each.numpy()), name=f"base_{number}"
            )
            for number, each in enumerate(weights)
        ]
        moved = [self.moves(each.shape) for each in weights]
        self.directions = [
            self.add_weight(shape=(self.parts, math.prod(shape)), initializer="zeros", name=f"directions_{number}")
            for number, shape in enumerate(moved)
            if shape
        ]
        spread = keras.initializers.VarianceScaling(1.0, "fan_in", "normal")
        self.hidden = keras.layers.Dense(
            self.units, "tanh", kernel_initializer=spread, bias_initializer="random_normal"
        )
        self.mixing = keras.layers.Dense(self.parts, kernel_initializer=spread, name="mixing")
        self.hidden.build((None, size if not self.bend else 2 * size))
        self.mixing.build((None, self.units))
        count = int(features(tf.zeros(size), self.bend).shape[0])
        self.level = self.add_weight(shape=(count,), initializer="zeros", name="level")
        self.trim = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="trim")
        self.trim.build((None, self.units))
        # What is played now. Each replica sets it to the same.
        self.setting = self.add_weight(
            shape=(size,), initializer="zeros", trainable=False, name="setting", aggregation="only_first_replica"
        )
        self.built = True

    def moves(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of what a setting changes of a weight of this shape; empty for nothing."""
        if self.conditioning == "weights" or len(shape) < 2:
            return tuple(shape)
        return (shape[-1],) if self.conditioning == "film" else ()

    def weights_now(self) -> list[tf.Tensor]:
        """The net's weights at the setting that is played now."""
        return self.weights_of(self.mix())

    def mix(self) -> tf.Tensor:
        """g at that setting: how much of each direction there is, (parts,)."""
        return self.mixing(self.hidden(heard(self.setting.value, self.bend)[None]))[0] / math.sqrt(self.parts)

    def weights_of(self, mix: tf.Tensor) -> list[tf.Tensor]:
        """The net's weights, which are a straight function of this, (parts,)."""
        directions, found = iter(self.directions), []
        for base in self.base:
            shape = self.moves(base.shape)
            if not shape:
                found.append(tf.convert_to_tensor(base))
                continue
            moved = tf.reshape(tf.linalg.matvec(next(directions), mix, transpose_a=True), shape)
            film = len(shape) < len(base.shape)
            found.append(base * (1.0 + moved) if film else base + moved)
        return found

    def volume(self) -> tf.Tensor:
        """The factor on the net's output at the setting that is played now."""
        setting = self.setting.value
        told = tf.tensordot(features(setting, self.bend), tf.convert_to_tensor(self.level), 1)
        return tf.exp(told + self.trim(self.hidden(heard(setting, self.bend)[None]))[0, 0])

    def net_with(self, weights: list[tf.Tensor], segment: tf.Tensor, *, training: bool) -> tf.Tensor:
        with self.holding(weights):
            return self.net(segment, training=training)

    @contextmanager
    def holding(self, weights: list[tf.Tensor]) -> Iterator[None]:
        """Within it these are the net's weights."""
        with keras.StatelessScope(state_mapping=[*zip(self.net.trainable_variables, weights, strict=True)]):
            yield

    def turn(self, setting: Sequence[float]) -> None:
        if setting:  # a signal that is no recording, such as a test tone, has none, and what is played goes on
            self.setting.assign(encoded(self.controls, setting))
        self.placed()

    @contextmanager
    def turned(self, values: tf.Tensor) -> Iterator[None]:
        numbers = []
        for control, value in zip(self.controls, tf.unstack(values), strict=True):
            if control.positions:
                numbers += [tf.cast(tf.abs(value - index) < 0.5, tf.float32) for index in range(control.size)]
            else:
                numbers.append(2 * (value - control.low) / (control.high - control.low) - 1)
        with keras.StatelessScope(state_mapping=[(self.setting, tf.stack(numbers))]):
            yield

    def call(self, segment: tf.Tensor, training: bool = False) -> tf.Tensor:
        net = self.learning_net if training else self.net_with
        return self.volume() * net(self.weights_now(), segment, training=training)

    def placed(self) -> AmpModel:
        """The net itself with the weights of the setting that is played now, until that or what is learnt is another."""
        self.place()
        return self.net

    @cached_property
    def place(self) -> Any:
        def assign() -> None:
            for variable, value in zip(self.net.trainable_variables, self.weights_now(), strict=True):
                variable.assign(value)

        return tf.function(assign, autograph=False)

    def at(self, setting: Sequence[float]) -> AmpModel:
        """The plain model that this one is at a setting, one value a control."""
        self.turn(setting)
        gain = {"output_gain": self.net.output_gain * float(self.volume())}
        plain: AmpModel = build({**self._arguments["net"], "sample_rate": self.sample_rate, **gain}, "model")
        plain.build()
        plain.set_weights(self.net.get_weights())
        return plain

    def fit_levels(self, input_rms: float, target_rms: float) -> None:
        self.net.fit_levels(input_rms, target_rms)
        self._arguments["net"] = self._arguments["net"] | {
            "input_gain": self.net.input_gain,
            "output_gain": self.net.output_gain,
        }

    def fit_volumes(self, settings: Sequence[Sequence[float]], target_rms: Sequence[float]) -> None:
        """Begin with a volume at each setting by least squares from the levels of a recording (full scale at 1).

        A master volume turns a recording down by 40 dB, which weights would be long in learning.
        """
        seen = tf.constant([encoded(self.controls, setting) for setting in settings], tf.float32)
        told = features(seen, self.bend).numpy()
        wanted = np.log(np.maximum(target_rms, 1e-6) / self.net.output_gain)
        self.level.assign(np.linalg.solve(told.T @ told + RIDGE * np.eye(told.shape[1]), told.T @ wanted))

    def solve(self, examples: Sequence[Example]) -> bool:
        """The filter that all settings share is solved for together, from what is left at each."""
        found = []
        for setting in dict.fromkeys(each.setting for each in examples):
            self.turn(setting)
            volume = float(self.volume())
            levelled = [each._replace(target=each.target / volume) for each in examples if each.setting == setting]
            found.append(self.net.equations(levelled) if isinstance(self.net, WaveNetCab) else None)
        told = [each for each in found if each]
        if not told:
            return False
        autocorrelation, cross_correlation = (np.sum(parts, axis=0) for parts in zip(*told, strict=True))
        (base,) = (
            own
            for own, place in zip(self.base, self.net.trainable_variables, strict=True)
            if place is self.net.cabinet.kernel
        )
        base.assign_add(self.net.filter_for(autocorrelation, cross_correlation))
        return True

    def adam_weights(self) -> list[keras.Variable]:
        matrices = {id(base) for base, _, _ in self.matrices()}
        return [weight for weight in self.trainable_weights if id(weight) not in matrices]

    def stacks(self) -> list[tuple[keras.Variable, tuple[int, ...]]]:
        return [(directions, shape) for _, directions, shape in self.matrices() if directions is not None]

    def matrices(self) -> list[tuple[keras.Variable, keras.Variable | None, tuple[int, ...]]]:
        """What an optimizer of matrices takes of the net itself: w0, D where a setting moves all of it, and the shape."""
        left, found = {id(weight) for weight in self.net.adam_weights()}, []
        directions = iter(self.directions)
        for base, place in zip(self.base, self.net.trainable_variables, strict=True):
            moved = self.moves(base.shape)
            own = next(directions) if moved else None
            if len(base.shape) == 2 and id(place) not in left:
                found.append((base, own if len(moved) == 2 else None, tuple(base.shape)))
        return found

    def stream(self, block: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
        # At the setting for which the state was made, or `turn` has chosen since.
        output, state = self.net.stream(block, state)
        return self.volume() * output, state

    def stream_state(self) -> Any:
        return self.placed().stream_state()

    def settled_state(self) -> Any:
        return self.placed().settled_state()

    def zero_state(self) -> Any:
        return self.placed().zero_state()

    def plain_stream(self, block_length: int) -> tuple[PlainStream, Any]:
        stream, state = self.placed().plain_stream(block_length)

        def streamed(block: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
            with self.holding(self.weights_now()):
                output, state = stream(block, state)
            return self.volume() * output, state

        return streamed, state


def bent(setting: tf.Tensor, bend: float) -> tf.Tensor:
    """The numbers of a setting on a logarithmic scale, which again goes from -1 to 1."""
    return 2 * tf.math.log((setting + 1) / 2 / bend + 1) / math.log(1 / bend + 1) - 1


def heard(setting: tf.Tensor, bend: float) -> tf.Tensor:
    """What g hears of a setting, (..., size): (..., 2 * size) or, without bend, as it is."""
    return tf.concat([setting, bent(setting, bend)], -1) if bend else setting


def features(setting: tf.Tensor, bend: float) -> tf.Tensor:
    """What l is a sum of: 1, what g hears, and squares and products of the bent setting; without bend, setting and squares.

    Products, since a stage that clips lets less through of what is turned up before it.
    """
    if not bend:
        return tf.concat([setting, setting**2], -1)
    parts = tf.unstack(bent(setting, bend), axis=-1)
    products = [one * other for number, one in enumerate(parts) for other in parts[: number + 1]]
    return tf.concat([tf.ones_like(setting[..., :1]), heard(setting, bend), tf.stack(products, -1)], -1)
