"""The study page: the runs of a comparison in one HTML file, to sort, filter, draw and listen to.

Beside plotly.js, which draws, it holds the sound of the best few; the rest is linked to where it lies in the store.
"""

import base64
import gzip
import math
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import numpy as np
from plotly.offline import get_plotlyjs

from ampsim import AmpsimError, __version__
from ampsim.comparing.comparison import best_of, describe, rows, scores_of, sentences
from ampsim.comparing.ranking import Difference, Group, Ranking, Trial, natural
from ampsim.files import expanded, write_text
from ampsim.metrics.scores import SCORES, larger_is_better
from ampsim.report.document import document, filled, in_script, own
from ampsim.report.plots import COLOURS, MODEL_COLOURS
from ampsim.runs.artifacts import listened
from ampsim.runs.locations import artifacts_of
from ampsim.runs.tracking import Store, TrackedRun
from ampsim.signals import audio

FILE = "study.html"
MOST_RUNS = 2000  # on the page, of the best configs
MOST_CURVES = 200  # runs whose learning curves are on it: each is a question to the store
POINTS = 80  # of a curve
MOST_HEARD = 8  # runs whose sound is inside the page
MOST_ASKED = 40  # that are asked for it, where the sound of some is gone
EMBEDDED_BYTES = 3_000_000  # of sound and pictures inside the page
EXCERPT_S = 5.0
PEAK = 0.9  # of the loudest sound
CURVES = {"validation_esr": "validation ESR", "loss": "training loss"}
PICTURES = ("fft", "error", "training", "waveforms", "gain")  # of a run's figures, in this order
# plotly.js makes style elements and attributes of its own; sound and pictures may be files of the store.
ALLOWED = {"style-src": "'unsafe-inline'", "img-src": "file: 'self'", "media-src": "data: file: 'self'"}


def keep(store: Store, parent: TrackedRun, ranking: Ranking) -> None:
    """Make the page an artifact of a sweep's parent run."""
    with tempfile.TemporaryDirectory() as name:
        text = page(store, ranking, title=parent.name, place=parent.place)
        (Path(name) / FILE).write_text(text, encoding="utf-8")
        parent.log_folder(Path(name))


def write(store: Store, ranking: Ranking, path: str | Path, *, title: str, overwrite: bool = False) -> Path:
    """Write the page to a file.

    Raises:
        AmpsimError: the file exists or cannot be written.
    """
    path = expanded(path)
    write_text(path, page(store, ranking, title=title, place=path.absolute().parent), overwrite=overwrite)
    return path


def page(store: Store, ranking: Ranking, *, title: str, place: Path | None) -> str:
    """The page's text; `place` is the folder that it will lie in, from which it finds the files of the store."""
    groups = most(ranking.groups)
    trials = [trial for group in groups for trial in group.trials]
    sound = embedded(store, groups, ranking.metric)
    data: dict[str, Any] = {
        "title": title,
        "version": __version__,
        "made": time.strftime("%Y-%m-%d"),
        "metric": ranking.metric,
        "metrics": metrics(ranking, groups),
        "factors": factors(ranking, groups),
        "configs": configs(ranking, len(groups)),
        "runs": runs(store, trials, sound),
        "effects": effects(ranking),
        "curves": curves(store, trials[:MOST_CURVES]),
        "told": sentences(ranking),
        "notes": notes(ranking, len(trials), len(groups), store),
        "sound": sound.facts,
        "base": base(store, place),
        "pictures": PICTURES,
        "colours": [COLOURS["prediction"], COLOURS["amp"], *MODEL_COLOURS[1:]],
    }
    script, packed = library()
    islands = [f'<script type="text/plain" class="{kind}">{each}</script>' for kind, each in sound.islands]
    parts = {"title": escape(title), "data": in_script(finite(data)), "islands": "\n".join(islands), "library": packed}
    template, style, acts = (own(f"study.{kind}", "ampsim.pages") for kind in ("html", "css", "js"))
    acts += own("bytes.js")
    return document(title, filled(template, parts), style=style, scripts=(script, acts), allowed=ALLOWED)


@cache
def library() -> tuple[str, str]:
    """plotly.js as it acts, and packed as it lies on the page: 2 MB in place of 5."""
    script = get_plotlyjs()
    return script, base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()


def most(groups: Sequence[Group]) -> list[Group]:
    """The best configs with at most MOST_RUNS runs together."""
    counts = np.cumsum([len(group.trials) for group in groups])
    return list(groups[: max(1, int(np.searchsorted(counts, MOST_RUNS, side="right")))])


# ---- The table's data -----------------------------------------------------------------------------------------------


def metrics(ranking: Ranking, groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Every score with its mean and interval in each config, and its value in each run."""
    found = []
    for name in scores_of(ranking):
        score = SCORES.get(name)
        if not any(math.isfinite(group.mean(name)) for group in groups):
            continue
        ends = [group.interval(name) for group in groups]
        values = [value for group in groups for value in group.values(name)]
        found.append(
            {
                "name": name,
                "title": score.title if score else name,
                "meaning": score.meaning if score else "",
                "format": score.format if score else "",
                "ratio": bool(score and score.ratio),
                "better": 1 if larger_is_better(name) else 0 if score and score.kind == "floor" else -1,
                "shown": name == ranking.metric or bool(score and (score.column or score.headline)),
                "mean": [rounded(group.mean(name)) for group in groups],
                "low": [rounded(low) for low, _ in ends],
                "high": [rounded(high) for _, high in ends],
                "values": list(map(rounded, values)),
            }
        )
    return found


def factors(ranking: Ranking, groups: Sequence[Group]) -> list[dict[str, Any]]:
    """What differs between the configs, the factor that explains most first: its levels, and the one of each config."""
    order = [effect.factor for effect in ranking.effects]
    found = []
    for name in order:
        levels = sorted({group.levels[name] for group in groups}, key=natural)
        places = {level: place for place, level in enumerate(levels)}
        numbers = all(natural(level)[0] == 0 for level in levels)
        of_configs = [places[group.levels[name]] for group in groups]
        found.append({"name": name, "levels": levels, "numbers": numbers, "of": of_configs})
    return found


def configs(ranking: Ranking, count: int) -> list[dict[str, Any]]:
    known = [*rows(ranking)][:count]
    return [
        {"label": group.label, "seeds": len(group.trials)}
        | ({"best": True} if number == 0 else versus(change, ranking.metric))
        for number, (group, change) in enumerate(known)
    ]


def versus(change: Difference | None, metric: str) -> dict[str, Any]:
    return {"to": describe(change, metric).removeprefix("tie "), "tie": change.tie if change else None}


def effects(ranking: Ranking) -> list[dict[str, Any]]:
    """Each factor that repeats its levels: mean and interval of each; one that never does says nothing by itself."""
    count = sum(len(group.trials) for group in ranking.groups)
    return [
        {
            "factor": effect.factor,
            "share": rounded(effect.share),
            "byChance": rounded(effect.by_chance),
            "p": rounded(effect.p),
            "levels": [
                {"name": name, "mean": rounded(mean), "low": rounded(low), "high": rounded(high)}
                for name, mean in effect.levels.items()
                for low, high in [effect.intervals.get(name, (math.nan, math.nan))]
            ],
        }
        for effect in ranking.effects
        if len(effect.levels) <= max(12, count // 3)
    ]


def notes(ranking: Ranking, num_runs: int, num_configs: int, store: Store) -> list[str]:
    """What a reader must know of what is not on the page, beside what the ranking says."""
    found, every = list(ranking.notes), sum(len(group.trials) for group in ranking.groups)
    if num_runs < every:
        found.append(
            f"This page shows the best {num_configs:,} of {len(ranking.groups):,} configs ({num_runs:,} of {every:,} runs), so "
            "that it stays quick; comparison.csv has them all."
        )
    if num_runs > MOST_CURVES:
        found.append(f"Learning curves are those of the first {MOST_CURVES} runs of the ranking.")
    if not store.local:
        found.append("The store is a server: sound and figures that are not inside this page are on the server's page.")
    left = [f"{name} ({why})" for name, why in ranking.left_out]
    if left:
        more = f", and {len(left) - 10:,} more" if len(left) > 10 else ""
        found.append(f"Left out: {', '.join(left[:10])}{more}.")
    return found


def rounded(value: float) -> float | None:
    """Five digits, which is more than a page shows."""
    return float(f"{value:.5g}") if math.isfinite(value) else None


def finite(data: Any) -> Any:
    """With None in place of what JSON cannot say."""
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


# ---- What belongs to single runs ------------------------------------------------------------------------------------


@dataclass
class Sound:
    """What is inside the page: islands of (kind, base64), and by a run's id which of them are its own."""

    islands: list[tuple[str, str]] = field(default_factory=list)
    of: dict[str, dict[str, Any]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    spent: int = 0

    def add(self, kind: str, data: bytes) -> int | None:
        """The number of a new island; None where the page would grow too large."""
        if self.spent + len(data) > EMBEDDED_BYTES:
            return None
        self.spent += len(data)
        self.islands.append((kind, base64.b64encode(data).decode()))
        return sum(each == kind for each, _ in self.islands) - 1


def runs(store: Store, trials: Sequence[Trial], sound: Sound) -> dict[str, Any]:
    """Columns over all runs, in the order of their configs: what they are called and what there is of each."""
    places = [artifacts_of(store.folder) / trial.id / "artifacts" for trial in trials] if store.local else []
    files = [
        [(place / "audio" / "prediction.wav").is_file(), (place / "listen.html").is_file(), pictures(place)]
        for place in places
    ]
    targets = {trial.blocks.target if trial.blocks else "" for trial in trials}
    order = {target: number for number, target in enumerate(sorted(targets))}
    return {
        "id": [trial.id for trial in trials],
        "name": [trial.name for trial in trials],
        "seed": [trial.seed for trial in trials],
        "target": [order[trial.blocks.target if trial.blocks else ""] for trial in trials],
        "gain": [round(10 ** (trial.gain_db / 20), 4) for trial in trials],
        "audio": [int(sounds) for sounds, *_ in files],
        "page": [int(page) for _, page, _ in files],
        "figures": [drawn for *_, drawn in files],
        "inside": {str(place): sound.of[trial.id] for place, trial in enumerate(trials) if trial.id in sound.of},
    }


def pictures(place: Path) -> int:
    """Which of PICTURES there are, a bit each."""
    return sum(1 << number for number, name in enumerate(PICTURES) if (place / "figures" / f"{name}.png").is_file())


def base(store: Store, place: Path | None) -> str:
    """The address of the store's artifacts as seen from the page, or that of the server's runs."""
    if store.local:
        folder = artifacts_of(store.folder)
        with suppress(ValueError):  # another drive
            if place is not None:
                return quote(Path(os.path.relpath(folder, place)).as_posix())
        return folder.as_uri()
    known = store.uri.startswith(("http://", "https://"))
    return f"{without_user(store.uri).rstrip('/')}/#/experiments/{store.experiment_id}/runs" if known else ""


def without_user(uri: str) -> str:
    """An address without the name and password that it may hold: pages are passed on."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def embedded(store: Store, groups: Sequence[Group], metric: str) -> Sound:
    """The same seconds of the amp and of the best run of each of the best configs, then their pictures."""
    sound, taken = Sound(), list[tuple[Trial, TrackedRun]]()
    parts, rate, start, target = dict[str, audio.Signal](), 0, 0, ""
    for group in groups[:MOST_ASKED]:
        if len(taken) == MOST_HEARD:
            break
        best = best_of(group, metric)
        own_target = best.blocks.target if best.blocks else ""
        if taken and own_target != target:
            continue
        with suppress(AmpsimError, OSError):
            run = store.tracked(store.run(best.id))
            signals, sample_rate = listened(run)
            if not parts:
                rate, target = sample_rate, own_target
                length = min(round(EXCERPT_S * rate), len(signals["amp"]))
                start = audio.busiest(signals["amp"], rate, length)
                parts["amp"] = signals["amp"][start : start + length]
            if sample_rate == rate and len(signals["prediction"]) >= start + len(parts["amp"]):
                parts[best.id] = signals["prediction"][start : start + len(parts["amp"])]
                taken.append((best, run))
    if parts:
        put(sound, parts, taken, rate)
        sound.facts |= {"start": start / rate, "length": len(parts["amp"]) / rate, "of": taken[0][0].id}
    return sound


def put(sound: Sound, parts: Mapping[str, audio.Signal], taken: Iterable[tuple[Trial, TrackedRun]], rate: int) -> None:
    loudest = max(max(map(audio.peak, parts.values())), 1e-9)
    scale = PEAK / loudest
    for name, samples in parts.items():
        number = sound.add("sound", audio.flac(audio.to_pcm(scale * samples), rate))
        if number is not None:
            sound.of[name] = {"sound": number}
    sound.facts |= {"amp": sound.of.pop("amp", {}).get("sound"), "scale": scale}
    for name in PICTURES[:2]:
        for best, run in taken:
            with suppress(AmpsimError, OSError):
                number = sound.add("picture", run.file(f"figures/{name}.png").read_bytes())
                if number is not None:
                    sound.of.setdefault(best.id, {}).setdefault("pictures", {})[name] = number


def curves(store: Store, trials: Sequence[Trial]) -> dict[str, dict[str, Any]]:
    """By what it shows and the run's place: steps and values of each learning curve, thinned to POINTS."""
    found: dict[str, dict[str, Any]] = {}
    for key, title in CURVES.items():
        for place, trial in enumerate(trials):
            points = store.history(trial.id, key)
            if len(points) > 1:
                chosen = np.unique(np.linspace(0, len(points) - 1, POINTS).round().astype(int))
                steps, values = zip(*(points[each] for each in chosen), strict=True)
                found.setdefault(title, {})[str(place)] = [steps, [rounded(value) for value in values]]
    return found
