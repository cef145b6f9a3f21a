"""A fork to test with, of the Deployment and Service `web`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kardinal_infra.forking import (
    DatabaseEnv,
    ForkSpec,
    fork_deployment,
)
from kardinal_infra.names import Owner
from tests.pure.samples import NAMESPACE, STACK, service, workload

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
    return fork_deployment(spec(item, **changes), {"votes": "branch"})
