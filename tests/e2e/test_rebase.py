"""A baseline that moves under a flow: preview tells it, and `up` brings the forks to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.production import Production

pytestmark = [pytest.mark.lab, pytest.mark.engine]

IMAGE = "docker.io/library/votes-api:1.0"
"""The image that the baseline runs, by its full name: a new rollout that works."""

ASK = """
import sys, urllib.request
request = urllib.request.Request("http://votes-api/healthz", headers={"x-kardinal-flow": sys.argv[1]})
with urllib.request.urlopen(request, timeout=20) as answer:
    print(answer.status, answer.headers["x-kardinal-fork"], answer.headers["x-release"])
"""


def container(production: Production, name: str) -> dict[str, Any]:
    item = production.cluster.get(production.path("deployments", name))
    assert item is not None
    [found] = item["spec"]["template"]["spec"]["containers"]
    return dict(found)


def variables(production: Production, name: str) -> dict[str, Any]:
    return {item["name"]: item.get("value") for item in container(production, name)["env"]}


@pytest.fixture
def move(production: Production) -> Iterator[Callable[[], None]]:
    """The owner's new release: another image and variable of the API, a variable of the page, a route."""
    spec = "/spec/template/spec/containers/0"
    paths = {name: production.path("deployments", name) for name in ("votes-api", "voting-app-ui")}
    before = {name: container(production, name) for name in paths}
    collection, _, route = production.path("httproutes", "votes-api-release").rpartition("/")

    def apply() -> None:
        added = {"op": "add", "path": f"{spec}/env/-", "value": {"name": "RELEASE", "value": "2"}}
        image = {"op": "replace", "path": f"{spec}/image", "value": IMAGE}
        production.cluster.patch(paths["votes-api"], [image, added])
        production.cluster.patch(paths["voting-app-ui"], [added])
        header = {"set": [{"name": "x-release", "value": "2"}]}
        rule = {
            "matches": [{"path": {"type": "Exact", "value": "/healthz"}}],
            "filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": header}],
            "backendRefs": [{"name": "votes-api", "port": 80}],
        }
        parent = {"group": "", "kind": "Service", "name": "votes-api", "port": 80}
        production.cluster.create(
            collection,
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": {"name": route},
                "spec": {"parentRefs": [parent], "rules": [rule]},
            },
        )

    yield apply
    for name, path in paths.items():
        production.cluster.patch(path, [{"op": "replace", "path": spec, "value": before[name]}])
    production.cluster.delete(f"{collection}/{route}")
    for name in paths:
        production.kubectl("rollout", "status", f"deployment/{name}", "--timeout=120s")


def test_up_rebases_a_flow_on_a_baseline_that_has_moved(
    production: Production, flow: Callable[..., str], move: Callable[[], None]
) -> None:
    name = flow("rebased")
    production.up(name)
    page = production.flow_page(name)
    page.vote("Parrots", 3)
    counts = page.look().counts
    branch = production.project.outputs(name)["databases"]["votes"]["branchId"]
    move()

    told = production.project.pulumi("preview", "-s", name).output
    assert "The baseline has moved since this flow was last brought up" in told
    assert f"votes-api: image votes-api:1.0 -> {IMAGE}" in told
    assert "votes-api: its pod template, besides the images" in told
    assert "voting-app-ui: its pod template, besides the images" in told

    production.up(name)

    # The API is forked for its data alone and follows; the page keeps what the flow asked for.
    assert container(production, f"votes-api-{name}")["image"] == IMAGE
    assert container(production, f"voting-app-ui-{name}")["image"] == "voting-app-ui-dev"
    for service in ("votes-api", "voting-app-ui"):
        assert variables(production, f"{service}-{name}")["RELEASE"] == "2"
    assert variables(production, f"votes-api-{name}").keys() == variables(production, "votes-api").keys()
    # The owner's new rule holds for the flow too, and leads to its fork.
    assert production.python("voting-app-ui", ASK, name).split() == ["200", f"votes-api-{name}", "2"]
    # Same branch, same votes.
    assert page.look().fork == f"voting-app-ui-{name}"
    assert page.look().counts == counts
    assert production.project.outputs(name)["databases"]["votes"]["branchId"] == branch
    assert production.page.look().fork is None

    production.up(name, "--expect-no-changes")
    assert "has moved" not in production.project.pulumi("preview", "-s", name).output
