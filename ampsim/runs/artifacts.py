"""What a run keeps: its setting, scores and sound and, where ampsim has them, figures and a listening page."""

import json
import math
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas
import yaml

from ampsim import without_passwords
from ampsim.config.run_config import RunConfig
from ampsim.metrics import a_weighted_esr, predicted_mushra, waveform_scores
from ampsim.metrics.scores import Pairs
from ampsim.recordings.pairs import Span
from ampsim.runs.locations import point_to
from ampsim.runs.provenance import environment
from ampsim.runs.tracking import NOTE, TrackedRun
from ampsim.runs.view import description
from ampsim.signals import audio
from ampsim.training.state import State

if TYPE_CHECKING:  # a comparison reads what is kept here, and needs no TensorFlow
    from ampsim.models import AmpModel
    from ampsim.models.rendering import Renderer
    from ampsim.runs.evaluation import Evaluation
    from ampsim.training.fit import Fit

LOUDEST_DB = 200.0  # a gain beyond which none is
PROBES = "probes.json"  # what figures show beside the sound


FEW, MANY = 6, 100  # of a recording's files, in its name and in its source as a dataset


def record_setting(tracked: TrackedRun, folder: Path, fit: "Fit") -> None:
    """What the run starts from: config, recording, machine."""
    recording, config = fit.recording, fit.config
    files = [asdict(record) for record in recording.files]
    spans = {
        name: [{"take": span.take.name, "start": span.start, "stop": span.stop} for span in chosen]
        for name, chosen in fit.splits.items()
    }
    described = {
        "files": files,
        "sample_rate": recording.sample_rate,
        "delay": asdict(recording.delay),
        "splits": spans,
    }
    place = {**environment(), "config_hash": config.identity(recording.digests)}
    written = yaml.safe_dump(dict(config.sections), sort_keys=False, allow_unicode=True)
    write_text(folder / "config.yaml", without_passwords(written))  # it goes into pages that are passed on
    write_text(folder / "recording.json", json.dumps(described, indent=2, ensure_ascii=False))
    write_text(folder / "environment.json", json.dumps(place, indent=2, ensure_ascii=False))
    tracked.log_folder(folder)
    facts: dict[str, Any] = {
        "recording.sample_rate": recording.sample_rate,
        "recording.delay": recording.delay.samples,
    }
    facts |= {f"recording.{number}.{key}": value for number, file in enumerate(files) for key, value in file.items()}
    tracked.log_params(facts)
    tracked.log_tags({"device": place["device"], "host": place["host"]})  # a resumed run may have moved
    profile = {"duration_s": sum(file["duration_s"] for file in files), "sample_rate": recording.sample_rate}
    names = [Path(file["path"]).name for file in files]
    name = ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")
    paths = [file["path"] for file in files[:MANY]]  # MLflow keeps 64 KB of them; recording.json has all
    tracked.log_dataset(name, recording.digests[0], source={"paths": paths}, profile=profile)


def record_result(
    tracked: TrackedRun,
    folder: Path,
    state: State,
    evaluation: "Evaluation",
    model: "AmpModel",
    sample_rate: int,
    *,
    pictures: bool,
) -> None:
    """What the run came to: scores, sound and, unless these are left for later, pictures; the model lies in the folder
    already. Pictures of controls are of the recording too, and never left."""
    signals = evaluation.signals
    # To the last bit, and the sums of blocks beside them, by which `compare` tells two runs apart.
    finite = {name: value if math.isfinite(value) else None for name, value in evaluation.scores.items()}
    write_text(folder / "scores.json", json.dumps({"scores": finite, "blocks": asdict(evaluation.blocks)}))
    write_text(folder / PROBES, evaluation.probes.to_json())
    if evaluation.settings:
        pandas.DataFrame(evaluation.settings).to_csv(folder / "settings.csv", index=False, lineterminator="\n")
    if state.pace:
        write_text(folder / "pace.json", json.dumps(state.pace))
    # One gain for all, so that they stay as loud against each other as they are.
    loudest = max(audio.peak(samples) for samples in signals.values())
    gain = 0.9 / loudest if loudest > 0 else 1.0
    for name, samples in signals.items():
        audio.write(folder / "audio" / f"{name}.wav", samples * gain, sample_rate, subtype="PCM_16")
    pictures = bool(find_spec("ampsim.report")) and (pictures or bool(model.controls))
    if pictures:
        from ampsim.runs.pictures import record_pictures

        record_pictures(tracked, folder, state, evaluation, model, sample_rate)
    # At the step that the run came to and not its best one: those of a run that was stopped and went on come later.
    tracked.log_metrics({f"test_{name}": value for name, value in evaluation.scores.items()}, step=state.step)
    told = description(tracked.id, tracked.experiment_id, tracked.name, evaluation.scores, pictures=pictures)
    # The gain is no param, which could not change.
    tracked.log_tags({"listening_gain_db": f"{audio.decibels(gain):.2f}", NOTE: told})
    tracked.log_folder(folder)
    if tracked.place:
        point_to(tracked.place)


def gain_db(run: TrackedRun) -> float:
    """With which a run's audio was written; 0 where it does not say."""
    with suppress(ValueError):
        stated = float((run.params | run.tags).get("listening_gain_db", 0))  # once a param
        return stated if abs(stated) < LOUDEST_DB else 0.0
    return 0.0


def listened(run: TrackedRun) -> tuple[dict[str, audio.Signal], int]:
    """A run's audio artifacts with the gain that they were written with taken back, and their sample rate."""
    gain = 10 ** (gain_db(run) / 20)
    files = {name: audio.read(run.file(f"audio/{name}.wav")) for name in ("direct", "amp", "prediction")}
    return {name: file.channel(0) / gain for name, file in files.items()}, files["amp"].sample_rate


@dataclass(frozen=True)
class Previews:
    """Keeps the same seconds of the validation split as they sound at each validation, so that one can hear a net learn."""

    sample_rate: int
    duration_s: float = 5.0

    @classmethod
    def of(cls, config: RunConfig, sample_rate: int) -> "Previews | None":
        """What keeps them, where the config asks for it; runs from before it could have no such key."""
        return cls(sample_rate) if config["training"].get("preview") else None

    def keep(self, tracked: TrackedRun, step: int, pairs: Pairs) -> None:
        """Make FLAC files artifacts: `previews/step_N.flac`, and `previews/amp.flac` beside them, with one gain."""
        target, prediction = (np.concatenate(signals) for signals in zip(*pairs, strict=True))
        length = min(round(self.duration_s * self.sample_rate), len(target))
        start = audio.busiest(target, self.sample_rate, length)
        gain = 0.5 / max(audio.peak(target), 1e-9)  # room for a prediction that overshoots
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "previews"
            folder.mkdir()
            for stem, samples in (("amp", target), (f"step_{step:06d}", prediction)):
                excerpt = np.nan_to_num(gain * samples[start : start + length]).astype(np.float32)
                (folder / f"{stem}.flac").write_bytes(audio.flac(audio.to_pcm(excerpt), self.sample_rate))
            tracked.log_folder(Path(name))


def validation_scores(renderers: "Mapping[str, Renderer]", spans: list[Span], state: State) -> dict[str, float]:
    """What the weights that were kept score on the validation split: the figures that a choice between runs may use.

    Args:
        renderers: of the model's members by name, the last of which is the model.
    """
    played = {name: [(span.target, each.span(span)) for span in spans] for name, each in renderers.items()}
    others = {f"best_validation_esr_{name}": waveform_scores(pairs)["esr"] for name, pairs in played.items() if name}
    pairs, sample_rate = [*played.values()][-1], spans[0].take.sample_rate
    return others | {
        "best_validation_loss": state.best_loss,
        "best_validation_esr": waveform_scores(pairs)["esr"],
        "best_validation_a_weighted_esr": a_weighted_esr(pairs, sample_rate),
        "best_validation_predicted_mushra": predicted_mushra(pairs, sample_rate).scores["predicted_mushra"],
    }


def write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
