"""The demonstration with one forked service and its routes, for the rules about routes to judge."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

from kardinal_infra.model.names import Owner
from kardinal_infra.observed.live import LiveObjects
from kardinal_infra.routing import Targets, entry_route, flow_routes, production_routes
from kardinal_infra.routing.key import DEFAULT_KEY, Key
from kardinal_infra.safety import REFUSALS, RULES, Case, ProposedFork
from tests.pure.samples import BASELINE_STACK, NAMESPACE, STACK, live, service, topology, workload

UI, FORK = "voting-app-ui", "voting-app-ui-dev"
OWNER = Owner(STACK, NAMESPACE, "dev")
FORKS = {UI: FORK}
Change = Callable[[dict[str, Any]], Any]


def http(*rules: dict[str, Any], name: str = "own", port: int | None = 80, **spec: Any) -> dict[str, Any]:
    parent = {"group": "", "kind": "Service", "name": UI, **({"port": port} if port else {})}
    return {
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"parentRefs": [parent], "rules": list(rules), **spec},
    }


def case(*routes: dict[str, Any], snapshot: LiveObjects | None = None, key: Key = DEFAULT_KEY) -> Case:
    """The demonstration with its baseline's routes and `routes`, and a flow that forks the page."""
    app = topology()
    snapshot = snapshot or live()
    production = production_routes(app, BASELINE_STACK, key=key)
    snapshot = replace(snapshot, http_routes=[*snapshot.http_routes, *production, *routes])
    targets = Targets.of(app, OWNER, UI, FORKS, key)
    made = flow_routes(targets, 80, snapshot.routes)
    fork = ProposedFork(
        service=UI,
        path=f"kardinal:flow.services.{UI}",
        baseline={**workload(UI), "kind": "Deployment"},
        workload=workload(FORK),
        service_manifest=service(FORK),
    )
    entry = entry_route(targets, app.gateway, "dev.voting.localhost", 80)
    return Case(
        live=snapshot,
        topology=app,
        flow="dev",
        forks=(fork,),
        routes=tuple(made),
        entries=(entry,),
        requested=frozenset({UI}),
        routing_key=key,
    )


def found(judged: Case, *, refusals: bool = False) -> dict[str, str]:
    """Message by rule; one finding of a rule at most."""
    findings = [finding for rule in (REFUSALS if refusals else RULES) for finding in rule.findings(judged)]
    assert len({finding.rule for finding in findings}) == len(findings), findings
    return {finding.rule: f"{finding.path}: {finding.message}" for finding in findings}


def changed(judged: Case, change: Change, part: str = "routes") -> Case:
    [manifest] = getattr(judged, part)
    copy = deepcopy(dict(manifest))
    change(copy["spec"])
    parts: dict[str, Any] = {part: (copy,)}
    return replace(judged, **parts)
