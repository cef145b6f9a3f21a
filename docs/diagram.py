"""Writes what `docs/architecture.md` says of the package's folders from the code itself.

    python docs/diagram.py            rewrites the parts between the markers
    python docs/diagram.py --check    exit code 1 when the page is out of date

The layers are those that import-linter enforces (`pyproject.toml`), the arrows real imports, and each line is
the first sentence of a folder's docstring. An arrow that a longer way of arrows implies is left out.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PAGE = Path(__file__).with_name("architecture.md")
PACKAGE = "kardinal_infra"
GRAPH = "imports"
TABLE = "layers"

Imports = Mapping[str, frozenset[str]]


def layers(settings: Path = ROOT / "pyproject.toml") -> list[list[str]]:
    """Reads the layers that import-linter enforces, the highest first.

    Args:
        settings: A `pyproject.toml` with one contract of the type `layers`.

    Returns:
        The names of each layer, without the package's.
    """
    contracts = tomllib.loads(settings.read_text())["tool"]["importlinter"]["contracts"]
    [contract] = [one for one in contracts if one["type"] == "layers"]
    return [
        [name.strip(" ()").removeprefix(f"{PACKAGE}.") for name in re.split(r"[|:]", layer)]
        for layer in contract["layers"]
    ]


def imports(names: Iterable[str]) -> Imports:
    """Finds which of the package's parts import which.

    Args:
        names: The parts: packages or modules. What is in none of them is one of its own.

    Returns:
        The imported parts by importing part.
    """
    graph = grimp.build_graph(PACKAGE)
    known = sorted(names, key=len, reverse=True)
    found: dict[str, set[str]] = {}
    for module in sorted(graph.modules - {PACKAGE}):
        part = _part(module, known)
        wanted = found.setdefault(part, set())
        for imported in graph.find_modules_directly_imported_by(module) - {PACKAGE}:
            wanted.add(_part(imported, known))
        wanted.discard(part)
    return {part: frozenset(wanted) for part, wanted in found.items()}


def _part(module: str, known: Iterable[str]) -> str:
    inside = module.removeprefix(f"{PACKAGE}.")
    named = (name for name in known if inside == name or inside.startswith(f"{name}."))
    return next(named, inside.partition(".")[0])


def reduced(found: Imports) -> Imports:
    """Leaves out every arrow that a longer way implies.

    Args:
        found: As `imports`.

    Raises:
        ValueError: Parts import each other in a circle.
    """
    try:
        order = list(TopologicalSorter(found).static_order())
    except CycleError as error:
        raise ValueError(f"parts import each other in a circle: {', '.join(error.args[1])}") from error
    reached: dict[str, frozenset[str]] = {}
    for part in order:
        direct = found.get(part, frozenset())
        reached[part] = direct.union(*(reached[one] for one in direct))
    return {
        part: frozenset(one for one in direct if not any(one in reached[other] for other in direct))
        for part, direct in found.items()
    }


def picture(found: Imports, order: list[list[str]]) -> str:
    """Draws the imports as a Mermaid diagram, in the order of the layers.

    Args:
        found: As `imports`.
        order: As `layers`.
    """
    arrows = reduced(found)
    names = [name for layer in order for name in layer if name in found]
    names += sorted(found.keys() - {*names})
    lines = ["```mermaid", "flowchart TB"]
    lines += [f"  {_id(name)}[{name}]" for name in names]
    for name in names:
        lines += [f"  {_id(name)} --> {_id(one)}" for one in names if one in arrows[name]]
    return "\n".join([*lines, "```"])


def _id(name: str) -> str:
    # "graph", "end" and other words of Mermaid's must not be names of nodes.
    return "p_" + name.replace(".", "_")


def table(found: Imports, order: list[list[str]]) -> str:
    """Says what each part is for, layer by layer.

    Args:
        found: As `imports`.
        order: As `layers`.
    """
    lines = ["| layer | part | what it is |", "| --- | --- | --- |"]
    ranked = [
        (str(rank), name) for rank, layer in enumerate(order, start=1) for name in layer if name in found
    ]
    known = {name for _, name in ranked}
    ranked += [("", name) for name in sorted(found.keys() - known)]
    return "\n".join([*lines, *(f"| {rank} | `{name}` | {purpose(name)} |" for rank, name in ranked)])


def purpose(name: str) -> str:
    """Returns the first sentence of a part's docstring.

    Args:
        name: A package or module, without the package's own name.
    """
    base = ROOT / PACKAGE / name.replace(".", "/")
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    first = (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n\n")[0]
    return " ".join(first.split()).replace("|", r"\|")


def rewritten(text: str) -> str:
    """Puts the code's present state between the markers of a page.

    Args:
        text: The page.

    Returns:
        The page with both parts as they have to be.

    Raises:
        ValueError: A pair of markers is missing, or there more than once.
    """
    order = layers()
    found = imports(name for layer in order for name in layer)
    for name, part in ((GRAPH, picture(found, order)), (TABLE, table(found, order))):
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"{PAGE.name}: expected one pair of markers {name}: begin and {name}: end")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}{part}\n{end}{rest.partition(end)[2]}"
    return text


def main(arguments: list[str]) -> int:
    """Rewrites the page, or says whether it is out of date.

    Args:
        arguments: `--check`, or nothing.

    Returns:
        The exit code.
    """
    present = PAGE.read_text()
    wanted = rewritten(present)
    if arguments == ["--check"]:
        return int(present != wanted)
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
