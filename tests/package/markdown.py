"""The repository's Markdown: which files, their links and anchors, and the snippets in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count, pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("*.md", "docs", "examples", "lab", "lab_plugins", "packages", "benchmarks", "tests", ".github")
READER = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Snippet:
    """A fenced block, or code within a line.

    Attributes:
        file: Path below the repository.
        line: Of the fence, or of the paragraph; counted from 1.
        language: First word after the fence; empty for code within a line.
        text: What is in it.
    """

    file: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def files() -> list[Path]:
    """Every Markdown file of the repository, without what is installed in it."""
    found = {
        path
        for place in PLACES
        for path in (ROOT.glob(place) if "*" in place else (ROOT / place).rglob("*.md"))
        if not {"node_modules", ".venv", "artifacts"} & set(path.parts)
    }
    return sorted(found)


def fences(*languages: str) -> list[Snippet]:
    """All fenced blocks in these languages."""
    return [snippet for path in files() for snippet in _snippets(path) if snippet.language in languages]


def inline() -> list[Snippet]:
    """All code within lines."""
    return [
        Snippet(_name(path), line, "", token.content)
        for path in files()
        for token, line in _tokens(path)
        if token.type == "code_inline"
    ]


def links(path: Path) -> list[str]:
    """Targets of a file's links, as they are written."""
    return [str(token.attrs["href"]) for token, _ in _tokens(path) if token.type == "link_open"]


@cache
def anchors(path: Path) -> set[str]:
    """Names that a link can go to within a file, made from its headings as GitHub makes them."""
    tokens = _parsed(path)
    found: set[str] = set()
    for heading, content in pairwise(tokens):
        if heading.type != "heading_open":
            continue
        text = "".join(child.content for child in content.children or ())
        name = slug(text)
        further = (f"{name}-{number}" for number in count(1))
        found.add(name if name not in found else next(other for other in further if other not in found))
    return found


def slug(heading: str) -> str:
    """Makes the anchor of a heading as GitHub does."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _snippets(path: Path) -> Iterator[Snippet]:
    for token, line in _tokens(path):
        if token.type == "fence":
            language = (token.info.split() or ["text"])[0]
            yield Snippet(_name(path), line, language, token.content)


@cache
def _parsed(path: Path) -> list[Token]:
    return READER.parse(path.read_text())


def _tokens(path: Path) -> Iterator[tuple[Token, int]]:
    """Every token with the line of the block that it is in."""
    line = 1
    for token in _parsed(path):
        line = token.map[0] + 1 if token.map else line
        yield token, line
        for child in token.children or ():
            yield child, line
