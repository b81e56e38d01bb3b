"""All that a config and a recording come to before the first step of training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ampsim import AmpsimError
from ampsim.config.run_config import RunConfig
from ampsim.config.targets import build
from ampsim.losses import Sum
from ampsim.models import AmpModel, Controlled
from ampsim.models.layers import bounded_weights
from ampsim.recordings.controls import described
from ampsim.recordings.pairs import Span
from ampsim.recordings.preparing import Recording
from ampsim.signals import audio
from ampsim.training.devices import distribution
from ampsim.training.foreign import check_model, check_term
from ampsim.training.segments import Segments
from ampsim.training.trainer import Trainer

# Keys of `training` that the segments, the model or the run take.
NOT_OF_TRAINER = ("segment_length", "devices", "conditioning", "conditioning_parts", "preview")


@dataclass(frozen=True)
class Fit:
    """A model with its levels set, the loss prepared for its recording, and what it is trained and scored on.

    `experiment.run`, notebooks and the studies of `experiments/` all begin here, so that no step is forgotten.
    """

    config: RunConfig
    recording: Recording
    strategy: tf.distribute.Strategy
    model: AmpModel
    optimizer: keras.optimizers.Optimizer
    splits: dict[str, list[Span]]
    segments: Segments
    loss: Sum

    @classmethod
    def of(cls, config: RunConfig, recording: Recording) -> "Fit":
        """Build what the config names, for this recording; the same seed gives the same weights on the same machine.

        Raises:
            AmpsimError: a part refuses its arguments, a split is too short, or there are not as many devices.
        """
        strategy = distribution(config["training"]["devices"])
        with strategy.scope():
            if not config["model"]["_target_"].startswith("ampsim."):
                check_model(built(config, lambda: plain_model(config, recording)))
            make_deterministic(config["seed"])
            model = built(config, lambda: model_for(config, recording))
            optimizer = build(config["optimizer"], "optimizer")
        # The model states its memory; the splits keep that much apart.
        splits = recording.split(gap=model.receptive_field)
        model.fit_levels(*levels(splits["train"]))
        if isinstance(model, Controlled):
            settings = [span.take.setting for span in splits["train"]]
            model.fit_volumes(settings, [audio.rms(span.target) for span in splits["train"]])
        length = config["training"]["segment_length"]
        segments = Segments(splits["train"], history=model.history, lookahead=model.lookahead, segment_length=length)
        with strategy.scope():
            loss = sum_of(config).prepare(
                sample_rate=recording.sample_rate, segment_length=length, target=segments.targets()
            )
            for name, term in loss.terms.items():
                if not type(term).__module__.startswith("ampsim."):
                    check_term(name, term, length)
        return cls(config, recording, strategy, model, optimizer, splits, segments, loss)

    def trainer(
        self, *, checkpoint: Path | None = None, resume: bool = False, pace: Sequence[float] | None = None
    ) -> Trainer:
        """What trains the model within the config's budget; see `Trainer` for the arguments."""
        options = {
            key: value for key, value in self.config["training"].items() if key not in ("resume", *NOT_OF_TRAINER)
        }
        with self.strategy.scope():
            return Trainer(
                self.model,
                self.loss,
                self.optimizer,
                build(self.config["schedule"], "schedule"),
                self.segments,
                self.splits["validation"],
                seed=self.config["seed"],
                checkpoint=checkpoint,
                resume=resume,
                pace=pace,
                **options,
            )

    def __str__(self) -> str:
        rate = self.recording.sample_rate
        parts = ", ".join(f"{name} {sum(map(len, spans)) / rate:.1f} s" for name, spans in self.splits.items())
        memory = self.model.receptive_field
        window = f"{memory:,} samples ({1000 * memory / rate:.0f} ms)"
        return (
            f"{parts}; {self.model.count_params():,} parameters that see {window}; "
            f"{self.segments.num_segments:,} segments an epoch"
        )


def model_for(config: RunConfig, recording: Recording) -> AmpModel:
    """The model that the config names, of the recording's controls where it has some."""
    if not recording.controls:
        return plain_model(config, recording)
    chosen = {"conditioning": config["training"]["conditioning"], "parts": config["training"]["conditioning_parts"]}
    controls, rate = described(recording.controls), recording.sample_rate
    return Controlled(net=config["model"], controls=controls, sample_rate=rate, **chosen)


def plain_model(config: RunConfig, recording: Recording) -> AmpModel:
    model: AmpModel = build(config["model"], "model", sample_rate=recording.sample_rate)
    return model


def built(config: RunConfig, make: Callable[[], AmpModel]) -> AmpModel:
    """What `make` gives, with its weights.

    Raises:
        AmpsimError: its sizes make no sense, or more than the memory holds.
    """
    try:
        with bounded_weights(f"the model ({config['model']['_target_'].rpartition('.')[2]})"):
            model = make()
            model.build()
    except (ArithmeticError, MemoryError, TypeError, ValueError, tf.errors.OpError) as error:  # Keras', of odd sizes
        reason = str(error).strip().partition("\n")[0]
        raise AmpsimError(f"this model cannot be built: {reason}; see the sizes in its section `model`") from error
    return model


def sum_of(config: RunConfig) -> Sum:
    """The loss that the config names.

    Raises:
        AmpsimError: it names a single term.
    """
    loss = build(config["loss"], "loss")
    if isinstance(loss, Sum):
        return loss
    raise AmpsimError(
        f"loss names a single term, {config['loss']['_target_']}, and has to name a sum of terms: "
        "_target_: ampsim.losses.Sum, and below `terms:` each term's section by a name of its own"
    )


def levels(spans: list[Span]) -> tuple[float, float]:
    """The RMS of input and target over all spans, full scale at 1."""
    inputs, targets = zip(*((span.direct, span.target) for span in spans), strict=True)
    return audio.rms(np.concatenate(inputs)), audio.rms(np.concatenate(targets))


def make_deterministic(seed: int) -> None:
    """Same seed, same machine, same weights: seeds for everything that draws, and no operation that races."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
