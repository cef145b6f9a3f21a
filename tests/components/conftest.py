"""The mocks ring: Pulumi's runtime without an engine, once as a preview and once as an update."""

from __future__ import annotations

import pytest


@pytest.fixture(params=[False, True], ids=["up", "preview"])
def preview(request: pytest.FixtureRequest) -> bool:
    """Whether the program runs for a preview."""
    return bool(request.param)
