"""What the runs of a folder of recordings come to: the doctor's findings, a table, a page to listen to all, and every export."""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

from ampsim import AmpsimError, __version__, counted
from ampsim.comparing.outcomes import Row, as_csv
from ampsim.doctor import Finding, diagnosed, loaded
from ampsim.files import atomic
from ampsim.metrics.scores import SCORES
from ampsim.report import notebook
from ampsim.report.document import document
from ampsim.runs.tracking import Store, TrackedRun
from ampsim.signals import audio

EXCERPT_S = 4.0  # of each recording on the page
PAGE_BYTES = 60_000_000  # of sound on the page; runs beyond it are linked to only
SHOWN = ("esr", "predicted_mushra")
Notice = Callable[[str], None]


def diagnoses(sources: Mapping[str, Mapping[str, Any]], notice: Notice) -> dict[str, list[Finding]]:
    """What the doctor finds of recordings, by the name of the run that learns one, worst first; it is told as it is found.

    Args:
        sources: the section `data` of each run's config.
    """
    found: dict[str, list[Finding]] = {}
    seen: dict[tuple[str, str], list[Finding]] = {}
    for name, data in sources.items():
        files = data.get("input") or data["path"], data.get("target") or ""
        if files not in seen:
            try:
                seen[files] = list(diagnosed(*loaded(*files)).findings)
            except AmpsimError as error:
                seen[files] = [Finding("error", "file", str(error))]
            grave = [each.text for each in seen[files] if each.severity in ("error", "warning")]
            notice(f"doctor: {name}: {'; '.join(grave) or 'nothing to mend'}")
        found[name] = seen[files]
    return found


def keep(
    store: Store, parent: TrackedRun, rows: Sequence[Row], found: dict[str, list[Finding]], notice: Notice
) -> None:
    """Put the table of findings and the page on the parent run, and the exports of all runs into one folder."""
    runs = {row.run_id: store.tracked(store.run(row.run_id)) for row in rows if row.finished}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "doctor.csv").write_text(findings_table(found), encoding="utf-8")
        (folder / "captures.html").write_text(page(parent.name, rows, runs, found), encoding="utf-8")
        parent.log_folder(folder)
    notice(f"listen to all:  {parent.file('captures.html')}")
    exports = store.folder / "exports" / parent.name
    number = sum(collected(run, exports) for run in runs.values())
    if number:
        notice(f"{number} exports:      {exports}")


def collected(run: TrackedRun, folder: Path) -> int:
    """Copy a run's exports into a folder, over those of a run of that name from before; how many it has."""
    number = 0
    with suppress(AmpsimError):  # a run without any
        for made in sorted(run.file("exports").glob("*/*")):
            number += 1
            if made.is_dir():
                shutil.copytree(made, folder / made.name, dirs_exist_ok=True)
                continue
            folder.mkdir(parents=True, exist_ok=True)
            with atomic(folder / made.name, overwrite=True) as part:
                shutil.copy(made, part)
    return number


def findings_table(found: dict[str, list[Finding]]) -> str:
    """One line a finding, as CSV; those that are fine are left out."""
    lines = [
        (name, one.severity, one.topic, one.text, one.fix, " ".join(f"{at:.3f}" for at in one.at_s))
        for name, each in found.items()
        for one in each
        if one.severity != "ok"
    ]
    return as_csv(["recording", "severity", "topic", "text", "fix", "at_s"], lines)


# ---- The page -------------------------------------------------------------------------------------------------------


STYLE = """
:root { --error: #b3261e; --warning: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --error: #ff8a80; --warning: #ffc857; } }
h2 { margin: 0; overflow-wrap: anywhere; }
section p { margin: 0.2rem 0; overflow-wrap: anywhere; }
ul { margin: 0.3rem 0; padding-left: 1.2rem; }
.error, section.error > p { color: var(--error); } .warning { color: var(--warning); }
section { color: var(--ink); }
tr { display: inline-block; } td { padding-right: 0.7rem; } audio { width: min(20rem, 60vw); vertical-align: middle; }
"""


def page(title: str, rows: Sequence[Row], runs: dict[str, TrackedRun], found: dict[str, list[Finding]]) -> str:
    """Every recording with its scores, its findings, and the amp and the model to listen to; needs no file beside it."""
    sections, spent = [], 0
    for row in rows:
        heard = excerpts(runs[row.run_id]) if row.run_id in runs and spent < PAGE_BYTES else {}
        spent += sum(map(len, heard.values()))
        sections.append(section(row, found.get(row.name, []), heard))
    finished = sum(row.finished for row in rows)
    told = f"{counted(len(rows), 'recording')}, {finished} learnt"
    told += f", {len(rows) - finished} not" if finished < len(rows) else ""
    about = "Each player holds the same few seconds of the test part; a run's own page, listen.html, has it all, and blind tests."
    body = [
        f'<header class="top"><h1>{escape(title)}</h1><p class="muted">{told}. {about}</p></header>',
        f"<main>{''.join(sections)}</main>",
        f'<footer class="muted">ampsim {__version__}</footer>',
    ]
    return document(title, "\n".join(body), style=STYLE, allowed={"media-src": "data:"})


def section(row: Row, found: Sequence[Finding], heard: dict[str, bytes]) -> str:
    scores = [
        f"{SCORES[key].title} {SCORES[key].text(row.metrics[f'test_{key}'])}"
        for key in SHOWN
        if f"test_{key}" in row.metrics and row.finished
    ]
    told = ", ".join(scores) if row.finished else f"{row.status}: {row.note}".rstrip(": ")
    grave = [each for each in found if each.severity in ("error", "warning") and each.sentence != row.note]
    items = "".join(f'<li class="{each.severity}">{escape(each.sentence)}</li>' for each in grave)
    return (
        f'<section class="{"" if row.finished else "error"}"><h2>{escape(row.name)}</h2><p>{escape(told)}</p>'
        f"{f'<ul>{items}</ul>' if items else ''}{notebook.sounds(heard) if heard else ''}</section>"
    )


def excerpts(run: TrackedRun) -> dict[str, bytes]:
    """The busiest seconds of amp and model in the test split, as FLAC files; none where the run's audio is gone."""
    try:
        files = {name: audio.read(run.file("audio") / f"{name}.wav") for name in ("amp", "prediction")}
    except AmpsimError:
        return {}
    rate = files["amp"].sample_rate
    length = min(round(EXCERPT_S * rate), len(files["amp"].samples))
    start = audio.busiest(files["amp"].channel(0), rate, length)
    return {
        {"prediction": "model"}.get(name, name): audio.flac(audio.to_pcm(file.channel(0)[start : start + length]), rate)
        for name, file in files.items()
    }
