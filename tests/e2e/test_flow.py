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


def test_preview_makes_nothing(production: Production, flow: Callable[..., str]) -> None:
    name = flow("looked-at")
    before, operations = production.objects(), production.databases.operations()

    shown = production.project.pulumi("preview", "-s", name).output

    assert f'Flow "looked-at" beside {NAMESPACE}' in shown
    assert f"http://looked-at.{NAMESPACE}.localhost" in shown
    assert differences(before, production.objects()) == []
    assert production.databases.operations() == operations
    assert production.project.stacks()[name] == 0


def test_second_up_refresh_and_preview_find_no_change(production: Production, standing: str) -> None:
    production.up(standing, "--expect-no-changes")
    production.project.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", "-s", standing)
    production.project.pulumi("preview", "--expect-no-changes", "-s", standing)


def test_second_flow_on_the_same_service_is_apart_from_the_first_and_from_production(
    production: Production, standing: str
) -> None:
    first, counts = production.flow_page(standing), production.page.look().counts
    of_first = first.look().counts

    made = production.project.kardinal(
        "flow", "create", "voting-app-ui", "voting-app-ui-dev", "--id", "second"
    )

    try:
        assert made.code == 0, made.output
        second = production.flow_page("second")
        assert second.look().fork == "voting-app-ui-second"
        assert first.look().fork == f"voting-app-ui-{standing}"
        # Its branch was made from production just now, whatever the first flow's votes were.
        assert {option: second.look().counts[option] for option in counts} == counts
        second.vote("Cats", 3)
        assert second.look().counts["Cats"] == counts["Cats"] + 3
        assert first.look().counts == of_first
        assert production.page.look().counts == counts
        listed = production.project.kardinal("flow", "ls").output
        assert standing in listed
        assert "second" in listed
        url = production.project.kardinal("flow", "url", "second").output.strip()
        assert url == f"http://second.{NAMESPACE}.localhost"
        drawn = production.project.kardinal("topology", "--format", "mermaid").output
        assert "second: voting-app-ui-dev" in drawn
        assert f"{standing}: voting-app-ui-dev" in drawn
    finally:
        gone = production.project.kardinal("flow", "delete", "second")
    assert gone.code == 0, gone.output
    assert "second" not in production.project.stacks()
    assert not (production.project.folder / "Pulumi.second.yaml").exists()
    assert production.branch("second") not in production.databases.branches()
    assert first.look().fork == f"voting-app-ui-{standing}"
    assert first.look().counts == of_first
