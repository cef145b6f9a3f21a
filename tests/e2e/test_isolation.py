"""The levels of isolation besides the default one; what a flow acknowledges; lock and doctor together."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.production import Production

pytestmark = [pytest.mark.lab, pytest.mark.engine]

API = {"votes-api": {"image": "docker.io/library/votes-api:1.0"}}
"""The image that production runs, by its full name."""


def test_services_shares_the_data(production: Production, flow: Callable[..., str]) -> None:
    counts, branches = production.page.look().counts, production.databases.branches()
    name = flow("shared", isolation="services", services=API)

    told = production.project.pulumi("preview", "-s", name).output
    assert 'isolation "services": the fork of votes-api writes to production\'s database votes' in told
    production.up(name)

    outputs = production.project.outputs(name)
    assert outputs["databases"] == {}
    assert {service: item["fork"] for service, item in outputs["services"].items()} == {
        "votes-api": f"votes-api-{name}"
    }
    assert production.databases.branches() == branches
    # The page is production's own; what it asks the fork of the API for is in production's database.
    page = production.flow_page(name)
    assert page.look().fork is None
    page.vote("Cats", 2)
    assert page.look().counts == {**counts, "Cats": counts["Cats"] + 2}
    assert production.databases.votes("main") == {**counts, "Cats": counts["Cats"] + 2}

    production.destroy(name)
    assert production.left_of(name) == []
    assert production.databases.branches() == branches


@pytest.fixture
def doubted(production: Production) -> Iterator[str]:
    """A baseline that locks all flows, and says of the page, which does pass the key on, that it does not."""
    name = "doubted"

    def change(topology: dict[str, Any]) -> None:
        topology["services"]["voting-app-ui"]["propagates"] = False
        topology["egress"] = {"mode": "locked"}

    production.copy_baseline(name, change)
    yield name
    production.project.pulumi("stack", "rm", "--yes", "--force", name)


def test_full_with_the_lock_and_an_acknowledgement_and_the_doctor(
    production: Production, flow: Callable[..., str], doubted: str
) -> None:
    counts = production.page.look().counts
    asked: dict[str, Any] = {"baseline": doubted, "isolation": "full", "services": {}}
    name = flow("whole", **asked)
    assert "key-lost" in production.refused(name)

    production.declare_flow(name, **asked, acknowledge=["key-lost"])
    told = production.project.pulumi("preview", "-s", name).output
    assert "Egress: locked to the application, the branches" in told
    production.up(name)

    outputs = production.project.outputs(name)
    [accepted] = outputs["acknowledged"]
    assert accepted["rule"] == "key-lost"
    assert "voting-app-ui" in accepted["message"]
    assert {service: item["reason"] for service, item in outputs["services"].items()} == {
        "votes-api": "full",
        "voting-app-ui": "full",
    }
    page = production.flow_page(name)
    assert page.look().fork == f"voting-app-ui-{name}"
    page.vote("Dogs", 2)
    assert page.look().counts == {**counts, "Dogs": counts["Dogs"] + 2}
    assert production.page.look().counts == counts
    assert production.databases.votes(production.branch(name)) == page.look().counts

    before = production.objects()
    traced = production.project.kardinal("doctor", name, "--json")
    assert traced.code == 0, traced.output
    [trace] = json.loads(traced.output)["traces"]
    assert (trace["state"], [edge["state"] for edge in trace["edges"]]) == ("passed", ["passed"])
    assert production.objects().keys() == before.keys()

    production.destroy(name)
    assert production.left_of(name) == []
