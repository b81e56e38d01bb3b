"""A page to listen with: one HTML file that holds the signals, their pictures' data, scores and blind tests."""

import base64
import hashlib
import html
import json
import math
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ampsim import AmpsimError, __version__, counted
from ampsim.files import expanded, refuse_existing, write_text
from ampsim.metrics import esr, esr_over_time, loudness
from ampsim.metrics.scores import SCORES
from ampsim.report.document import document, filled, in_script, own
from ampsim.report.plots import COLOURS, MODEL_COLOURS
from ampsim.signals import audio
from ampsim.signals.audio import Signal

BYTES_PER_SIGNAL = 1_600_000  # of the page: three models, the amp and the direct signal make 8 MB at most
CEILING = 0.98  # of the loudest peak that is played
FULL = CEILING * 2**15  # peaks of what is stored in 16 bits
# The script starts a thread, WebAssembly and sound from what it has made itself.
ALLOWED = {"script-src": "blob: 'wasm-unsafe-eval'", "media-src": "blob:"}
PLAYS = ("bytes.js", "dom.js", "engine.js", "play.js")  # a model; the page to listen with adds what compares
SCRIPTS = (*PLAYS[:3], "player.js", "views.js", "tests.js", PLAYS[3], "page.js")
Amps = tuple[
    Sequence[Mapping[str, Any]], Sequence[str]
]  # models as `models.packing.playable` has them, and why not others

Told = TypeVar("Told")  # of a model by its name


def listening_page(
    path: str | Path,
    signals: Mapping[str, Signal],
    models: Mapping[str, Signal],
    sample_rate: int,
    *,
    title: str,
    source: str = "the test split",
    scores: Mapping[str, Mapping[str, float]] | None = None,
    runs: Mapping[str, str] | None = None,
    configs: Mapping[str, str] | None = None,
    facts: Mapping[str, str] | None = None,
    amps: Amps = ((), ()),
    duration_s: float = 20.0,
    start_s: float | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a page that plays, shows and blindly tests an excerpt of these signals, and needs nothing but itself.

    Args:
        path: the HTML file to write.
        signals: "amp" and, where it is known, "direct", each (num_samples,), in time with each other and with every
            prediction.
        models: a prediction, (num_samples,), by its model's or run's name, in the order in which to show them.
        title: what is compared; a run's name, for instance.
        source: what the signals are, in words.
        scores, runs: of each model by its name; its scores make a table, its run's id is told by the votes.
        configs, facts: a text to fold out, by a name; short facts for the page's head, by a word for them.
        amps: models that the page plays, and sentences on those that it cannot.
        duration_s: of the excerpt; shorter where the page would grow beyond 1.6 MB a signal, and the page says so.
        start_s: where the excerpt begins; None finds the busiest part.

    Raises:
        AmpsimError: the file exists or cannot be written, there is no model, or the signals are not of one length.
    """
    refuse_existing(path := expanded(path), overwrite=overwrite)
    names, everything, notes = sounds(signals, models)
    scored, run_of = renamed(scores, names), renamed(runs, names)
    held = in_script({"models": amps[0], "missing": amps[1], "kernel": kernel() if amps[0] else None})
    budget = max(BYTES_PER_SIGNAL * len(everything) - len(held), BYTES_PER_SIGNAL)
    start, length, data, islands = excerpted(everything, sample_rate, duration_s, start_s, budget)
    if length < min(len(everything["amp"]), max(1, round(duration_s * sample_rate))):
        notes["short"] = f"The excerpt is shorter than {duration_s:g} s, so that this file stays small."
    data |= {"title": title, "from": source, "facts": dict(facts or {}), "configs": dict(configs or {})}
    data |= {"notes": list(notes.values()), "floors": floors(list(scored.values()))}
    shown = [*names.values()]
    data |= drawn(everything, shown, sample_rate, start, length) | {"table": table(scored, shown)}
    data["signals"] = [each | {"run": run_of.get(each["name"])} for each in data["signals"]]
    write_text(path, whole(signed(data, islands), islands, held), overwrite=overwrite)
    return path


def renamed(told: Mapping[str, Told] | None, names: Mapping[str, str]) -> dict[str, Told]:
    return {names[name]: of for name, of in (told or {}).items() if name in names}


def amp_page(title: str, amps: Amps, *, about: str) -> str:
    """The text of a page that plays models and holds nothing else; `about` says what they are."""
    parts = {"about": html.escape(about), "foot": f"ampsim {__version__}, {time.strftime('%Y-%m-%d')}."}
    held = in_script({"models": amps[0], "missing": amps[1], "kernel": kernel()})
    return assembled("amp.html", PLAYS, title, parts | {"title": html.escape(title), "amps": held})


def sounds(
    signals: Mapping[str, Signal], models: Mapping[str, Signal]
) -> tuple[dict[str, str], dict[str, Signal], dict[str, str]]:
    """The page's name of each model, all that it plays by these names, and what it says of that."""
    if not models:
        raise AmpsimError("there is no model to listen to: a page needs at least one prediction")
    names = {name: f"{name} (model)" if name in ("direct", "amp") else name for name in models}
    given = {name: signals[name] for name in ("direct", "amp") if name in signals}
    return names, *audible(given | {names[name]: models[name] for name in models})


def drawn(signals: Mapping[str, Signal], predictions: list[str], rate: int, start: int, length: int) -> dict[str, Any]:
    """What the page draws of the whole signals, and where in them the excerpt lies."""
    curves = [curve(signals["amp"], signals[name], rate, start, length) for name in predictions]
    return {"start": start / rate, "total": len(signals["amp"]) / rate, "curves": curves}


def signed(data: dict[str, Any], islands: list[str]) -> dict[str, Any]:
    """With an id that votes name it by, which the same page made again has too; and when it was made by what."""
    page = hashlib.sha256("".join([json.dumps(data, sort_keys=True), *islands]).encode()).hexdigest()[:12]
    return data | {"id": page, "version": __version__, "made": time.strftime("%Y-%m-%d")}


def excerpted(
    signals: Mapping[str, Signal], sample_rate: int, duration_s: float, start_s: float | None, budget: float
) -> tuple[int, int, dict[str, Any], list[str]]:
    """Start and length in samples of an excerpt that fits into a page, and what `recorded` makes of it."""
    total = len(signals["amp"])
    length = min(total, max(1, round(duration_s * sample_rate)))
    while True:
        start = audio.busiest(signals["amp"], sample_rate, length) if start_s is None else round(start_s * sample_rate)
        start = max(0, min(start, total - length))
        excerpt = {name: samples[start : start + length] for name, samples in signals.items()}
        data, islands = recorded(excerpt, sample_rate)
        if (size := sum(map(len, islands))) <= budget:
            return start, length, data, islands
        length = int(0.95 * length * budget / size)


def audible(given: Mapping[str, Signal]) -> tuple[dict[str, Signal], dict[str, str]]:
    """The signals with silence in place of NaN and infinity, and notes that say so."""
    length = len(given["amp"])
    everything, notes = {}, {}
    for name, samples in given.items():
        samples = np.asarray(samples)
        if samples.ndim != 1 or len(samples) != length or not length:
            raise AmpsimError(
                f"{name} has {counted(len(samples), 'sample')} and the amp {length:,}: "
                "only signals of one recording can be compared on a page"
            )
        if broken := int(np.sum(~np.isfinite(samples))):
            notes[name] = f"{name}: {counted(broken, 'sample')} without a number, silent here."
        everything[name] = np.nan_to_num(samples, posinf=0, neginf=0)
    return everything, notes


# ---- What the page holds --------------------------------------------------------------------------------------------


def recorded(excerpt: Mapping[str, Signal], sample_rate: int) -> tuple[dict[str, Any], list[str]]:
    """The signals' entries in the page's data, and their samples as FLAC in base64: direct, if there is one, amp, then
    the predictions.

    A prediction that is near the amp is stored as its difference from it, which takes half the room: the page adds the
    two again. Gains are for samples as the page decodes them, full scale 1.
    """
    amp_at = list(excerpt).index("amp")
    colours = [COLOURS["direct"], COLOURS["amp"], *MODEL_COLOURS]
    peaks = [max(audio.peak(samples), 1e-9) for samples in excerpt.values()]
    louds = [loudness(samples, sample_rate) for samples in excerpt.values()]
    # As loud as the one whose peaks stand out most can be.
    level = min(
        (loud - audio.decibels(peak) for loud, peak in zip(louds, peaks, strict=True) if loud == loud), default=0
    )
    level += audio.decibels(CEILING)
    step = peaks[amp_at] / FULL
    amp = quantised(excerpt["amp"], step)
    entries, islands = [], []
    for number, (name, samples) in enumerate(excerpt.items()):
        stored, plus, own = quantised(samples, peaks[number] / FULL), None, peaks[number] / FULL
        difference = quantised(samples, step) - amp
        if number > amp_at and np.abs(difference).max() < FULL and 4 * energy(difference) * step**2 < energy(samples):
            stored, plus, own = difference, amp_at, step
        islands.append(base64.b64encode(audio.flac(stored.astype(np.int16), sample_rate)).decode())
        ordinal = number - amp_at  # of the predictions, from 1
        scale = own * 2**15  # the signal over the decoded samples
        as_recorded, loud = scale * CEILING / max(peaks), louds[number]
        entries.append(
            {
                "name": name,
                "colour": colours[1 + min(ordinal, 1 + (ordinal - 1) % len(MODEL_COLOURS))],
                "plus": plus,
                "scale": scale,
                "loudness": None if math.isnan(loud) else round(loud, 2),
                "asRecorded": as_recorded,
                "matched": as_recorded if math.isnan(loud) else scale * 10 ** ((level - loud) / 20),
            }
        )
    return {"signals": entries, "amp": amp_at, "sampleRate": sample_rate, "duration": len(amp) / sample_rate}, islands


def energy(samples: np.ndarray) -> float:
    return float(np.sum(np.square(samples, dtype=np.float64)))


def quantised(samples: Signal, step: float) -> np.ndarray:
    """Whole numbers of steps, as floats: a prediction that ran away may be beyond any integer."""
    return np.rint(np.asarray(samples, np.float64) / step)


def curve(amp: Signal, prediction: Signal, sample_rate: int, start: int, length: int) -> dict[str, Any]:
    """Error over time inside the excerpt, over the mean energy of the whole signal; and the ESR of the excerpt."""
    found = esr_over_time(amp, prediction, sample_rate)
    time_s = found.time_s - start / sample_rate
    inside = (time_s >= 0) & (time_s <= length / sample_rate)
    whole = esr(amp[start : start + length], prediction[start : start + length])
    return {
        "time": [round(float(each), 3) for each in time_s[inside]],
        "esr": [float(f"{each:.4g}") if math.isfinite(each) else None for each in found.esr[inside]],
        "whole": f"{whole:.2g}" if math.isfinite(whole) else "–",
    }


def floors(scores: list[Mapping[str, float]]) -> list[dict[str, Any]]:
    """The ESRs that the recording sets every model against; each model tells the same, so the first is asked."""
    first = scores[0] if scores else {}
    known = [score for score in SCORES.values() if score.kind == "floor"]
    return [
        {"name": score.title, "esr": first[score.name]}
        for score in known
        if math.isfinite(first.get(score.name, math.nan))
    ]


def table(scores: Mapping[str, Mapping[str, float]], models: list[str]) -> list[dict[str, Any]]:
    """Rows of what a score is called, each model's as text, which are the best, and what the score means."""
    rows = []
    for score in SCORES.values():
        values = [scores.get(name, {}).get(score.name, math.nan) for name in models]
        if all(math.isnan(value) for value in values):
            continue
        ranks = [abs(value) if score.signed else -value if score.larger_is_better else value for value in values]
        least = min((rank for rank in ranks if math.isfinite(rank)), default=math.nan)
        best = (
            [k for k, rank in enumerate(ranks) if rank == least] if len(models) > 1 and score.kind == "quality" else []
        )
        cells = [score.text(value) if math.isfinite(value) else "–" for value in values]
        rows.append({"label": score.title, "cells": cells, "best": best, "meaning": score.meaning})
    return rows


# ---- The file -------------------------------------------------------------------------------------------------------


def whole(data: dict[str, Any], islands: list[str], amps: str) -> str:
    """The text of a page to listen with."""
    audio = "\n".join(f'<script type="text/plain" class="audio">{island}</script>' for island in islands)
    parts = {"title": html.escape(data["title"]), "data": in_script(data), "audio": audio, "amps": amps}
    return assembled("page.html", SCRIPTS, data["title"], parts)


def assembled(template: str, scripts: Sequence[str], title: str, parts: Mapping[str, str]) -> str:
    """A page of a template with its parts. Its policy lets only its own script and style act, so that no name in it can."""
    body = filled(own(template), {"play": own("play.html"), **parts})
    return document(title, body, style=own("page.css"), scripts=("\n".join(map(own, scripts)),), allowed=ALLOWED)


def kernel() -> str:
    return base64.b64encode(resources.files(__package__).joinpath("kernel.wasm").read_bytes()).decode()
