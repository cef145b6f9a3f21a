"""Hooks as resources: their order, what they know, and what stays secret."""

from __future__ import annotations

from typing import Any

import pytest

from tests.components import recorder
from tests.components.flows import URL, declare, shop
from tests.components.recorder import UNKNOWN, Declared, Hidden, Stack
from tests.pure import samples

SEED: dict[str, Any] = {
    "name": "seed",
    "after": "databases",
    "create": ["psql", "-f", "seed.sql"],
    "update": "psql -f update.sql",
    "delete": "psql -f clean.sql",
    "dir": "db",
    "uses": [{"database": "votes", "environment": {"DATABASE_URL": "uri", "PGPORT": "port"}}],
}
CHECK: dict[str, Any] = {"name": "check", "after": "databases", "create": "check"}
TELL: dict[str, Any] = {
    "name": "tell",
    "create": "tell",
    "environment": {"TOKEN": "s3cret"},
    "triggers": ["v1", 2],
}
FILE: dict[str, Any] = {"name": "file", "delete": "rm file"}


@pytest.fixture
def flow(preview: bool) -> Stack:
    return declare(preview=preview, hooks=[SEED, TELL, CHECK, FILE])


def hook(stack: Stack, name: str) -> Declared:
    return stack.one(recorder.COMMAND, f"dev-hook-{name}")


def test_hooks_of_the_databases_run_between_migrations_and_forks(flow: Stack) -> None:
    seed, check = hook(flow, "seed"), hook(flow, "check")

    assert flow.waits_for(seed, flow.one(recorder.JOB))
    assert flow.waits_for(seed, flow.one(recorder.BRANCH))
    for kind in (recorder.DEPLOYMENT, recorder.SERVICE):
        assert all(flow.waits_for(item, seed) and flow.waits_for(item, check) for item in flow.all(kind))


def test_hooks_of_the_flow_run_after_the_probe_and_so_are_undone_first(flow: Stack) -> None:
    tell, file = hook(flow, "tell"), hook(flow, "file")

    made = [item for item in flow.declared if not item.type.startswith("kardinal:")]
    assert [item.name for item in made if item not in (tell, file) and not flow.waits_for(tell, item)] == []
    assert not any(flow.waits_for(item, tell) for item in made if item is not file)


def test_hooks_of_one_moment_run_in_their_order(flow: Stack) -> None:
    assert hook(flow, "seed").urn in hook(flow, "check").dependencies
    assert hook(flow, "tell").urn in hook(flow, "file").dependencies


def test_commands_are_handed_over_as_they_are_written(flow: Stack) -> None:
    given = hook(flow, "seed").inputs
    commands = {key: given[key] for key in ("create", "update", "delete", "dir")}
    assert commands == {
        "create": "psql -f seed.sql",
        "update": "psql -f update.sql",
        "delete": "psql -f clean.sql",
        "dir": "db",
    }
    assert hook(flow, "tell").inputs["triggers"] == ["v1", "2"]
    assert "create" not in hook(flow, "file").inputs


def test_every_hook_knows_its_flow(flow: Stack) -> None:
    assert hook(flow, "check").inputs["environment"] == {
        "KARDINAL_BAGGAGE": "kardinal-flow=dev",
        "KARDINAL_FLOW": "dev",
        "KARDINAL_HEADER": "x-kardinal-flow: dev",
        "KARDINAL_NAMESPACE": samples.NAMESPACE,
        "KARDINAL_URL": "http://dev.voting.localhost:8080",
    }


def test_a_hook_gets_the_branch_s_connection_as_a_secret(flow: Stack, preview: bool) -> None:
    environment = hook(flow, "seed").inputs["environment"]

    assert environment["DATABASE_URL"] == (UNKNOWN if preview else Hidden(URL))
    assert environment["PGPORT"] == (UNKNOWN if preview else Hidden("5433"))
    assert hook(flow, "tell").inputs["environment"]["TOKEN"] == Hidden("s3cret")


def test_what_a_hook_knows_and_says_is_secret_in_the_state(flow: Stack) -> None:
    for name in ("seed", "tell", "check", "file"):
        assert hook(flow, name).secret_outputs == {"environment", "stdout", "stderr"}


def test_a_hook_with_a_password_prints_nothing_into_the_log(flow: Stack) -> None:
    assert hook(flow, "seed").inputs["logging"] == "none"
    assert hook(flow, "tell").inputs["logging"] == "stdoutAndStderr"


def test_another_trigger_undoes_before_it_makes_anew(flow: Stack) -> None:
    assert all(hook(flow, name).delete_before_replace for name in ("seed", "tell", "check", "file"))


def test_the_baseline_s_hooks_run_for_every_flow(preview: bool) -> None:
    stack = declare(preview=preview, topology=samples.topology(hooks=[CHECK, TELL]), skip_hooks=["tell"])

    names = [item.name for item in stack.all(recorder.COMMAND) if "hook" in item.name]
    assert names == ["dev-hook-check"]


def test_each_database_s_own_connection(preview: bool) -> None:
    topology, live = shop()
    uses = [
        {"database": "orders", "environment": {"ORDERS": "host"}},
        {"database": "users", "environment": {"USERS": "host"}},
    ]
    stack = declare(
        preview=preview,
        topology=topology,
        live=live,
        services={"page": {"image": "page:2"}},
        hooks=[{"name": "both", "create": "x", "uses": uses}],
    )

    environment = hook(stack, "both").inputs["environment"]
    hosts = [environment["ORDERS"], environment["USERS"]]
    assert hosts == (
        [UNKNOWN] * 2 if preview else [Hidden(f"ep-dev-{n}.example.test") for n in ("orders", "users")]
    )


def test_without_entry_and_database_hooks_run_all_the_same(preview: bool) -> None:
    services = {name: {"ports": [{"port": 80}]} for name in ("voting-app-ui", "votes-api")}
    topology = samples.topology(entries=[], databases={}, services=services)
    stack = declare(preview=preview, topology=topology, hooks=[CHECK, TELL])

    assert stack.all(recorder.PROBE) == []
    assert "KARDINAL_URL" not in hook(stack, "check").inputs["environment"]
    routes = stack.all(recorder.HTTP_ROUTE)
    assert len(routes) == 1
    assert all(stack.waits_for(hook(stack, "tell"), item) for item in routes)
    assert all(stack.waits_for(item, hook(stack, "check")) for item in stack.all(recorder.DEPLOYMENT))
