"""Every link of the repository's Markdown, and every pointer from code to the docs, leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.package.markdown import ROOT, anchors, fences, files, links

CITING = ("kardinal_infra", "packages", "lab", "lab_plugins", "stacks", "tests", "examples", "benchmarks")
POINTER = re.compile(r"(?<![\w./-])(docs/[\w/-]+\.md)(?:#([\w-]+))?")
FACTS = sorted((ROOT / "docs" / "facts").glob("*.md"))
SHOWN_BY = re.compile(r"^Shown by: .", re.MULTILINE)
PROOF = re.compile(r"`((?:tests|benchmarks)/[\w/.-]+)`")


def broken(source: Path, target: str) -> str | None:
    """What is wrong with a link; None when it leads somewhere or out of the repository."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return None
    path = (source.parent / unquote(parts.path)).resolve() if parts.path else source
    if not path.exists():
        return f"{target}: no such file"
    if parts.fragment and parts.fragment not in anchors(path):
        return f"{target}: no heading of this name"
    return None


def pointers() -> Iterator[tuple[str, str]]:
    """Every mention of a page of the docs in code, with where it stands."""
    for folder in CITING:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "node_modules" not in path.parts:
                for found in POINTER.finditer(path.read_text()):
                    yield path.relative_to(ROOT).as_posix(), found[0]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(path: Path) -> None:
    assert [said for target in links(path) if (said := broken(path, target))] == []


def test_every_pointer_from_code_to_the_docs_leads_somewhere() -> None:
    found = set(pointers())

    assert {target.partition("#")[0] for _, target in found} >= {"docs/safety.md", "docs/facts/mesh.md"}
    assert [
        f"{place}: {said}" for place, target in sorted(found) if (said := broken(ROOT / "README.md", target))
    ] == []


def test_every_page_of_the_docs_is_in_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    listed = {(index.parent / target.partition("#")[0]).resolve() for target in links(index)}
    pages = {path for path in files() if path.is_relative_to(index.parent)} - {index}

    assert sorted(path.name for path in pages - listed) == []


@pytest.mark.parametrize("page", FACTS, ids=lambda page: page.stem)
def test_every_fact_says_what_shows_it(page: Path) -> None:
    facts = re.split(r"^### ", page.read_text(), flags=re.MULTILINE)[1:]

    assert facts != []
    assert [fact.partition("\n")[0] for fact in facts if not SHOWN_BY.search(fact)] == []
    named = PROOF.findall(page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_no_picture_and_no_snippet_is_left_without_its_end() -> None:
    for path in files():
        assert path.read_text().count("\n```") % 2 == 0, path
    assert len(fences("mermaid")) >= 2
