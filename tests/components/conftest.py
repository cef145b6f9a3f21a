"""The mocks ring: Pulumi's runtime without an engine, once as a preview and once as an update."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.components.kubernetes_api import KubernetesApi, serving
from tests.pure import samples


@pytest.fixture(params=[False, True], ids=["up", "preview"])
def preview(request: pytest.FixtureRequest) -> bool:
    """Whether the program runs for a preview."""
    return bool(request.param)


@pytest.fixture
def kubernetes() -> Iterator[KubernetesApi]:
    """An API server that holds the demonstration's application."""
    api = KubernetesApi()
    live = samples.live()
    api.put("namespaces", {"metadata": {"name": samples.NAMESPACE, "labels": {"istio-injection": "enabled"}}})
    api.put("services", *map(dict, live.services))
    api.put("deployments", *map(dict, live.deployments))
    api.put("httproutes", *map(dict, live.http_routes))
    api.put("gateways", *map(dict, live.gateways))
    api.put("mutatingwebhookconfigurations", samples.INJECTOR)
    with serving(api):
        yield api
