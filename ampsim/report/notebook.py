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
    return rows_of((name, path.suffix.lstrip("."), path.read_bytes()) for name, path in files.items())


def sounds(files: Mapping[str, bytes]) -> str:
    """The same of FLAC files that are not on disk."""
    return rows_of((name, "flac", data) for name, data in files.items())


def rows_of(files: Iterable[tuple[str, str, bytes]]) -> str:
    rows = (PLAYER.format(name=html.escape(name), kind=kind, data=encoded(data)) for name, kind, data in files)
    return f"<table>{''.join(rows)}</table>"


def picture(path: Path) -> str:
    """A PNG file inside the page."""
    return image(path.read_bytes(), path.stem)


def image(png: bytes, name: str, *, width: int = 700) -> str:
    """A PNG inside the page, `width` pixels wide."""
    return f'<img alt="{html.escape(name)}" width="{width}" src="data:image/png;base64,{encoded(png)}">'


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


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
