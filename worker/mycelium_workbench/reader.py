"""Makes readable text of a page, as a program of its own that can be ended when a page is made to take for ever.

Knows only the standard library. It reads HTML from stdin and writes one JSON object: `title`, `text` and `links`.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urldefrag, urljoin

UNSEEN: Final = frozenset({"script", "style", "template", "noscript", "svg", "math", "iframe", "object", "canvas"})
BLOCKS: Final = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "option",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
HEADINGS: Final = {f"h{level}": "#" * level for level in range(1, 7)}
MOST_LINKS: Final = 100
LONGEST_LINK: Final = 500
MEMORY: Final = 1024 * 1024 * 1024


class Readable(HTMLParser):
    """Gathers what a person would read."""

    def __init__(self, base: str) -> None:
        super().__init__(convert_charrefs=True)
        self._base = base
        self._unseen: list[str] = []
        self._in_title = False
        self._title: list[str] = []
        self._said: list[str] = []
        self._link: tuple[str, int] | None = None
        self._links: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNSEEN:
            self._unseen.append(tag)
        elif tag == "title":
            self._in_title = True
        elif tag in BLOCKS:
            self._said.append(f"\n{HEADINGS.get(tag, '')} " if tag in HEADINGS else "\n- " if tag == "li" else "\n")
        elif tag == "a":
            self._end_link()
            self._link = (dict(attrs).get("href") or "", len(self._said))
        elif tag == "img" and (alt := dict(attrs).get("alt")):
            self.handle_data(f"[{alt}]")

    def handle_endtag(self, tag: str) -> None:
        if tag in UNSEEN:
            if tag in self._unseen:
                del self._unseen[self._unseen.index(tag) :]
        elif tag == "title":
            self._in_title = False
        elif tag == "a":
            self._end_link()
        elif tag in BLOCKS:
            self._said.append("\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self._title.append(data)
        elif not self._unseen:
            self._said.append(data)

    def _end_link(self) -> None:
        if self._link is None:
            return
        (href, start), self._link = self._link, None
        try:
            url = urldefrag(urljoin(self._base, href.strip())).url
        except ValueError:
            return
        if url.startswith(("http://", "https://")) and len(url) <= LONGEST_LINK and len(self._links) < MOST_LINKS:
            self._links.setdefault(url, _one_line("".join(self._said[start:]))[:200])

    def result(self) -> dict[str, object]:
        self._end_link()
        lines = (_one_line(line) for line in "".join(self._said).splitlines())
        return {
            "title": _one_line("".join(self._title))[:500],
            "text": re.sub(r"\n{3,}", "\n\n", "\n".join("" if line == "-" else line for line in lines)).strip(),
            "links": [{"url": url, "text": text} for url, text in self._links.items()],
        }


def _one_line(text: str) -> str:
    return " ".join(text.split())


def main(base: str) -> None:
    """Read the page on stdin, whose address is `base`."""
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    readable = Readable(base)
    readable.feed(sys.stdin.buffer.read().decode(errors="replace"))
    readable.close()
    sys.stdout.write(json.dumps(readable.result()))
