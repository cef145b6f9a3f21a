"""The mocks ring: Pulumi's runtime without an engine, once as a preview and once as an update."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.components.kubernetes_api import KubernetesApi, demonstration, serving


@pytest.fixture(params=[False, True], ids=["up", "preview"])
def preview(request: pytest.FixtureRequest) -> bool:
    """Whether the program runs for a preview."""
    return bool(request.param)


@pytest.fixture
def kubernetes() -> Iterator[KubernetesApi]:
    """An API server that holds the demonstration's application."""
    with serving(demonstration()) as api:
        yield api
