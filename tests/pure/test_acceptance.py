"""What is read from a route's status: every parent, both conditions, of the latest version."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.routing.acceptance import acceptance_problems

GATEWAY = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public", "namespace": "edge"}
HTTPS = {**GATEWAY, "sectionName": "https"}
SERVICE = {"group": "", "kind": "Service", "name": "till", "port": 80}
ABSENT = {"reason": "BackendNotFound", "message": "backend(none) not found", "status": "False"}


def told(parent: dict[str, Any], controller: str = "istio", **conditions: Any) -> dict[str, Any]:
    found = {"Accepted": {"status": "True"}, "ResolvedRefs": {"status": "True"}, **conditions}
    listed = [{"type": kind, "observedGeneration": 2, **words} for kind, words in found.items() if words]
    return {"parentRef": parent, "controllerName": controller, "conditions": listed}


def problems(parents: list[Any], *status: dict[str, Any]) -> list[str]:
    metadata = {"name": "own", "namespace": "shop", "generation": 2}
    route = {"metadata": metadata, "spec": {"parentRefs": parents}, "status": {"parents": list(status)}}
    return [
        line.removeprefix("HTTPRoute shop/own is not in effect at ") for line in acceptance_problems(route)
    ]


@pytest.mark.parametrize(
    ("parents", "status"),
    [
        ([GATEWAY, HTTPS, SERVICE], [told(SERVICE), told(HTTPS), told(GATEWAY)]),
        ([{"name": "public", "namespace": "edge"}], [told(GATEWAY)]),  # the rest is the default
        ([SERVICE], [told({**SERVICE, "namespace": "shop"})]),
        ([SERVICE], [told(SERVICE, "other", Accepted={"status": "False"}), told(SERVICE)]),
    ],
)
def test_nothing_is_wrong_once_every_parent_took_the_route(parents: list[Any], status: list[Any]) -> None:
    assert problems(parents, *status) == []


@pytest.mark.parametrize(
    ("parents", "status", "expected"),
    [
        ([SERVICE], [], ["Service shop/till port 80: nobody has looked at it: does that parent exist?"]),
        # A parent that does not exist leaves no trace beside one that does.
        ([GATEWAY, HTTPS], [told(GATEWAY)], ["Gateway edge/public listener https: nobody has looked at it"]),
        ([{**GATEWAY, "namespace": "x"}], [told(GATEWAY)], ["Gateway x/public: nobody has looked at it"]),
        (
            [GATEWAY, SERVICE],
            [told(SERVICE, ResolvedRefs=ABSENT), told(GATEWAY, Accepted={"status": "False", "reason": "No"})],
            [
                "Gateway edge/public: No: no reason given",
                "Service shop/till port 80: BackendNotFound: backend(none) not found",
            ],
        ),
        ([GATEWAY], [told(GATEWAY, ResolvedRefs=None)], ["Gateway edge/public: ResolvedRefs is not decided"]),
        (
            [GATEWAY],
            [told(GATEWAY, Accepted={"status": "True", "observedGeneration": 1})],
            ["Gateway edge/public: Accepted is not decided yet"],
        ),
    ],
)
def test_each_parent_that_did_not_is_named(
    parents: list[Any], status: list[Any], expected: list[str]
) -> None:
    found = problems(parents, *status)
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True)), found
