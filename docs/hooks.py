"""What mkdocs is told beyond docs/: pages made from the code, files of the repository that pages link to, and chapters.

A page is written so that its links work in the repository. `docs/how-to/a2.md` says `../../experiments/a2/README.md`; in the
site that file is a page too, and the link is turned to it.
"""

import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

import generated  # noqa: E402 - it lies beside this file

# Chapters in their order; each holds what its folder holds, so that a new page needs no entry.
CHAPTERS = {"Tutorials": "tutorials", "How-to guides": "how-to", "Concepts": "concepts", "Reference": "reference"}
REPOSITORY = ("CONTRIBUTING.md", "CHANGELOG.md", "examples/**/*", "experiments/**/*")
KEPT = {".md", ".png", ".csv", ".py", ".yaml", ".toml", ".ipynb"}
# Pages that stand for files of the repository that the site does not hold.
INSTEAD = {
    "README.md": "index.md",
    "docs": "index.md",
    "conf": "reference/config/index.md",
    "ampsim/commands/options.py": "reference/commands.md",
    "ampsim/metrics/scores.py": "reference/metrics.md",
    "ampsim/api.py": "reference/api.md",
}
SOUND = re.compile(r'<a href="([^"]+\.ogg)">[^<]*</a>')
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and what lies beside docs/."""
    for path, text in generated.pages().items():
        files.append(File.generated(config, path, content=text))
    for path in beside():
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    config.nav = chapters(files)
    return files


def beside() -> Iterator[Path]:
    for pattern in REPOSITORY:
        for path in sorted(ROOT.glob(pattern)):
            if path.suffix in KEPT and "__pycache__" not in path.parts:
                yield path


def chapters(files: Files) -> list[dict[str, object]]:
    """Which page stands in which chapter: in the order in which the home page names them, others behind."""
    home = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    named = [found[2] for found in LINK.finditer(home)]

    def place(page: str) -> tuple[int, str]:
        return named.index(page) if page in named else len(named), page

    pages = sorted((file.src_uri for file in files.documentation_pages()), key=place)

    def within(folder: str) -> list[str]:
        return [page for page in pages if posixpath.dirname(page) == folder]

    nav: list[dict[str, object]] = [{"Home": "index.md"}]
    nav += [{title: within(folder)} for title, folder in CHAPTERS.items()]
    config_pages = within("reference/config")
    nav[-1]["Reference"] = [*within("reference"), {"Config keys": config_pages}]
    studies = [page for page in pages if page.startswith("experiments/")]
    more = [page for page in within("") if page not in ("index.md", "faq.md")]
    examples = [page for page in pages if page.startswith("examples/")]
    return [*nav, {"FAQ": "faq.md"}, {"Studies": studies}, {"More": [*more, *examples]}]


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that leave docs/, or lead into it, to where the site has their files; what it does not have is no link."""
    place = in_repository(page.file.src_uri)
    kept: list[str] = []

    def code(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\0{len(kept) - 1}\0"

    def turned(found: re.Match[str]) -> str:
        if re.match(r"\w+:", found[2]):
            return found[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(place), found[2]))
        if (ROOT / target).is_dir() and (ROOT / target / "README.md").exists():
            target += "/README.md"
        inside = INSTEAD.get(target, target.removeprefix("docs/"))
        end = ")" if target in INSTEAD else found[3]  # another page has other headings
        return found[1] + posixpath.relpath(inside, posixpath.dirname(page.file.src_uri) or ".") + end

    text = LINK.sub(turned, CODE.sub(code, markdown))
    return re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], text)


def in_repository(src_uri: str) -> str:
    """Where the file of a page lies."""
    return src_uri if (ROOT / src_uri).exists() and not (ROOT / "docs" / src_uri).exists() else f"docs/{src_uri}"


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A player behind each link to a sound."""
    return SOUND.sub(r'\g<0> <audio controls preload="none" src="\1"></audio>', html)
