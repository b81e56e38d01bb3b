"""The frame of a page: what its policy lets act is what is on it, and nothing else."""

import re
from base64 import b64decode
from hashlib import sha256
from html.parser import HTMLParser

from ampsim.report.document import document, filled, in_script


class Elements(HTMLParser):
    """What stands in style and script elements, and the policy, as Python's own parser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inside, self.found, self.policy, self.title = "", [], "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        if dict(attributes).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attributes)["content"] or ""

    def handle_data(self, data: str) -> None:
        if self.inside in ("style", "script"):
            self.found.append((self.inside, data))
        self.title += data if self.inside == "title" else ""

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


def digests(policy: str, directive: str) -> list[bytes]:
    (sources,) = re.findall(rf"{directive}-src ([^;]*)", policy)
    return [b64decode(each) for each in re.findall(r"'sha256-([^']*)'", sources)]


def test_only_what_is_on_the_page_may_act():
    page = Elements(document("a", "<p>x</p>", style="p { color: red; }", scripts=("one()", "two()")))
    (style,) = [text for kind, text in page.found if kind == "style"]
    assert digests(page.policy, "style") == [sha256(style.encode()).digest()]
    assert [text for kind, text in page.found if kind == "script"] == ["two()"]  # the first is in the body already
    assert digests(page.policy, "script") == [sha256(text).digest() for text in (b"one()", b"two()")]
    assert page.policy.startswith("default-src 'none'")
    assert "script-src" not in Elements(document("a", "")).policy


def test_sources_are_added_and_a_digest_does_not_switch_styles_off():
    page = Elements(document("a", "", scripts=("x",), allowed={"img-src": "file:", "style-src": "'unsafe-inline'"}))
    assert "img-src data: file:" in page.policy
    assert digests(page.policy, "style") == []


def test_names_are_text():
    name = "</title><script>x</script>{{body}}"
    assert Elements(document(name, "")).title == name
    assert filled("{{a}} {{body}}", {"a": name, "body": "b"}) == f"{name} b"
    assert "<" not in in_script({"name": name})
