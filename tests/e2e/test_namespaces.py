"""One application in two namespaces: flows with forks, routes, Secrets and a migration in both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.settings import Lab
from tests.e2e.bringup import NeonService
from tests.e2e.spread import BACK, FRONT, IMAGE, Seen, Spread, adopted

pytestmark = [pytest.mark.lab, pytest.mark.engine]


@pytest.fixture(scope="module")
def spread(lab: Lab, lab_environment: dict[str, str], neon: NeonService, workplace: Path) -> Iterator[Spread]:
    with adopted(lab, lab_environment, neon, workplace / "spread") as found:
        yield found


def forked(seen: Seen, flow: str) -> list[bool]:
    return [f"-{flow}-" in record["pod"] for record in seen]


def test_a_flow_lives_in_both_namespaces_and_leaves_nothing_in_either(spread: Spread) -> None:
    production, name = spread.production, "dev"
    # Locked: whom a fork may call is named by namespace, and each namespace has its own way to the branch.
    production.declare_flow(name, services={"back": {"image": IMAGE}}, egress="locked")

    killed = production.kill_up(name, lambda line: f"ForkedWorkload back-{name}" in line)
    made = spread.changed()
    assert any(f"{FRONT}/" in line for line in made), (killed, made)
    assert any(f"{BACK}/" in line for line in made), (killed, made)
    production.destroy(name)
    assert spread.changed() == []

    before = spread.ask("front")
    shown = production.up(name).output
    assert f"{BACK}" in shown
    for entry in ("front", "back"):
        seen = spread.ask(f"{name}-{entry}")
        assert forked(seen, name) == [True, True], seen
        assert [record["migrated"] for record in seen] == [True, True]
        assert len({record["database"] for record in seen}) == 1
        assert seen[0]["database"] != before[0]["database"]
        untagged = spread.ask(entry)
        assert forked(untagged, name) == [False, False], untagged
        assert [record["migrated"] for record in untagged] == [False, False]
        assert {record["database"] for record in untagged} == {before[0]["database"]}
    found = production.analyze(FRONT, BACK)
    assert found == ["✔ No validation issues found when analyzing namespace: NAMESPACE."] * 2
    for host, fork in ((f"{name}-front", True), ("front", False)):
        # From the Gateway straight to the other namespace.
        assert forked(spread.ask(host, "/back"), name) == [fork]
    told = production.project.kardinal("doctor", name, "--path", "/call", "--wait", "1", "--json")
    found = json.loads(told.output)["traces"][0]["edges"]
    assert {(edge["caller"], edge["callee"]): edge["state"] for edge in found} == {
        ("front", "back"): "passed",
        ("back", "front"): "missing",  # on this path it is not called
    }

    production.destroy(name)
    assert spread.changed() == []
    assert spread.ask("front") == before
