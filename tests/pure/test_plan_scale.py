"""A plan and its proof grow as the application does; what is judged is what is applied."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, get_args

import pytest

from benchmarks.application import STACK, Forks, flow, live, topology
from kardinal_infra.config import load_baseline, load_flow
from kardinal_infra.config.reading import SUGGESTED, did_you_mean
from kardinal_infra.errors import ConfigError
from kardinal_infra.forking import BranchSecret, fork_template, fork_workload
from kardinal_infra.model.names import label_problem
from kardinal_infra.plan import FlowPlan, baseline_problems, make_plan, proof
from kardinal_infra.routing import catch_all_routes
from kardinal_infra.routing.gateway_api.mesh import asking_for_key
from kardinal_infra.safety import Case, Finding
from tests.pure import samples
from tests.pure.counting import calls_of, steps_of

SIZE = 20
MOST = 2.4
"""Twice the size may take so many times the steps at most; quadratic ones took 2.8 to 3.9 times."""


def planning_steps(services: int, forks: Forks, flows: int = 0) -> int:
    app = topology(services)
    snapshot, config = live(app, flows), flow(services, forks)
    return steps_of(lambda: make_plan(app, config, snapshot, stack=STACK))


@pytest.mark.parametrize("forks", get_args(Forks))
def test_a_plan_grows_linearly_with_the_application(forks: Forks) -> None:
    # What is linear takes less than twice as much, since something is always the same. Of a dictionary of all
    # forks that was made for each fork few steps are seen: at 60 services 2.06 times as many, at 20 none.
    small, large = (planning_steps(size, forks) for size in (3 * SIZE, 6 * SIZE))
    assert large / small < 2


@pytest.mark.parametrize("forks", get_args(Forks))
def test_what_the_flows_of_others_cost_does_not_grow_with_the_application(forks: Forks) -> None:
    small, large = (
        planning_steps(size, forks, flows=SIZE) - planning_steps(size, forks) for size in (SIZE, 2 * SIZE)
    )
    assert large / small < MOST / 2


def test_a_baseline_grows_linearly_with_the_application() -> None:
    def steps(services: int) -> int:
        app = topology(services)
        snapshot = live(app, 0)

        def adopt() -> None:
            assert baseline_problems(app, snapshot) == []
            catch_all_routes(app, STACK, snapshot.routes, snapshot.virtual_services)

        return steps_of(adopt)

    assert steps(2 * SIZE) / steps(SIZE) < MOST


def test_only_rules_of_services_that_lead_to_a_fork_are_copied() -> None:
    app = topology(SIZE)
    snapshot = live(app, 0)
    plans: list[FlowPlan] = []

    def plan() -> None:
        plans.append(make_plan(app, flow(SIZE, "one"), snapshot, stack=STACK))

    counted = calls_of([asking_for_key], plan)
    copied = [rule for route in plans[0].routes for rule in route["spec"]["rules"]]
    assert counted == {"asking_for_key": len(copied)}
    assert 0 < len(copied) < len(snapshot.http_routes)


def test_of_thousands_of_misspelt_names_the_first_are_compared_with_all_that_there_are() -> None:
    app = topology(SIZE)
    misspelt: dict[str, Any] = {f"servce-{number:05d}": {} for number in range(10_000)}
    config = load_flow({"baseline": "b", "services": misspelt, "acknowledge": [*misspelt]}, "dev")
    caught: list[ConfigError] = []

    def refuse() -> None:
        with pytest.raises(ConfigError) as refused:
            make_plan(app, config, live(app, 0), stack=STACK)
        caught.append(refused.value)

    counted = calls_of([did_you_mean], refuse)
    assert counted == {"did_you_mean": 2 * SUGGESTED}
    messages = [item.message for item in caught[0].problems if ".services." in item.path]
    assert len(messages) == len(misspelt)
    assert messages[1].startswith("unknown service; shop has: service-00000, service-00001,")
    assert messages[1].endswith('; did you mean "service-00001"?')
    assert set(messages[SUGGESTED:]) == {"unknown service"}


def test_of_many_misspelt_references_the_first_are_compared_with_all_that_there_are() -> None:
    misspelt = [f"servce-{number:05d}" for number in range(200)]
    services = {f"service-{number:05d}": {"dependsOn": [name]} for number, name in enumerate(misspelt)}
    stores = {f"store-{name}": {"service": name} for name in misspelt}
    hooks = [
        {
            "name": name,
            "after": "databases",
            "create": "x",
            "uses": [{"database": name, "environment": {"X": "uri"}}],
        }
        for name in misspelt
    ]
    value = {"namespace": "shop", "domain": "shop.example", "services": services}
    caught: list[ConfigError] = []

    def refuse() -> None:
        with pytest.raises(ConfigError) as refused:
            load_baseline({**value, "stores": stores, "hooks": hooks})
        caught.append(refused.value)

    counted = calls_of([did_you_mean], refuse)
    assert counted == {"did_you_mean": 3 * SUGGESTED}
    messages = {item.path: item.message for item in caught[0].problems}
    path = "kardinal:baseline.services.service-{:05d}.dependsOn[0]"
    assert [messages[path.format(number)] for number in (1, SUGGESTED)] == [
        'unknown service "servce-00001"; did you mean "service-00001"?',
        f'unknown service "servce-{SUGGESTED:05d}"',
    ]
    assert len(messages) == 3 * len(misspelt)


def test_each_fork_is_rendered_once() -> None:
    app = topology(SIZE)
    snapshot, config = live(app, 0), flow(SIZE, "all")
    planned: list[FlowPlan] = []
    counted = calls_of(
        [fork_workload, fork_template],
        lambda: planned.append(make_plan(app, config, snapshot, stack=STACK)),
    )
    assert len(planned[0].forks) == SIZE
    assert counted == {"fork_workload": SIZE, "fork_template": SIZE}


def test_what_is_judged_is_what_is_applied_but_for_the_names_of_the_branches_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cases: list[Case] = []

    def keep(case: Case) -> list[Finding]:
        cases.append(case)
        return []

    monkeypatch.setattr(proof, "prove", keep)
    planned = samples.plan()
    [case] = cases
    judged = {fork.service: fork.workload for fork in case.forks}
    applied = {fork.service: fork.workload({"votes": "votes-branch"}) for fork in planned.forks}

    assert judged["voting-app-ui"] == applied["voting-app-ui"]
    [marked] = environment(judged["votes-api"])
    [named] = environment(applied["votes-api"])
    marker = marked["valueFrom"]["secretKeyRef"]["name"]
    assert isinstance(marker, BranchSecret)
    assert marker.database == "votes"
    assert named == {
        "name": "DATABASE_URL",
        "valueFrom": {"secretKeyRef": {"name": "votes-branch", "key": "DATABASE_URL"}},
    }
    marked["valueFrom"]["secretKeyRef"]["name"] = "votes-branch"
    assert judged["votes-api"] == applied["votes-api"]


def environment(workload: Any) -> list[Any]:
    [container] = workload["spec"]["template"]["spec"]["containers"]
    found: list[Any] = container["env"]
    return found


def test_a_marker_is_no_name_that_a_secret_can_have_and_is_copied_as_what_it_is() -> None:
    marker = BranchSecret("votes")
    assert label_problem(marker) is not None
    copies = deepcopy([marker])
    assert copies == [marker]
    assert copies[0].database == "votes"
