"""Every link of the repository's Markdown, and every pointer from code to the docs, leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.package.markdown import ROOT, anchors, fences, files, links, slug

CITING = ("kardinal_infra", "packages", "lab", "lab_plugins", "stacks", "tests", "examples", "benchmarks")
RELYING = ("kardinal_infra/", "packages/", "lab_plugins/")
POINTER = re.compile(r"(?<![\w./-])(docs/[\w/-]+\.md)(?:#([\w-]+))?")
FACTS = sorted((ROOT / "docs" / "facts").glob("*.md"))
SHOWN_BY = re.compile(r"^Shown by: .", re.MULTILINE)
NAMED = re.compile(
    r"`((?:kardinal_infra|packages|tests|docs|lab|lab_plugins|examples|stacks|benchmarks|\.github)/[\w./<>-]*)`"
)
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

    assert len(found) > 50
    assert [
        f"{place}: {said}" for place, target in sorted(found) if (said := broken(ROOT / "README.md", target))
    ] == []


def test_every_fact_is_one_that_code_relies_on() -> None:
    cited = {target for place, target in pointers() if place.startswith(RELYING)}
    facts = {
        f"docs/facts/{page.name}#{slug(title)}"
        for page in FACTS
        for title in re.findall(r"^### (.*)$", page.read_text(), re.MULTILINE)
    }
    assert sorted(facts - cited) == []


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


def test_every_file_that_the_pages_for_contributors_name_is_there() -> None:
    pages = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")]
    names = {
        (page.name, name)
        for page in pages
        for name in NAMED.findall(page.read_text())
        if "<" not in name and not (ROOT / name).exists()
    }
    assert sorted(names) == []


def test_every_ring_is_in_the_table() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    rings = {path.parent.relative_to(ROOT).parts[1] for path in (ROOT / "tests").rglob("test_*.py")}

    assert sorted(ring for ring in rings if f"`tests/{ring}/`" not in page) == []


def test_every_block_ends_and_pictures_are_pictures() -> None:
    for path in files():
        assert path.read_text().count("\n```") % 2 == 0, path
    assert {snippet.file for snippet in fences("mermaid")} == {"docs/architecture.md", "docs/concepts.md"}
    assert [str(one) for one in fences("mermaid") if not one.text.startswith("flowchart ")] == []
