"""Losses on short-time spectra, which hear how strong each frequency is and not its phase."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import fft

from ampsim import AmpsimError
from ampsim.losses.loss import Loss, Tensor
from ampsim.losses.waveform import TINY as SILENCE
from ampsim.metrics import mushra
from ampsim.signals import filters

HIGHEST_HZ = mushra.RATE / 2  # of the bands of predicted MUSHRA, at whatever rate the loss works
TINY = 1e-20  # a power far below any floor; keeps a root's gradient finite


class Spectral(Loss):
    """The part that all losses on short-time spectra share: their sizes, and a floor under what is compared.

    Args:
        sizes_ms: window lengths in milliseconds, each rounded to the nearest even number of samples.
        sizes: window lengths in samples, in place of `sizes_ms`. Without both a loss takes its `usual_sizes_ms`.
        overlap: of neighbouring windows, as a share of their length.
        floor_db: level in dB that is added to every magnitude as a power, so that nothing is learnt from what nobody
            hears.
        relative: measure `floor_db` from a sine as strong as all targets to train on, as `ESR` does, so that a gain on
            the whole recording changes nothing (re full scale until `prepare` knows them). Without it, as in configs
            that do not say it, `floor_db` is measured from a full-scale sine.
    """

    usual_sizes_ms: Sequence[float]

    def __init__(
        self,
        *,
        sizes_ms: Sequence[float] | None = None,
        sizes: Sequence[int] | None = None,
        overlap: float = 0.75,
        floor_db: float = -80.0,
        relative: bool = False,
        weight: float = 1.0,
    ) -> None:
        super().__init__(weight=weight)
        if sizes_ms is not None and sizes is not None:
            raise ValueError("give either sizes_ms (milliseconds) or sizes (samples)")
        given = list(next(each for each in (sizes, sizes_ms, self.usual_sizes_ms) if each is not None))
        if not given or not all(size > 0 for size in given):
            raise ValueError(f"{given}: at least one window length above 0")
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap={overlap}: it is a share from 0 up to 1")
        self.given, self.in_samples = given, sizes is not None
        self.overlap, self.relative = overlap, relative
        self.floor = self.floor_ratio = 10 ** (floor_db / 10)
        self.sizes: list[int] = []
        self.sample_rate = 0

    def prepare(self, *, sample_rate: int, segment_length: int, target: Tensor | None = None) -> None:
        samples = self.given if self.in_samples else [size * sample_rate / 1000 for size in self.given]
        self.sizes = [max(16, 2 * round(size / 2)) for size in samples]
        self.sample_rate = sample_rate
        if max(self.sizes) > segment_length:
            raise AmpsimError(
                f"{type(self).__name__}: a window of {max(self.sizes):,} samples is longer than the {segment_length:,} "
                f"samples it is given: raise training.segment_length by {max(self.sizes) - segment_length:,} or more, or "
                f"shorten the loss term's {'sizes' if self.in_samples else 'sizes_ms'}"
            )
        self.prepare_sizes()
        if self.relative and target is not None:
            self.floor = self.floor_ratio * self.level(target)

    def prepare_sizes(self) -> None:
        """Compute what a kind of loss needs for each of `sizes` at `sample_rate`."""

    def level(self, target: Tensor) -> float:
        """The power that a relative floor is measured from, of targets to train on."""
        return 2 * max(float(tf.reduce_mean(tf.square(target))), SILENCE)

    def __call__(self, target: Tensor, prediction: Tensor) -> Tensor:
        if not self.sizes:
            raise RuntimeError(f"{type(self).__name__} does not know the sample rate: call prepare() first")
        signals = tf.stack([target, prediction])  # one FFT for both
        values = []
        for size in self.sizes:
            powers = self.powers(signals, size)
            values.append(self.compare(powers[0], powers[1], size))
        return tf.add_n(values) / len(values)

    def compare(self, target: Tensor, prediction: Tensor, size: int) -> Tensor:
        """The loss at one size from two power spectrograms, (batch, frames, size // 2 + 1); a full-scale sine peaks at 1."""
        raise NotImplementedError

    def powers(self, signals: Tensor, size: int) -> Tensor:
        """Power spectrograms of whole windows, Hann; a signal shorter than one window is filled up with silence."""
        window = np.hanning(size + 1)[:-1]
        step = max(1, round(size * (1 - self.overlap)))
        missing = max(0, size - signals.shape[-1])
        frames = tf.signal.frame(tf.pad(signals, [[0, 0]] * 2 + [[0, missing]]), size, step)
        spectrum = tf.signal.rfft(frames * (2 * window / window.sum()).astype(np.float32))
        return tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))


class MultiResolutionSTFT(Spectral):
    """Spectral convergence plus the mean distance of log magnitudes, averaged over window sizes.

    Yamamoto et al. (2020), Parallel WaveGAN, 10.1109/ICASSP40776.2020.9053795. The convergence is a ratio over the whole
    batch, like `ESR`. Neither part hears phase.
    """

    usual_sizes_ms = (11.61, 23.22, 46.44)  # 512, 1024 and 2048 samples at 44.1 kHz

    def compare(self, target: Tensor, prediction: Tensor, size: int) -> Tensor:
        target, prediction = target + self.floor, prediction + self.floor
        root, other = tf.sqrt(target), tf.sqrt(prediction)
        distance = tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(root - other)), TINY))
        # With the floor in both, a silent batch is compared with its floor and not with nothing.
        convergence = distance / tf.sqrt(tf.reduce_sum(target))
        return convergence + 0.5 * tf.reduce_mean(tf.abs(tf.math.log(target) - tf.math.log(prediction)))


class AWeightedSpectralMSE(Spectral):
    """Mean squared difference of A-weighted short-time magnitudes.

    Scaled by Parseval's theorem so that, if phase counted, it would be the mean squared error of the A-weighted signals:
    its numbers compare with those of `AWeighted(MSE())`. If `relative`, it is divided by the same of the target, and so
    compares with `AWeighted(ESR())`.

    Args:
        energy_floor_db: as `floor_db` of `ESR`, which only a relative one needs.
        spectral: the arguments of `Spectral`.
    """

    usual_sizes_ms = (23.22,)

    def __init__(self, *, energy_floor_db: float = -20.0, **spectral: Any) -> None:
        super().__init__(**spectral)
        self.energy_ratio = 10 ** (energy_floor_db / 10)
        self.least: dict[int, float] = {}  # energy, by size
        self.weights: dict[int, np.ndarray] = {}  # of bins, by size

    def prepare(self, *, sample_rate: int, segment_length: int, target: Tensor | None = None) -> None:
        super().prepare(sample_rate=sample_rate, segment_length=segment_length, target=target)
        self.weights = {size: self.weight_of_bins(size) for size in self.sizes}
        if not self.relative:
            return
        if target is None:
            self.least = dict.fromkeys(self.sizes, self.energy_ratio / 2)  # of a full-scale sine at 1 kHz
            return
        given = tf.constant(target, tf.float32)[None]
        for size in self.sizes:
            energy = max(float(self.weighted(self.powers(given, size)[0], size)), SILENCE)
            self.least[size] = self.energy_ratio * energy

    def weight_of_bins(self, size: int) -> np.ndarray:
        frequency = np.fft.rfftfreq(size, 1 / self.sample_rate)
        window = np.hanning(size + 1)[:-1]
        # Parseval, for a window scaled to 2 at its sum; bins between 0 Hz and half the rate stand for two.
        weight = np.square(filters.a_magnitude(frequency)) * window.sum() ** 2 / (4 * size * np.sum(window**2))
        weight[1:-1] *= 2
        return weight.astype(np.float32)

    def weighted(self, power: Tensor, size: int) -> Tensor:
        return tf.reduce_mean(tf.reduce_sum(power * self.weights[size], axis=-1))

    def compare(self, target: Tensor, prediction: Tensor, size: int) -> Tensor:
        difference = tf.square(tf.sqrt(target + self.floor) - tf.sqrt(prediction + self.floor))
        error = self.weighted(difference, size)
        return error / tf.maximum(self.weighted(target, size), self.least[size]) if self.relative else error


class LogMel(Spectral):
    """Mean distance of the logs of mel-band powers, in dB.

    Args:
        num_bands: bands from `low_hz` to `high_hz`, equally wide on the mel scale.
        high_hz: None takes 16 kHz, or 0.45 of the sample rate if that is lower. Bands that reach above half the sample rate
            are all moved down, so that they end at 0.45 of it: a preset for the treble works at any rate.
        spectral: the arguments of `Spectral`.
    """

    usual_sizes_ms = (46.44,)

    def __init__(
        self, *, num_bands: int = 40, low_hz: float = 60.0, high_hz: float | None = None, **spectral: Any
    ) -> None:
        super().__init__(**spectral)
        self.num_bands, self.low_hz, self.high_hz = num_bands, low_hz, high_hz
        self.bands: dict[int, np.ndarray] = {}

    def prepare_sizes(self) -> None:
        rate = self.sample_rate
        low_hz, high_hz = self.low_hz, min(16000.0, 0.45 * rate) if self.high_hz is None else self.high_hz
        if not 0 <= low_hz < high_hz:
            raise AmpsimError(
                f"LogMel: there are no bands from {low_hz:g} to {high_hz:g} Hz at {rate} Hz: set the loss "
                f"term's low_hz and high_hz between 0 and {rate / 2:g}"
            )
        if high_hz > rate / 2:
            low_hz, high_hz = 0.45 * rate / high_hz * low_hz, 0.45 * rate
        for size in self.sizes:
            bands = filters.mel_bands(self.num_bands, size, rate, low_hz=low_hz, high_hz=high_hz)
            refuse_empty(bands, self, size)
            self.bands[size] = bands.astype(np.float32)

    def compare(self, target: Tensor, prediction: Tensor, size: int) -> Tensor:
        levels = [tf.math.log(tf.matmul(power, self.bands[size]) + self.floor) for power in (target, prediction)]
        return tf.reduce_mean(tf.abs(levels[0] - levels[1])) * (10 / np.log(10))


class MFCC(Spectral):
    """Mean absolute difference of mel-frequency cepstral coefficients: the distance that predicted MUSHRA is computed from
    (`metrics.mushra`), on windows that lie in the segment whole.

    Its bands are those of 44.1 kHz at any sample rate; those above half the rate are empty on both sides. The formula
    measures its floor from the highest band of each signal by itself, so that the two differ where a prediction that is
    louder or softer meets bands below any noise.

    Args:
        num_bands: on Slaney's mel scale, from 0 to 22.05 kHz.
        num_coefficients: the first of so many bands' cosine transform that count.
        floor_db: levels this far below the highest band of all targets to train on are raised to it.
        spectral: the other arguments of `Spectral`.
    """

    usual_sizes_ms = (46.44,)  # 2048 samples at 44.1 kHz

    def __init__(
        self,
        *,
        num_bands: int = mushra.NUM_BANDS,
        num_coefficients: int = mushra.NUM_COEFFICIENTS,
        floor_db: float = -mushra.RANGE_DB,
        relative: bool = True,
        **spectral: Any,
    ) -> None:
        super().__init__(floor_db=floor_db, relative=relative, **spectral)
        if not 1 <= num_coefficients <= num_bands:
            raise ValueError(f"num_coefficients={num_coefficients}: it goes from 1 to num_bands ({num_bands})")
        self.num_bands = num_bands
        # Of levels in natural logarithms, so that the coefficients are those of decibels.
        cosines = fft.dct(np.eye(num_bands), norm="ortho", axis=1)[:, :num_coefficients]
        self.cosines = (cosines * 10 / np.log(10)).astype(np.float32)
        self.bands: dict[int, np.ndarray] = {}

    def prepare_sizes(self) -> None:
        for size in self.sizes:
            bands = filters.slaney_bands(self.num_bands, size, self.sample_rate, high_hz=HIGHEST_HZ)
            refuse_empty(bands[:, : self.num_below_half()], self, size)
            self.bands[size] = bands.astype(np.float32)

    def num_below_half(self) -> int:
        """Bands that lie below half the sample rate, in which every window has a bin."""
        fine = filters.slaney_bands(self.num_bands, 2**16, self.sample_rate, high_hz=HIGHEST_HZ)
        return int(np.sum(np.any(fine[:-1] > 0, axis=0) & (fine[-1] == 0)))

    def level(self, target: Tensor) -> float:
        """That of the highest band of any window."""
        given = tf.constant(target, tf.float32)[None]
        return max(
            SILENCE,
            *(float(tf.reduce_max(tf.matmul(self.powers(given, each), self.bands[each]))) for each in self.sizes),
        )

    def compare(self, target: Tensor, prediction: Tensor, size: int) -> Tensor:
        levels = [
            tf.math.log(tf.maximum(tf.matmul(power, self.bands[size]), self.floor)) for power in (target, prediction)
        ]
        return tf.reduce_mean(tf.abs(tf.matmul(levels[0] - levels[1], self.cosines)))


def refuse_empty(bands: np.ndarray, loss: Spectral, size: int) -> None:
    """Raises AmpsimError where no bin of a window lies in one of these bands, (num_bins, num_bands)."""
    if empty := int(np.sum(bands.max(axis=0) == 0)):
        raise AmpsimError(
            f"{type(loss).__name__}: {empty} of {bands.shape[1]} bands are narrower than a bin of a window of {size} "
            "samples: lower the loss term's num_bands, or lengthen its windows"
        )
