"""What a baseline adds to a running application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from kardinal_infra import Baseline
from kardinal_infra.components import baseline as baseline_module
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import LiveObjects
from stacks import run as run_stack
from tests.components import recorder
from tests.components.recorder import Stack, run
from tests.pure import samples
from tests.pure.samples import TOPOLOGY

BASELINE: Any = {
    key: TOPOLOGY[key] for key in ("application", "namespace", "domain", "services", "entries", "databases")
} | {"gateway": {"port": 8080, "address": "127.0.0.1:8080"}}


def untouched() -> LiveObjects:
    """The cluster before the baseline stack."""
    return replace(samples.live(), http_routes=[], gateways=[])


def declare(*, preview: bool = False, live: LiveObjects | None = None, **changes: Any) -> Stack:
    def program() -> None:
        arguments: Any = {**BASELINE, **changes}
        baseline = Baseline("voting-app", arguments, live=live or untouched())
        pulumi.export("topology", baseline.topology.to_plain())

    return run(program, preview=preview, stack="baseline")


def test_it_adds_a_gateway_routes_and_nothing_else(preview: bool) -> None:
    stack = declare(preview=preview)

    assert stack.objects() == [
        ("Gateway", "kardinal"),
        ("HTTPRoute", "votes-api-80-kardinal-baseline"),
        ("HTTPRoute", "voting-app-ui-80-kardinal-baseline"),
        ("HTTPRoute", "voting-app-ui-kardinal-production"),
    ]
    for item in stack.declared:
        if item.type.startswith("kubernetes:"):
            metadata = item.inputs["metadata"]
            assert metadata["namespace"] == samples.NAMESPACE
            assert metadata["annotations"]["kardinal.dev/stack"] == "organization/kardinal/baseline"
            assert "kardinal.dev/flow" not in metadata["labels"]


def test_only_what_production_would_miss_is_protected(preview: bool) -> None:
    protected = {item.name for item in declare(preview=preview).declared if item.protect}

    assert protected == {"votes-api-80-kardinal-baseline", "voting-app-ui-80-kardinal-baseline"}


def test_catch_alls_lead_every_request_where_it_went(preview: bool) -> None:
    stack = declare(preview=preview)

    for service in ("votes-api", "voting-app-ui"):
        spec = stack.one(recorder.HTTP_ROUTE, f"{service}-80-kardinal-baseline").inputs["spec"]
        [parent] = spec["parentRefs"]
        assert (parent["kind"], parent["name"], parent["port"]) == ("Service", service, 80)
        [rule] = spec["rules"]
        assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
        assert [(to["name"], to["port"]) for to in rule["backendRefs"]] == [(service, 80)]


def test_production_s_host_takes_the_key_away_and_comes_after_its_gateway(preview: bool) -> None:
    stack = declare(preview=preview)

    gateway = stack.one(recorder.GATEWAY)
    route = stack.one(recorder.HTTP_ROUTE, "voting-app-ui-kardinal-production")
    assert route.inputs["spec"]["hostnames"] == ["voting.localhost"]
    [change] = route.inputs["spec"]["rules"][0]["filters"]
    assert change["requestHeaderModifier"]["remove"] == ["x-kardinal-flow"]
    assert stack.waits_for(route, gateway)
    assert gateway.inputs["metadata"]["annotations"]["pulumi.com/waitFor"] == "condition=Programmed"


def test_production_is_asked_whether_it_still_answers(preview: bool) -> None:
    stack = declare(preview=preview)

    probe = stack.one(recorder.PROBE)
    assert probe.inputs["checks"] == [
        {
            "url": "http://voting.localhost:8080",
            "address": "127.0.0.1:8080",
            "absent": ["x-kardinal-flow"],
        }
    ]
    assert stack.waits_for(probe, stack.one(recorder.HTTP_ROUTE, "voting-app-ui-kardinal-production"))


def test_a_gateway_of_one_s_own_is_used_and_not_made(preview: bool) -> None:
    existing = {"name": "public", "namespace": "edge", "listener": "https"}
    gateway = {"metadata": {"name": "public", "namespace": "edge"}}
    stack = declare(
        preview=preview,
        gateway={"scheme": "https", "port": 443, "existing": existing},
        live=replace(untouched(), gateways=[gateway]),
    )

    assert stack.all(recorder.GATEWAY) == []
    route = stack.one(recorder.HTTP_ROUTE, "voting-app-ui-kardinal-production")
    [parent] = route.inputs["spec"]["parentRefs"]
    assert (parent["name"], parent["namespace"], parent["sectionName"]) == ("public", "edge", "https")
    assert stack.one(recorder.PROBE).inputs["checks"][0]["url"] == "https://voting.localhost"


def test_the_gateway_gets_a_tls_listener_with_a_certificate(preview: bool) -> None:
    stack = declare(preview=preview, gateway={"scheme": "https", "certificate": "shop-tls"})

    http, https = stack.one(recorder.GATEWAY).inputs["spec"]["listeners"]
    assert (http["protocol"], http["port"], "tls" in http) == ("HTTP", 80, False)
    assert (https["protocol"], https["port"]) == ("HTTPS", 443)
    assert https["tls"] == {"mode": "Terminate", "certificateRefs": [{"name": "shop-tls"}]}
    assert https["allowedRoutes"] == http["allowedRoutes"]
    assert stack.one(recorder.PROBE).inputs["checks"][0]["url"] == "https://voting.localhost"


def test_without_entries_there_is_neither_production_route_nor_probe(preview: bool) -> None:
    stack = declare(preview=preview, entries=[])

    assert [name for kind, name in stack.objects() if kind == "HTTPRoute"] == [
        "votes-api-80-kardinal-baseline",
        "voting-app-ui-80-kardinal-baseline",
    ]
    assert stack.all(recorder.PROBE) == []


def test_a_second_run_declares_the_same_beside_running_flows(preview: bool) -> None:
    first = declare(preview=preview)
    mesh = samples.plan().routes
    live = replace(samples.live(), http_routes=[*samples.live().http_routes, *mesh])
    again = declare(preview=preview, live=live)

    assert len(mesh) == 2
    assert again.objects() == first.objects()


def test_it_exports_the_contract_that_flows_read(preview: bool) -> None:
    exported = declare(preview=preview).exports["topology"]

    topology = Topology.from_plain(exported, "organization/kardinal/baseline")
    assert topology.schema_version == 1
    assert topology == samples.topology()


@pytest.mark.parametrize("stack", ["baseline"])
def test_the_baseline_stack_declares_what_its_config_says(
    stack: str, preview: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def snapshot(*args: Any, **kwargs: Any) -> LiveObjects:
        seen.append((args, kwargs))
        return untouched()

    monkeypatch.setattr(baseline_module, "read_live", snapshot)
    program: Callable[[], None] = run_stack
    declared = run(
        program,
        preview=preview,
        stack=stack,
        config={"kardinal:stack": "baseline", "kardinal:baseline": BASELINE, "kubernetes:kubeconfig": "~/k"},
    )
    assert seen == [((samples.NAMESPACE,), {"kubeconfig": "~/k", "context": None})]
    assert declared.one("kardinal:index:Baseline").name == "voting-app"
    assert set(declared.exports) == {"topology"}
