"""The frame of every page: one head, one style, and a policy under which only the page's own parts act."""

import html
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib import resources
from typing import Any

HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
"""


def document(
    title: str, body: str, *, style: str = "", scripts: Sequence[str] = (), allowed: Mapping[str, str] | None = None
) -> str:
    """A whole page that needs nothing but itself.

    Args:
        title: as plain text.
        body: HTML in which whatever comes from outside is escaped.
        style: CSS on top of `base.css`.
        scripts: all that act on the page; the last of them is put at its end, the others are in the body already.
        allowed: see `content_policy`.
    """
    style = f"{own('base.css')}\n{style}"
    head = HEAD.format(policy=content_policy(style, scripts, allowed or {}), title=html.escape(title), style=style)
    return "\n".join(
        [head + body, *(f"<script>{script}</script>" for script in scripts[-1:]), "</body>", "</html>", ""]
    )


def content_policy(style: str, scripts: Sequence[str], allowed: Mapping[str, str]) -> str:
    """The content security policy of a page with this style and these scripts: no name on it can act or fetch anything.

    `allowed` are further sources by directive, as in `{"media-src": "data:"}`.
    """

    def digest(text: str) -> str:
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    directives = {"default-src": "'none'", "style-src": digest(style)}
    directives |= {"script-src": " ".join(map(digest, scripts))} if scripts else {}
    directives |= {"img-src": "data:"}
    for name, sources in allowed.items():
        before = "" if "'unsafe-inline'" in sources else directives.get(name, "")  # which a digest would switch off
        directives[name] = f"{before} {sources}".strip()
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())


def own(name: str, package: str = "ampsim.report") -> str:
    """The text of a file beside a package's modules."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def filled(template: str, parts: Mapping[str, str]) -> str:
    """A template with its `{{names}}` replaced; those that come with a part stay as they are."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def in_script(data: Mapping[str, Any]) -> str:
    """Data as JSON inside of a script element, where only `<` can end or open anything."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
