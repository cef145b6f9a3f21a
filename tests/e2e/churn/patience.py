"""Makes production patient, so that a starved machine is not taken for a broken application.

The churn takes all that the machine has. A readiness probe that has to wait for too long takes production's
only replica out of service, and every caller gets 503, whatever flows there are; a page that does not wait
long enough for votes-api answers 502. Forks inherit the probes.
"""

from __future__ import annotations

from typing import Any

from tests.e2e.bringup import READY_SECONDS, eventually
from tests.e2e.production import Production

DEPLOYMENTS = ("voting-app-ui", "votes-api")
PROBES = ("readinessProbe", "livenessProbe")
PATIENCE = {"timeoutSeconds": 60, "failureThreshold": 10}
PAGE = "import sys; sys.path.insert(0, '/app'); import server; server.ANSWER_SECONDS = 60; server.main()"
"""The page's program, which waits ten seconds otherwise."""


def make_patient(production: Production) -> None:
    """Changes the Deployments, as a person would by hand, and waits until only new pods run."""
    container = "/spec/template/spec/containers/0"
    changes: list[dict[str, Any]] = [
        {"op": "add", "path": f"{container}/{probe}/{field}", "value": value}
        for probe in PROBES
        for field, value in PATIENCE.items()
    ]
    command = {"op": "add", "path": f"{container}/command", "value": ["python3", "-c", PAGE]}
    production.cluster.patch(production.path("deployments", "voting-app-ui"), [*changes, command])
    production.cluster.patch(production.path("deployments", "votes-api"), changes)
    eventually(lambda: all(_rolled_out(production, name) for name in DEPLOYMENTS), "new pods", READY_SECONDS)
    eventually(lambda: not _ending(production), "the end of the old pods", READY_SECONDS)


def _ending(production: Production) -> list[str]:
    """Objects that go on their own: a comparison with a later look would miss them."""
    return [key for key, item in production.objects().items() if "deletionTimestamp" in item["metadata"]]


def _rolled_out(production: Production, name: str) -> bool:
    deployment = production.cluster.get(production.path("deployments", name)) or {}
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    return status.get("observedGeneration") == deployment["metadata"]["generation"] and all(
        status.get(count) == wanted for count in ("replicas", "updatedReplicas", "availableReplicas")
    )
