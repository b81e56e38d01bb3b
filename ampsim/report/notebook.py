"""What a notebook shows of runs and recordings: HTML with the sound and the figures inside, so that it needs no files."""

import base64
import html
from collections.abc import Iterable, Mapping
from pathlib import Path

PLAYER = (
    '<tr><td>{name}</td><td><audio controls preload="none" src="data:audio/{kind};base64,{data}"></audio></td></tr>'
)


def players(files: Mapping[str, Path]) -> str:
    """A table of audio players, one a file (WAV, FLAC); what it holds goes into the page."""
    rows = (
        PLAYER.format(name=html.escape(name), kind=path.suffix.lstrip("."), data=encoded(path))
        for name, path in files.items()
    )
    return f"<table>{''.join(rows)}</table>"


def picture(path: Path, *, width: int = 700) -> str:
    """A PNG inside the page, `width` pixels wide."""
    return f'<img alt="{html.escape(path.stem)}" width="{width}" src="data:image/png;base64,{encoded(path)}">'


def table(rows: Iterable[tuple[str, str, str]]) -> str:
    """Name, value and meaning of each row."""
    cells = (
        f"<tr><th style='text-align:left'>{html.escape(name)}</th><td style='text-align:right'>{html.escape(value)}</td>"
        f"<td style='text-align:left;opacity:.7'>{html.escape(meaning)}</td></tr>"
        for name, value, meaning in rows
    )
    return f"<table>{''.join(cells)}</table>"


def framed(path: Path, *, height: int = 760) -> str:
    """A whole page in a frame of its own, `height` pixels high, without access to the notebook around it."""
    page = html.escape(path.read_text(encoding="utf-8"), quote=True)
    style = f'style="width:100%;border:0" height="{height}"'
    return f'<iframe sandbox="allow-scripts allow-downloads" {style} srcdoc="{page}"></iframe>'


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
