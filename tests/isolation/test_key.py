"""Who answers a request: the key however it is written, forged keys, and Services of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kardinal_infra.errors import ConfigError
from kardinal_infra.names import HEADER_FLOW
from kardinal_infra.plan import make_plan
from tests.isolation.guarded import BASELINE, HOST, KEY, STACK, Place, settles
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


@pytest.mark.parametrize("forged", list(FORGED))
def test_the_production_host_never_leads_to_a_fork(guarded: Place, forged: str) -> None:
    answer = guarded.visit(HOST, FORGED[forged])
    assert (answer.status, answer.by) == (200, "desk")
    assert HEADER_FLOW not in answer.headers


@pytest.mark.parametrize("forged", list(FORGED))
def test_the_flow_s_host_leads_to_its_own_fork(guarded: Place, forged: str) -> None:
    answer = guarded.visit(f"dev.{HOST}", FORGED[forged])
    assert (answer.status, answer.by) == (200, "desk-dev")
    assert answer.headers[HEADER_FLOW] == "dev"


@pytest.mark.parametrize(
    ("headers", "by"),
    [
        ((), "desk"),
        ((KEY,), "desk-dev"),
        ((("X-Kardinal-Flow", "dev"),), "desk-dev"),
        (((HEADER_FLOW, " dev "),), "desk-dev"),
        (((HEADER_FLOW, "Dev"),), "desk"),
        (((HEADER_FLOW, "dev,dev"),), "desk"),
        ((KEY, KEY), "desk"),
        ((MEMBER,), "desk"),
    ],
)
def test_in_the_mesh_the_header_is_matched_exactly(guarded: Place, headers: Any, by: str) -> None:
    assert guarded.ask("friend", "desk:80", headers=headers).by == by


@pytest.mark.parametrize(
    ("target", "method", "fork"),
    [("desk:80", "GET", "desk-dev"), ("desk:81", "GET", "desk-dev"), ("desk:9000", "GRPC", "desk-dev"),
     ("rows:8000", "GET", "rows-dev")],
)
def test_every_port_and_kind_of_service(guarded: Place, target: str, method: str, fork: str) -> None:
    """`rows` is headless; its fork has an address of its own."""
    untagged, tagged, unknown = (
        guarded.ask("friend", target, headers=headers, method=method).by
        for headers in ((), (KEY,), ((HEADER_FLOW, "unknown"),))
    )
    assert (untagged, tagged, unknown) == ("desk", fork, "desk")


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


def asked_by(place: Place, caller: str, port: int) -> str:
    return place.ask(caller, f"desk.{place.mesh.namespace}:{port}", "/common", (KEY,)).by


def problems(place: Place) -> str:
    """What speaks against the flow now."""
    with pytest.raises(ConfigError) as caught:
        make_plan(place.topology, config(baseline=BASELINE, services={"desk": {}}), place.live(), stack=STACK)
    return str(caught.value)


def test_a_route_of_consumers_hides_the_flow_from_them_and_is_refused(elsewhere: Place) -> None:
    assert asked_by(elsewhere, "consumer", 80) == "desk-dev"
    elsewhere.elsewhere.apply([route_of_consumer(elsewhere, 80, {"path": {"type": "PathPrefix", "value": "/"}})])
    assert settles(lambda: asked_by(elsewhere, "consumer", 80), "desk") == "desk"
    assert asked_by(elsewhere, "friend", 80) == "desk-dev"
    found = problems(elsewhere)
    assert f"{elsewhere.elsewhere.namespace}/own" in found
    assert "consumer-route" in found
