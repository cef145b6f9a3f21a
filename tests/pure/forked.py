"""A fork to test with, of the Deployment and Service `web`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kardinal_infra.forking import (
    DatabaseEnv,
    ForkSpec,
    fork_workload,
)
from kardinal_infra.model.names import Owner
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.safety import Case, ProposedFork
from tests.pure.samples import NAMESPACE, STACK, service, topology, workload

VOTES = DatabaseEnv("votes", "env", {"DATABASE_URL": "uri"})
BRANCH_REF = {
    "name": "DATABASE_URL",
    "valueFrom": {"secretKeyRef": {"name": "branch", "key": "DATABASE_URL"}},
}


def spec(item: dict[str, Any] | None = None, **changes: Any) -> ForkSpec:
    result = ForkSpec(
        owner=Owner(STACK, NAMESPACE, "dev"),
        service="web",
        name="web-dev",
        workload={"kind": "Deployment", **(item or workload("web"))},
        live_service=service("web"),
        container="web",
        selected_keys=frozenset({"app"}),
    )
    return replace(result, **changes)


def pod(item: dict[str, Any]) -> dict[str, Any]:
    result = item["spec"]["template"]["spec"]
    assert isinstance(result, dict)
    return result


def fork(item: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return fork_workload(spec(item, **changes), {"votes": "branch"})


def case(live: LiveObjects, made: ForkSpec, **changes: Any) -> Case:
    """What the safety rules see of one fork."""
    fork = ProposedFork(
        service=made.service,
        path="kardinal:flow.services.web",
        baseline=made.workload,
        workload=fork_workload(made, {"votes": "branch"}),
        databases=made.databases,
        requested_env=frozenset(made.env),
    )
    services = {"web": {"ports": [{"port": 80}], **changes.pop("declared", {})}, **changes.pop("others", {})}
    proposed = replace(fork, **changes.pop("fork", {}))
    shown = topology(services=services, entries=[], databases=changes.pop("databases", {}))
    return Case(live, shown, "dev", (proposed,), **changes)
