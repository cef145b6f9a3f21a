"""A flow from `up` to `destroy`: what it shows, what it keeps apart, and that nothing of it stays."""

from collections.abc import Callable

import pytest

from lab.demo_cluster import differences
from tests.e2e.production import NAMESPACE, Production

pytestmark = [pytest.mark.lab, pytest.mark.engine]


def test_flow_shows_its_release_beside_production_and_destroy_leaves_nothing(
    production: Production, flow: Callable[..., str]
) -> None:
    before, branches = production.objects(), production.databases.branches()
    name = flow("first")

    production.up(name)

    page = production.flow_page(name)
    seen, counts = page.look(), production.page.look().counts
    assert seen.status == 200
    assert seen.fork == "voting-app-ui-first"
    assert list(seen.counts) == ["Cats", "Dogs", "Parrots"]
    assert {option: seen.counts[option] for option in counts} == counts
    assert production.page.look().fork is None

    page.vote("Parrots", 2)
    production.page.vote("Dogs")
    assert page.look().counts == {**seen.counts, "Parrots": seen.counts["Parrots"] + 2}
    assert production.page.look().counts == {**counts, "Dogs": counts["Dogs"] + 1}
    assert production.databases.votes("main")["Dogs"] == counts["Dogs"] + 1
    assert "Parrots" not in production.databases.votes("main")
    assert production.databases.votes(production.branch(name))["Parrots"] == seen.counts["Parrots"] + 2

    production.destroy(name)

    assert differences(before, production.objects()) == []
    assert production.databases.branches() == branches
    assert production.page.look().status == 200
