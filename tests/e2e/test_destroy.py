"""`pulumi destroy` after the world has moved on: it succeeds and leaves nothing."""

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.bringup import NeonService
from tests.e2e.production import Production

pytestmark = [pytest.mark.lab, pytest.mark.engine]


@pytest.fixture
def up_flow(production: Production, flow: Callable[..., str]) -> Iterator[str]:
    """A flow that is up; when the test has destroyed it, nothing of it may be left."""
    name = flow("moved")
    production.up(name)
    assert production.left_of(name)
    yield name
    assert production.project.stacks()[name] == 0
    assert production.left_of(name) == []


def test_after_the_baselines_image_changed(production: Production, up_flow: str) -> None:
    path = production.path("deployments", "voting-app-ui")
    image = {"op": "replace", "path": "/spec/template/spec/containers/0/image"}
    # The same image by its full name: a new rollout of production, that works.
    production.cluster.patch(path, [{**image, "value": "docker.io/library/voting-app-ui:1.0"}])
    production.destroy(up_flow)
    assert production.page.look().status == 200
    production.cluster.patch(path, [{**image, "value": "voting-app-ui:1.0"}])


def test_after_a_fork_was_deleted_by_hand(production: Production, up_flow: str) -> None:
    production.cluster.delete(production.path("deployments", f"voting-app-ui-{up_flow}"))
    production.cluster.delete(production.path("services", f"votes-api-{up_flow}"))
    production.destroy(up_flow)


def test_after_the_branch_was_deleted_by_hand(production: Production, up_flow: str) -> None:
    production.databases.delete(production.branch(up_flow))
    production.destroy(up_flow)


def test_after_the_key_was_rotated(
    production: Production, up_flow: str, neon: NeonService, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = neon.key
    neon.stop()
    neon.start("e2e-key-of-the-second-day")
    try:
        monkeypatch.setitem(production.project.environment, "NEON_API_KEY", neon.key)
        production.destroy(up_flow)
    finally:
        neon.stop()
        neon.start(old)
