"""Renders of any tool against an amp's recording: aligned, scored, put in order.

No run, no store and no net is needed: a render is an audio file.
"""

import html
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ampsim import AmpsimError, __version__, counted
from ampsim.comparing.ranking import Contest, Difference, Group, Trial
from ampsim.config.targets import nearest
from ampsim.files import expanded, refuse_existing, refuse_larger, write_text
from ampsim.metrics import Blocks, measured, zimtohrli
from ampsim.metrics.scores import SCORES, current, larger_is_better
from ampsim.recordings.channels import silent
from ampsim.recordings.match import drifts
from ampsim.recordings.sources import mono
from ampsim.signals import audio
from ampsim.signals.alignment import Timing, advanced, least_error, timing
from ampsim.signals.audio import AudioFile, Signal, clock

if TYPE_CHECKING:
    import pandas

FILES = ("scores.csv", "scores.json", "listen.html")
SHORTEST_S = 0.1  # of the common part
SHARE = 0.5  # of what the others cover, which a candidate covers to be scored with them
LEVEL_DB = 0.5  # from which a difference of level is told
LEFT_OUT_S = 0.05  # of a recording, from which what is not scored is told

Report = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Candidate:
    """One render: how it lay against the target, its samples from `start` of the target on, and what they score.

    Args:
        delay: samples of the target's rate by which it lagged, which are taken out; None where none is clear.
        inverted: whether its polarity was turned.
        gain_db: at which its error would be least; NaN for silence. It is not applied.
        esr_at_gain: the ESR that would be left then.
    """

    name: str
    path: Path
    samples: Signal
    start: int = 0
    delay: float | None = None
    inverted: bool = False
    gain_db: float = math.nan
    esr_at_gain: float = math.nan
    scores: Mapping[str, float] | None = None
    blocks: Blocks | None = None
    notes: tuple[str, ...] = ()

    @property
    def stop(self) -> int:
        return self.start + len(self.samples)


@dataclass(frozen=True, eq=False)
class Scorecard:
    """Candidates by one score, best first, on the part of the target that all of them cover.

    `differences[k]` is that of candidate k + 1 to the best, None where no chance is known; `left_out` are names and
    sentences of those that could not be scored.
    """

    target: Path
    samples: Signal
    sample_rate: int
    start: int
    metric: str
    candidates: list[Candidate]
    differences: list[Difference | None]
    left_out: list[tuple[str, str]]
    notes: list[str]

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate

    @property
    def part(self) -> str:
        """What of the target was scored, in words."""
        start_s = self.start / self.sample_rate
        return f"{clock(start_s)} to {clock(start_s + self.duration_s)} of {self.target.name}"

    def marks(self, metric: str) -> list[str]:
        """For each candidate "*" if it is the best by a score, "=" if it is not told from the best, else ""."""
        order, differences = ordered(self.candidates, metric)
        told = {order[0]: "*"} if math.isfinite(value(self.candidates[order[0]], metric)) else {}
        told |= {k: "=" if each and each.tie else "" for k, each in zip(order[1:], differences, strict=True)}
        return [told.get(k, "") for k in range(len(self.candidates))] if len(order) > 1 else [""]

    def to_pandas(self) -> "pandas.DataFrame":
        """One row a candidate, best first; see `rows`."""
        import pandas

        return pandas.DataFrame(self.rows())

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.sentences)
        return f"<h3>{html.escape(self.part)}</h3>{self.to_pandas().to_html(index=False)}<ul>{notes}</ul>"

    def listen(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write a page that plays the target and the best candidates in sync, with ABX and MUSHRA tests.

        Raises:
            AmpsimError: the file exists, is one of those that were scored, or cannot be written.
        """
        from ampsim.report.page import listening_page
        from ampsim.report.plots import MODEL_COLOURS

        path, best = expanded(path), self.candidates[: len(MODEL_COLOURS)]
        refuse_existing(path, overwrite=overwrite, inputs=self.inputs)
        facts = {"scored": self.part}
        if len(best) < len(self.candidates):
            facts["shown"] = f"the best {len(best)} of {len(self.candidates)} by {self.metric}"
        return listening_page(
            path,
            {"amp": self.samples},
            {each.name: each.samples for each in best},
            self.sample_rate,
            title=f"{self.target.name} and {counted(len(self.candidates), 'render')} of it",
            source="what was scored",
            scores={each.name: each.scores or {} for each in best},
            facts=facts,
            overwrite=overwrite,
        )

    def write(self, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write FILES, the scores and the listening page, into a folder, which is made if need be.

        Raises:
            AmpsimError: the folder holds some of these already, or cannot be written to.
        """
        folder = expanded(folder)
        refuse_outputs(folder, "", overwrite=overwrite, inputs=self.inputs)
        csv_file, json_file, page = (folder / name for name in FILES)
        write_text(csv_file, self.to_pandas().to_csv(index=False, lineterminator="\n"), overwrite=overwrite)
        write_text(json_file, json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n", overwrite=overwrite)
        return [csv_file, json_file, self.listen(page, overwrite=overwrite)]

    @property
    def inputs(self) -> list[Path]:
        """The files that were read, which nothing may be written over."""
        return [self.target, *(each.path for each in self.candidates)]

    def rows(self) -> list[dict[str, Any]]:
        """A flat row a candidate: rank, name, file, how it lay, every score, and the difference to the best."""
        found = []
        for rank, (each, change) in enumerate(zip(self.candidates, [None, *self.differences], strict=True), 1):
            row: dict[str, Any] = {"rank": rank, "candidate": each.name, "file": str(each.path)}
            row |= {"delay_samples": each.delay, "inverted": each.inverted}
            row |= {"gain_db": each.gain_db, "esr_at_gain": each.esr_at_gain, **(each.scores or {})}
            for name in ("change", "low", "high", "tie", "equal_within"):
                row[f"to_best_{name}"] = getattr(change, name) if change else None
            found.append(row)
        return found

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON holds it; what does not exist is None."""
        rows = [
            {name: None if isinstance(x, float) and not math.isfinite(x) else x for name, x in row.items()}
            | {"notes": list(each.notes)}
            for row, each in zip(self.rows(), self.candidates, strict=True)
        ]
        return {
            "ampsim": __version__,
            "target": str(self.target),
            "sample_rate": self.sample_rate,
            "start_s": self.start / self.sample_rate,
            "duration_s": self.duration_s,
            "metric": self.metric,
            "candidates": rows,
            "left_out": [{"candidate": name, "why": why} for name, why in self.left_out],
            "notes": self.notes,
        }

    @property
    def sentences(self) -> list[str]:
        """What a reader must know before believing the order: notes, ties, how far apart, what was left out."""
        found = [*self.notes, *(note for each in self.candidates for note in each.notes)]
        known = [(each, change) for each, change in zip(self.candidates[1:], self.differences, strict=True) if change]
        if known:
            tied = [
                f"{each.name} (equal within {change.sized(change.equal_within)})"
                for each, change in known
                if change.tie
            ]
            best = self.candidates[0].name
            found.append(f"not told from {best}: {', '.join(tied)}" if tied else f"all others are told from {best}")
            found.append(INTERVAL)
        elif len(self.candidates) > 1:
            found.append(f"whether differences of {self.metric} are more than chance is not known: {self.why_not}")
        return found

    @property
    def why_not(self) -> str:
        blocks = self.candidates[0].blocks
        if blocks and len(blocks.samples) < 2:
            return "the common part has less than two blocks of half a second"
        return "it is no mean over blocks of the signal, as esr, a_weighted_esr and predicted_mushra are"


INTERVAL = (
    "intervals (95 %, for all candidates at once) are of half-second blocks of this signal, or the 3 s excerpts of predicted "
    "MUSHRA: they say what other playing of this kind would change, not another amp, setting or listener"
)


def scored(
    target: str | os.PathLike[str],
    candidates: Sequence[str | os.PathLike[str]],
    *,
    metric: str = "esr",
    channel: int | None = None,
    report: Report = lambda text: None,
) -> Scorecard:
    """Score renders of an amp against its recording, the target; see `ampsim.api.score`."""
    metric = current(metric)
    refuse_metric(metric)
    report(f"reading {Path(target).name}")
    file, samples, notes = read_target(expanded(target), channel)
    paths = [expanded(each) for each in candidates]
    placed, left_out = placed_all(paths, file.path, samples, file.sample_rate, report)
    start, stop, kept, short = common(placed, file.sample_rate)
    left_out += short
    wanted = samples[start:stop]
    if silent(wanted):
        raise AmpsimError(f"{file.path} is silent from {clock(start / file.sample_rate)} on, where all candidates play")
    notes += left_over(len(samples), start, stop, file)
    found = []
    for number, each in enumerate(kept, 1):
        report(f"scoring {each.name} ({number} of {len(kept)})")
        found.append(judged(wanted, cut(each, start, stop), file.sample_rate))
    found, alike = shared(found)
    notes += alike
    order, differences = ordered(found, metric)
    in_order = [found[k] for k in order]
    return Scorecard(file.path, wanted, file.sample_rate, start, metric, in_order, differences, left_out, notes)


def refuse_metric(metric: str) -> None:
    """Raises AmpsimError for a score that renders do not have, before any of them is read."""
    names = [score.name for score in SCORES.values() if score.kind == "quality" and not score.of_model]
    if metric not in names:
        why = ": it needs the model itself" if metric in SCORES and SCORES[metric].of_model else nearest(metric, names)
        raise AmpsimError(f"renders have no score `{metric}`{why}")
    if metric == zimtohrli.NAME and not zimtohrli.installed():
        raise AmpsimError(f"{metric} needs a package that is not installed: pip install 'ampsim[zimtohrli]'")


# ---- Files ----------------------------------------------------------------------------------------------------------


def audio_files(named: Sequence[str | Path]) -> list[Path]:
    """Paths of files and, for each folder, of the audio files in it, sorted by name."""
    found: list[Path] = []
    for path in map(expanded, named):
        inside = [path]
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if each.suffix.lower() in audio.SUBTYPES and each.is_file())
            if not inside:
                raise AmpsimError(f"{path} holds no WAV, FLAC or AIFF file")
        found += inside
    return found


def refuse_outputs(folder: Path | None, page: str, *, overwrite: bool, inputs: Sequence[str | Path]) -> None:
    """Raises AmpsimError where something would be replaced that must stay."""
    if folder and folder.exists() and not folder.is_dir():
        raise AmpsimError(f"output={folder} is a file: name a folder")
    outputs = [folder / name for name in FILES] if folder else []
    for path in [*outputs, *([expanded(page)] if page else [])]:
        refuse_existing(path, overwrite=overwrite, inputs=inputs)


# ---- Reading --------------------------------------------------------------------------------------------------------


def read_target(path: Path, channel: int | None) -> tuple[AudioFile, Signal, list[str]]:
    """The amp's recording, one channel of it, and notes."""
    file = audio.read(path)
    if channel is None:
        samples, notes = mono(file, "channel=1 takes the second of them")
    else:
        samples, notes = file.channel(channel), ()
    refuse_broken(path, samples, file.sample_rate)
    if silent(samples):
        raise AmpsimError(f"{path} is silent: a target is a recording of the amp")
    if file.duration_s < SHORTEST_S:
        raise AmpsimError(f"{path} holds {1000 * file.duration_s:.3g} ms, too little to score anything by")
    return file, samples, list(notes)


def refuse_broken(path: Path, samples: Signal, sample_rate: int) -> None:
    sound = np.isfinite(samples)
    if not sound.all():
        at = clock(int(np.argmin(sound)) / sample_rate)
        raise AmpsimError(f"{path} holds NaN or infinity from {at} on: export it again")


def named(paths: Sequence[Path]) -> list[str]:
    """A name for each of the files, no two alike: its own without its ending, with as many of its folders as it takes."""
    stems = [path.name if len({p.suffix for p in paths if p.stem == path.stem}) > 1 else path.stem for path in paths]
    folders = [path.absolute().parts[:-1] for path in paths]
    for depth in count(1):
        alike = [stems.count(stem) > 1 for stem in stems]
        if not any(alike) or depth > max(map(len, folders)):
            return stems
        stems = [
            "/".join([*folder[-depth:], stem.rpartition("/")[2]]) if twin else stem
            for stem, folder, twin in zip(stems, folders, alike, strict=True)
        ]
    raise AssertionError


def placed_all(
    paths: Sequence[Path], target: Path, samples: Signal, sample_rate: int, report: Report
) -> tuple[list[Candidate], list[tuple[str, str]]]:
    """The candidates on the target's clock, and names and sentences of those that cannot be read."""
    distinct = list({path.absolute(): path for path in paths}.values())
    found: list[Candidate] = []
    left_out = []
    for number, (path, name) in enumerate(zip(distinct, named(distinct), strict=True), 1):
        report(f"aligning {name} ({number} of {len(distinct)})")
        try:
            file = audio.read(path)
            held = 4 * sum(len(each.samples) for each in found)
            refuse_larger(f"{path}, with the candidates before it,", held + 4 * len(file.samples))
            each = placed(name, file, samples, sample_rate)
            shared = each.samples[: max(len(samples) - each.start, 0)]
            if len(shared) < SHORTEST_S * sample_rate:
                raise AmpsimError(
                    f"{path} shares {1000 * len(shared) / sample_rate:.3g} ms with {target}: too little to score"
                )
            found.append(replace(each, samples=shared))
        except AmpsimError as error:
            left_out.append((name, str(error)))
    if not found:
        raise AmpsimError(
            *([f"nothing can be scored against {target}"] if left_out else ["no candidate is named"]),
            *(why for _, why in left_out),
        )
    return found, left_out


# ---- Aligning -------------------------------------------------------------------------------------------------------


def placed(name: str, file: AudioFile, target: Signal, sample_rate: int) -> Candidate:
    """A candidate without its delay, of the target's polarity; where no delay is clear, as it is."""
    samples, told = mono(file, "a render is one channel")
    refuse_broken(file.path, samples, file.sample_rate)
    notes = list(told)
    if file.sample_rate != sample_rate:
        samples = np.asarray(audio.at_rate(samples, file.sample_rate, sample_rate), np.float32)
        text = f"{name} is resampled from {file.sample_rate:,} to {sample_rate:,} Hz"
        less = f", and has nothing above {file.sample_rate / 2000:g} kHz" if file.sample_rate < sample_rate else ""
        notes.append(text + less)
    as_it_is = Candidate(name, file.path, samples, notes=tuple(notes))
    if silent(samples):
        return replace(as_it_is, notes=(*notes, f"{name} is silent"))
    size = min(len(target), len(samples))
    found = timing([(target[:size], samples[:size])], sample_rate)
    if not found.clear:
        text = f"{name} has no clear delay against the target, and is scored as it lies: is it of the same playing?"
        return replace(as_it_is, notes=(*notes, text))
    delay = least_error(target, samples, found)
    start, samples = advanced(samples, delay)
    if found.inverted:
        samples = -samples
        notes.append(f"{name} is inverted against the target; it is scored, and played, the right way up")
    notes += moved(name, found, size / sample_rate)
    return Candidate(name, file.path, samples, start, delay, found.inverted, notes=tuple(notes))


def moved(name: str, found: Timing, duration_s: float) -> list[str]:
    """Sentences on a delay that does not stay what it is, which one shift cannot take out."""
    told = []
    if drifts(found, duration_s):
        told.append(f"{name} drifts against the target by {found.drift_ppm:+.1f} ppm, and its scores suffer from it")
    for step in found.line.steps[:3]:
        text = f"{name} lags by {step.samples:+.0f} samples more from {clock(step.at_s)} on: samples are missing there"
        told.append(f"{text}, or are there twice, and its scores suffer from it")
    return told


def common(placed: Sequence[Candidate], sample_rate: int) -> tuple[int, int, list[Candidate], list[tuple[str, str]]]:
    """Start and stop of the part that the candidates cover, those candidates, and the others with a sentence each.

    One that covers less than SHARE of what the longest covers would take the rest from all others, and is left out.
    """
    by_length = sorted(placed, key=lambda each: each.start - each.stop)
    start, stop = by_length[0].start, by_length[0].stop
    least, kept, left_out = SHARE * (stop - start), [], []
    for each in by_length:
        first, last = max(start, each.start), min(stop, each.stop)
        if last - first < least:
            covers = f"{each.name} covers {max(last - first, 0) / sample_rate:.1f} s of the {(stop - start) / sample_rate:.1f} s"
            left_out.append((each.name, f"{covers} that others cover: score it apart"))
        else:
            start, stop = first, last
            kept.append(each)
    return start, stop, [each for each in placed if each in kept], left_out


def cut(candidate: Candidate, start: int, stop: int) -> Candidate:
    return replace(candidate, samples=candidate.samples[start - candidate.start : stop - candidate.start], start=start)


def left_over(length: int, start: int, stop: int, file: AudioFile) -> list[str]:
    """A sentence on what of the target no score knows of."""
    missing = [(0, start), (stop, length)]
    told = [
        f"{clock(a / file.sample_rate)} to {clock(b / file.sample_rate)}"
        for a, b in missing
        if b - a > LEFT_OUT_S * file.sample_rate
    ]
    return [f"left out of {file.path.name}, where not all candidates play: {' and '.join(told)}"] if told else []


# ---- Scoring --------------------------------------------------------------------------------------------------------


def judged(target: Signal, candidate: Candidate, sample_rate: int) -> Candidate:
    """A candidate with its scores, as loud as it is, and with what another gain would make of its error."""
    pairs = [(target, candidate.samples)]
    told = measured(pairs, sample_rate)
    scores = told.scores | (
        {zimtohrli.NAME: zimtohrli.zimtohrli_mos(pairs, sample_rate)} if zimtohrli.installed() else {}
    )
    powers = [audio.energy(samples) for samples in (target, candidate.samples)]
    crossed = (sum(powers) - told.scores["mse"] * len(target)) / 2
    notes, gain_db, at_gain = list(candidate.notes), math.nan, math.nan
    if powers[1] > 0:
        at_gain = max(1 - crossed**2 / (powers[0] * powers[1]), 0.0)
        gain_db = audio.decibels(abs(crossed) / powers[1]) if crossed else math.nan
    louder_db = told.scores["rms_difference_db"]
    if abs(louder_db) > LEVEL_DB and math.isfinite(gain_db):
        notes.append(
            f"{candidate.name} is {abs(louder_db):.1f} dB {'louder' if louder_db > 0 else 'softer'} than the target, and is "
            f"scored so: its ESR would be least, {at_gain:.2g} in place of {told.scores['esr']:.2g}, at {gain_db:+.1f} dB"
        )
    return replace(
        candidate,
        gain_db=gain_db,
        esr_at_gain=at_gain,
        scores=scores,
        blocks=told.blocks,
        notes=(*notes, *told.notes),
    )


def group(candidate: Candidate) -> Group:
    """What a ranking knows of a candidate: a config of one run."""
    scores = candidate.scores or {}
    return Group(candidate.name, {}, [Trial(candidate.name, candidate.name, {}, scores, blocks=candidate.blocks)])


def value(candidate: Candidate, metric: str) -> float:
    """By which candidates are put in order: of a difference of level its size."""
    return float(group(candidate).values(metric)[0])


def ordered(candidates: Sequence[Candidate], metric: str) -> tuple[list[int], list[Difference | None]]:
    """Numbers of the candidates, best first, those without this score last; and the difference of each to the best."""
    values = [value(each, metric) for each in candidates]
    sign = -1 if larger_is_better(metric) else 1
    order = sorted(range(len(values)), key=lambda k: (not math.isfinite(values[k]), sign * values[k]))
    contest = Contest([group(candidates[k]) for k in order if math.isfinite(values[k])], metric)
    known = len(contest.groups)
    return order, [contest.difference(0, place) if place < known else None for place in range(1, len(order))]


def shared(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[str]]:
    """Candidates without the notes that all of them have, as on excerpts where the target is silent; and these, once."""
    alike = [note for note in candidates[0].notes if all(note in each.notes for each in candidates)]
    return [replace(each, notes=tuple(note for note in each.notes if note not in alike)) for each in candidates], alike
