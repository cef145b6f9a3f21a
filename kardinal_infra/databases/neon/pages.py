"""Reading lists page by page, in both of Neon's pagination shapes.

Branches answer `pagination.next`, projects and operations `pagination.cursor`. Neon has been seen to give a
cursor on the last page, so a list ends on an empty or repeated page, without a cursor or with a known one
(docs/facts/neon.md#two-kinds-of-pages).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kardinal_infra.databases.neon.errors import NeonUnexpectedAnswerError

Page = dict[str, Any]


def pages(fetch: Callable[[str | None], Page], key: str) -> Iterator[Page]:
    """Yields whole pages, the last one included.

    Args:
        fetch: Reads the page at a cursor, None for the first one.
        key: Name of the list in the answer, for example `branches`.

    Raises:
        NeonUnexpectedAnswerError: An answer does not hold the list. It must not pass as an empty list: "there
            is no such branch" would be concluded from it.
    """
    seen: set[str] = set()
    cursor: str | None = None
    previous: list[Any] = []
    while True:
        page = fetch(cursor)
        items = page.get(key)
        if not isinstance(items, list):
            raise NeonUnexpectedAnswerError(f"the answer holds no list {key!r}")
        if items and items == previous:
            # A server that ignores the cursor would show every object twice.
            return
        previous = items
        yield page
        pagination = page.get("pagination")
        cursor = None
        if isinstance(pagination, Mapping):
            cursor = pagination.get("next") or pagination.get("cursor")
        if not items or not cursor or cursor in seen:
            return
        seen.add(cursor)
