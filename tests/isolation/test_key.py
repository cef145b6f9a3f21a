"""Who answers a request: the key however it is written, forged keys, and Services of every kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from kardinal_infra.errors import ConfigError
from kardinal_infra.model.names import HEADER_FLOW
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.plan import make_plan
from tests.isolation.guarded import BASELINE, HOST, KEY, STACK, Ask, Headers, Place, settles
from tests.mesh.conftest import Manifest
from tests.pure.samples import config

pytestmark = pytest.mark.lab

MEMBER = ("baggage", "kardinal-flow=dev")
FORGED = {
    "as it is": (KEY,),
    "in capitals": (("X-KARDINAL-FLOW", "dev"),),
    "twice": (KEY, KEY),
    "twice, in two spellings": (KEY, ("X-Kardinal-Flow", "dev")),
    "joined": ((HEADER_FLOW, "dev,dev"),),
    "with another": ((HEADER_FLOW, "pr-7, dev"),),
    "with spaces": ((HEADER_FLOW, "  dev  "),),
    "another flow's": ((HEADER_FLOW, "pr-7"),),
    "in the baggage": (MEMBER,),
    "in both": (KEY, MEMBER),
    "in two baggages": (("Baggage", "a=b"), MEMBER),
    "taken off at the next hop": (KEY, ("Connection", HEADER_FLOW)),
}


def test_the_production_host_never_leads_to_a_fork(guarded: Place) -> None:
    for forged, headers in FORGED.items():
        answer = guarded.visit(HOST, headers)
        assert (answer.status, answer.by) == (200, "desk"), forged
        assert HEADER_FLOW not in answer.headers, forged


def test_the_flow_s_host_leads_to_its_own_fork(guarded: Place) -> None:
    for forged, headers in FORGED.items():
        answer = guarded.visit(f"dev.{HOST}", headers)
        assert (answer.status, answer.by) == (200, "desk-dev"), forged
        assert answer.headers[HEADER_FLOW] == "dev", forged


def test_in_the_mesh_the_header_is_matched_exactly(guarded: Place) -> None:
    table = {
        (): "desk",
        (KEY,): "desk-dev",
        (("X-Kardinal-Flow", "dev"),): "desk-dev",
        ((HEADER_FLOW, " dev "),): "desk-dev",
        ((HEADER_FLOW, "Dev"),): "desk",
        ((HEADER_FLOW, "dev,dev"),): "desk",
        ((HEADER_FLOW, "pr-7, dev"),): "desk",
        (KEY, KEY): "desk-dev",
        # Of several headers one that matches is enough.
        ((HEADER_FLOW, "pr-7"), KEY): "desk-dev",
        (KEY, (HEADER_FLOW, "pr-7")): "desk-dev",
        (MEMBER,): "desk",
    }
    found = guarded.by("friend", *(Ask("desk:80", headers=headers) for headers in table))
    assert dict(zip(table, found, strict=True)) == table


def test_every_port_and_kind_of_service(guarded: Place) -> None:
    """`rows` is headless; its fork has an address of its own."""
    targets = {"desk:80": "desk-dev", "desk:81": "desk-dev", "desk:9000": "desk-dev", "rows:8000": "rows-dev"}
    for headers in ((), (KEY,), ((HEADER_FLOW, "unknown"),)):
        methods = ["GRPC" if target == "desk:9000" else "GET" for target in targets]
        asked = [
            Ask(target, headers=headers, method=method)
            for target, method in zip(targets, methods, strict=True)
        ]
        wanted = list(targets.values()) if headers == (KEY,) else ["desk"] * len(targets)
        assert guarded.by("friend", *asked) == wanted


def route_of_consumer(place: Place, port: int, match: dict[str, Any]) -> Manifest:
    """A route in the namespace of the callers that it is for, on a Service of another one."""
    there = {"name": "desk", "namespace": place.mesh.namespace}
    parent = {"group": "", "kind": "Service", **there, "port": port}
    rule = {"matches": [match], "backendRefs": [{**there, "port": port}]}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "own", "namespace": place.elsewhere.namespace},
        "spec": {"parentRefs": [parent], "rules": [rule]},
    }


@pytest.fixture
def elsewhere(guarded: Place) -> Iterator[Place]:
    """The consumer's namespace without routes, also afterwards."""
    yield guarded
    guarded.elsewhere.delete("httproute", "--all")


def asked_by(place: Place, caller: str, port: int, headers: Headers = (KEY,)) -> str:
    return place.by(caller, Ask(f"desk.{place.mesh.namespace}:{port}", "/common", headers))[0]


def problems(place: Place, live: LiveObjects) -> str:
    """What speaks against the flow."""
    with pytest.raises(ConfigError) as caught:
        make_plan(place.topology, config(baseline=BASELINE, services={"desk": {}}), live, stack=STACK)
    return str(caught.value)


def test_a_route_of_consumers_hides_the_flow_from_them_and_is_refused(elsewhere: Place) -> None:
    assert asked_by(elsewhere, "consumer", 80) == "desk-dev"
    elsewhere.elsewhere.apply(
        [route_of_consumer(elsewhere, 80, {"path": {"type": "PathPrefix", "value": "/"}})]
    )
    assert settles(lambda: asked_by(elsewhere, "consumer", 80), "desk") == "desk"
    assert asked_by(elsewhere, "friend", 80) == "desk-dev"
    found = problems(elsewhere, elsewhere.live())
    assert f"HTTPRoute {elsewhere.elsewhere.namespace}/own routes Service" in found


def test_an_expression_that_nobody_can_read_stops_all_routes_of_its_port_and_is_refused(
    elsewhere: Place,
) -> None:
    """Among callers for whom alone it is: the mesh has other users."""
    broken = route_of_consumer(elsewhere, 81, {"path": {"type": "RegularExpression", "value": "/(unclosed"}})
    elsewhere.elsewhere.apply([broken])
    late = ((HEADER_FLOW, "late"),)
    [route] = [item for item in elsewhere.plan.routes if item["spec"]["parentRefs"][0]["port"] == 81]
    text = json.dumps(route).replace('"value": "dev"', '"value": "late"')
    other = {**json.loads(text), "metadata": {"name": "late"}}
    elsewhere.apply([other])

    def answers(caller: str) -> str:
        return asked_by(elsewhere, caller, 81, late)

    try:
        assert settles(lambda: answers("friend"), "desk-dev") == "desk-dev"
        assert answers("consumer") == "desk"
        [shown] = elsewhere.elsewhere.objects("httproutes")
        [parent] = shown["status"]["parents"]
        assert {item["type"]: item["status"] for item in parent["conditions"]}["Accepted"] == "True"
        elsewhere.elsewhere.delete("httproute", "own")
        assert settles(lambda: answers("consumer"), "desk-dev") == "desk-dev"
    finally:
        elsewhere.mesh.delete("httproute", "late")
    live = elsewhere.live()
    users = {**broken, "metadata": {"name": "own", "namespace": elsewhere.mesh.namespace}}
    assert "broken-expression" in problems(elsewhere, replace(live, http_routes=[*live.http_routes, users]))
