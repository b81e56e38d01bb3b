"""Tones beside the recording: a penalty on what a net adds to a sine off its harmonics."""

import math

import numpy as np
import tensorflow as tf

from ampsim import AmpsimError
from ampsim.models import AmpModel
from ampsim.training.segments import Segments

PERIOD = 1024  # samples; an odd number of periods fits, so that no harmonic that folds back falls on another
LOW_HZ, HIGH_HZ = 1000.0, 8000.0
RANGE_DB = 36.0  # the tones' peaks lie from that of the recording to so much below it
TINY = 1e-12  # power, of full scale
FLOOR = 1e-9  # of the power on the harmonics: aliases below it are not worth a thing


class Tones:
    """One sine a step, of a pitch and a level that are drawn anew, which the model hears for as long as it remembers.

    A recording seldom has loud high notes, so that nothing there keeps a net from folding their harmonics back. What an
    amp would play is not known either, but that it plays nothing off their harmonics is.

    Args:
        sample_rate: in hertz.
        peak: of the recording's direct signal, full scale at 1.
        weight: of the penalty in the loss.
    """

    def __init__(self, model: AmpModel, *, sample_rate: int, peak: float, weight: float) -> None:
        self.model, self.peak, self.weight = model, peak, weight
        low, high = (hz * PERIOD / sample_rate for hz in (LOW_HZ, min(HIGH_HZ, 0.4 * sample_rate)))
        self.low, self.high = math.log(low / 2), math.log(high / 2)

    @classmethod
    def of(cls, model: AmpModel, segments: Segments, weight: float) -> "Tones":
        """Raises AmpsimError for a model that does not know its sample rate."""
        if model.sample_rate is None:
            raise AmpsimError("training.anti_aliasing needs a model that knows its sample rate: give it sample_rate=")
        return cls(model, sample_rate=model.sample_rate, peak=float(np.max(np.abs(segments.input))), weight=weight)

    def penalty(self, seed: tf.Tensor) -> tf.Tensor:
        """Aliases over harmonics, in bels; `seed` is two integers, the same for the same tone."""
        drawn = tf.random.stateless_uniform((3, 1, 1), seed)
        number = 2 * tf.cast(tf.round(tf.exp(self.low + (self.high - self.low) * drawn[0])), tf.int32) + 1
        amplitude = self.peak * 10 ** (-RANGE_DB / 20 * drawn[1])
        time = tf.range(self.model.receptive_field - 1 + PERIOD)
        turns = tf.cast(number * time % PERIOD, tf.float32) / PERIOD + drawn[2]
        output = self.model(amplitude * tf.sin(2 * np.pi * turns), training=True)
        spectrum = tf.signal.rfft(output)
        power = (tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))) * (2 / PERIOD) ** 2
        bins = tf.range(PERIOD // 2 + 1)
        harmonic = tf.cast(bins % number == 0, tf.float32)
        on = tf.reduce_sum((harmonic * power)[:, 1:], axis=1)
        off = tf.reduce_sum((1 - harmonic) * power, axis=1)
        return tf.reduce_sum(tf.math.log(off + FLOOR * on + TINY) - tf.math.log(on + TINY)) / math.log(10)
