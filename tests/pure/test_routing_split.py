"""Rules that one route object cannot hold, divided so that ties never depend on which object is older."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.routing.split import split


def rule(*matches: dict[str, Any], name: str = "") -> dict[str, Any]:
    return {"matches": list(matches), "backendRefs": [{"name": name or "b"}]}


def path(value: str, kind: str = "Exact", **more: Any) -> dict[str, Any]:
    return {"path": {"type": kind, "value": value}, **more}


def header(value: str, kind: str = "Exact") -> dict[str, Any]:
    return {"headers": [{"type": kind, "name": "x-tenant", "value": value}]}


def test_what_fits_is_left_as_it_is() -> None:
    rules = [rule(*[path(f"/{n}/{m}") for m in range(8)]) for n in range(16)]
    assert split(rules) == [rules]
    assert split([]) == []


@pytest.mark.parametrize(("rules", "matches", "sizes"), [(40, 1, [16, 16, 8]), (10, 30, [5, 5, 2])])
def test_rules_are_divided_at_the_limits(rules: int, matches: int, sizes: list[int]) -> None:
    parts = split([rule(*[path(f"/{n}/{m}") for m in range(matches)]) for n in range(rules)])
    assert [len(part) for part in parts] == sizes
    assert all(sum(len(item["matches"]) for item in part) <= 128 for part in parts)
    asked = [match["path"]["value"] for part in parts for item in part for match in item["matches"]]
    assert sorted(asked) == sorted(f"/{n}/{m}" for n in range(rules) for m in range(matches))


def test_matches_that_can_tie_stay_together_in_their_order() -> None:
    tied = [rule(path("/tie", headers=[{"name": f"x-{n}", "value": "1"}]), name=f"t{n}") for n in range(3)]
    others = [rule(path(f"/{n}")) for n in range(30)]
    parts = split([tied[0], *others[:10], tied[1], *others[10:], tied[2]])
    assert len(parts) == 3
    holding = [part for part in parts if any(item["backendRefs"][0]["name"][0] == "t" for item in part)]
    [part] = holding
    assert [item for item in part if item in tied] == tied


@pytest.mark.parametrize(
    "matches",
    [
        [header(f"t{n}") for n in range(17)],
        [{"headers": [{"name": ("x-a", "X-A")[n % 2], "value": str(n)}]} for n in range(17)],
        [{"queryParams": [{"name": "q", "value": str(n)}]} for n in range(17)],
        [path(f"/{n:02d}", "PathPrefix") for n in range(17)],
        [{"method": {"service": f"s{n:02d}"}} for n in range(17)],
        [
            path("/", "PathPrefix", method=method, **header(f"t{n}"))
            for n in range(9)
            for method in ("GET", "PUT")
        ],
    ],
    ids=["headers", "header-case", "query", "prefixes", "grpc", "methods"],
)
def test_matches_that_no_request_meets_together_can_be_parted(matches: list[dict[str, Any]]) -> None:
    assert len(split([rule(match) for match in matches])) == 2


@pytest.mark.parametrize(
    "matches",
    [
        [{"headers": [{"name": f"x-{n}", "value": "1"}]} for n in range(17)],
        [header(f"t{n}.*", "RegularExpression") for n in range(17)],
        [path(f"/{n}.*", "RegularExpression") for n in range(17)],
        [
            path("/a" + "/" * (n % 2), "PathPrefix", headers=[{"name": f"x-{n}", "value": "1"}])
            for n in range(17)
        ],
        [{"method": {"method": f"m{n}"}} for n in range(17)],
    ],
    ids=["headers", "header-expressions", "path-expressions", "slashes", "grpc-methods"],
)
def test_more_rules_that_can_tie_than_an_object_holds_are_refused(matches: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="17 rules that a request can meet with the same precedence"):
        split([rule(match) for match in matches])


def test_equal_matches_are_written_once_where_the_first_is() -> None:
    rules = [rule(path("/same"), name=f"r{n}") for n in range(40)]
    assert split(rules) == [rules[:1]]
