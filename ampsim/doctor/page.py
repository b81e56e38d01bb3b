"""A diagnosis as JSON, and as one HTML page that needs nothing beside it."""

import base64
import io
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from html import escape
from typing import Any

from ampsim import __version__, counted
from ampsim.doctor.response import BANDS_HZ
from ampsim.recordings.findings import Diagnosis, Finding, Severity
from ampsim.report.document import document
from ampsim.signals.audio import clock

WORDS: dict[Severity, str] = {"error": "error", "warning": "warning", "note": "remark"}  # a note is what a guitar plays


def as_json(found: Diagnosis) -> str:
    """Name, sample rate, duration and findings; a number that is not finite becomes null."""
    findings = [asdict(each) for each in found.findings]
    for each in findings:
        each["values"] = {key: float(value) if math.isfinite(value) else None for key, value in each["values"].items()}
    about = {"name": found.name, "sample_rate": found.sample_rate, "duration_s": found.duration_s}
    return json.dumps({**about, "findings": findings}, indent=2, ensure_ascii=False)


def summary(found: Diagnosis) -> str:
    counts = ", ".join(counted(number, word) for severity, word in WORDS.items() if (number := found.count(severity)))
    return f"{clock(found.duration_s)} at {found.sample_rate:,} Hz: {counts or 'nothing to mend'}"


STYLE = """
:root { --error: #b3261e; --warning: #9a6700; --note: #0b5cad; --ok: #2f7d32; }
@media (prefers-color-scheme: dark) {
  :root { --error: #ff8a80; --warning: #ffc857; --note: #8ab8ff; --ok: #7fd18b; }
  img { filter: invert(1) hue-rotate(180deg); }
}
body { max-width: 46rem; }
ul { list-style: none; padding: 0; margin: 0; }
li { border-left: 4px solid; padding: 0.1rem 0 0.1rem 0.7rem; margin: 0.6rem 0; overflow-wrap: anywhere; }
li b { text-transform: uppercase; font-size: 0.75rem; letter-spacing: 0.05em; }
li span { color: var(--ink); }
li em { display: block; color: var(--muted); font-style: normal; }
.error { color: var(--error); } .warning { color: var(--warning); } .note { color: var(--note); } .ok { color: var(--ok); }
figure { margin: 1.5rem 0; } figcaption { color: var(--muted); } img { width: 100%; }
"""


def as_html(found: Diagnosis) -> str:
    """The page; whatever comes from a file's name is escaped."""
    pictures = "\n".join(
        f"<figure>{image(figure)}<figcaption>{escape(text)}</figcaption></figure>" for figure, text in figures(found)
    )
    body = [
        f'<header class="top"><h1>{escape(found.name)}</h1><p class="muted">{escape(summary(found))}</p></header>',
        f"<main><section><ul>{''.join(map(item, found.findings))}</ul></section>",
        f"<section><h2>Pictures</h2>{pictures}</section></main>",
        f'<footer class="muted">ampsim {__version__}</footer>',
    ]
    return document(found.name, "\n".join(body), style=STYLE)


def item(finding: Finding) -> str:
    word = WORDS.get(finding.severity, finding.severity)
    fix = f"<em>{escape(finding.fix)}</em>" if finding.fix else ""
    return f'<li class="{finding.severity}"><b>{word}</b> <span>{escape(finding.text)}</span>{fix}</li>'


def figures(found: Diagnosis) -> Iterator[tuple[Any, str]]:
    """Figures and what to see in them."""
    from ampsim.doctor import figures as own
    from ampsim.report import plots

    shown = found.curves
    if "levels_db" in shown:
        yield (
            own.played(shown["levels_db"], shown["pitches"]),
            "What is played: the more of it all, the more is learnt.",
        )
    if len(shown.get("lags", ())) > 2:
        text = "Delay of the amp through the take: a slope is a drift of clocks, a step is lost samples."
        yield own.lags(shown["lag_time_s"], shown["lags"], shown["line"]), text
    if "gain_curve" in shown:
        text = "Gain and crest factor against input level: a falling gain is compression and distortion."
        yield plots.gain_curves({"amp": shown["gain_curve"]}), text
    if "gains_db" in shown:
        bands = [f"{low:.0f} to {high:.0f} Hz" for low, high in BANDS_HZ]
        text = "What the amp does over what the whole take leads to expect: a step that stays is a knob that was moved, a dip "
        text += "of a moment is a band in which hardly anything was played."
        yield own.gain_over_time(shown["gains_db"], shown["block_s"], bands), text
    if "by_window" in shown:
        text = "How far a filter alone comes, by its length: where it is level, a longer window hears nothing more."
        yield own.filter_lengths(shown["windows"], shown["by_window"], found.sample_rate), text


def image(figure: Any) -> str:
    width = figure.get_figwidth()
    figure.set_size_inches(6.4, 6.4 / width * figure.get_figheight())  # so that a phone shows the letters
    figure.suptitle("")
    data = io.BytesIO()
    figure.savefig(data, format="svg", metadata={"Date": None})
    return f'<img alt="" src="data:image/svg+xml;base64,{base64.b64encode(data.getvalue()).decode()}">'
