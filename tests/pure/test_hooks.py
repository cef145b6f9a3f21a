"""Hooks in config, contract and plan: which run, in what order, and every mistake."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from kardinal_infra.config import load_baseline, load_flow, read_flow
from kardinal_infra.errors import ConfigError
from kardinal_infra.model.hook import Hook
from kardinal_infra.model.topology import Topology
from tests.pure.refusing import flow, refusals
from tests.pure.samples import BASELINE_STACK, TOPOLOGY, plan, topology

SEED = {
    "name": "seed",
    "after": "databases",
    "create": ["psql", "-f", "my seed.sql"],
    "uses": [{"database": "votes", "environment": {"DATABASE_URL": "uri"}}],
}
TELL = {"name": "tell", "create": "curl -sf chat.test", "delete": "curl -sf chat.test -d bye"}


def names(hooks: tuple[Hook, ...]) -> list[str]:
    return [hook.name for hook in hooks]


def config_problems(*hooks: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_flow(flow(hooks=list(hooks)), "dev")
    return str(caught.value).splitlines()


def test_a_list_of_arguments_is_quoted_and_a_text_is_for_the_shell_as_it_is() -> None:
    config = load_flow(flow(hooks=[SEED, TELL, {"name": "n", "create": ["sleep", 2]}]), "dev")

    assert [hook.create for hook in config.hooks] == [
        "psql -f 'my seed.sql'",
        "curl -sf chat.test",
        "sleep 2",
    ]
    assert [hook.after for hook in config.hooks] == ["databases", "flow", "flow"]


def test_a_hook_does_not_show_what_its_environment_holds() -> None:
    [hook] = load_flow(flow(hooks=[{**TELL, "environment": {"TOKEN": "s3cret"}}]), "dev").hooks

    assert hook.environment == {"TOKEN": "s3cret"}
    assert "s3cret" not in repr(hook)


def test_the_contract_carries_the_baseline_s_hooks() -> None:
    described = topology(hooks=[SEED, TELL])

    assert Topology.from_plain(described.to_plain(), BASELINE_STACK) == described
    plain = {key: value for key, value in TOPOLOGY.items() if key not in {"schemaVersion", "gateway"}}
    assert load_baseline({**plain, "hooks": [SEED, TELL]}).to_topology().hooks == described.hooks


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        ({"name": "x"}, ": a hook needs a `create` or a `delete` command"),
        ({"create": "x"}, ".name: required, but missing"),
        ({"name": "A b", "create": "x"}, '.name: "A b" must consist of a-z'),
        ({"name": "x", "create": ""}, ".create: must not be empty"),
        ({"name": "x", "create": []}, ".create: must be a command line, or a list of a program"),
        ({"name": "x", "create": ["a", {}]}, ".create: must be a command line, or a list of a program"),
        ({"name": "x", "create": 5}, ".create: must be a string"),
        ({"name": "x", "create": "x", "after": "forks"}, '.after: must be "databases" or "flow"'),
        ({"name": "x", "create": "x", "on": "x"}, ".on: unknown key"),
        (
            {"name": "x", "create": "x", "environment": {"KARDINAL_URL": "x"}},
            ".environment.KARDINAL_URL: the variable is set for every hook",
        ),
        ({"name": "x", "create": "x", "environment": {"a-b": "x"}}, ".environment.a-b: not a name of an env"),
        (
            {**SEED, "environment": {"DATABASE_URL": "x"}},
            ".uses[0].environment.DATABASE_URL: the variable is set twice",
        ),
        (
            {**SEED, "uses": [{"database": "votes", "environment": {"U": "url"}}]},
            ".uses[0].environment.U: must be",
        ),
    ],
)
def test_mistakes_in_a_hook_have_their_path(hook: dict[str, Any], problem: str) -> None:
    [line] = config_problems(TELL, hook)
    assert line.startswith(f"kardinal:flow.hooks[1]{problem}")


def test_a_missing_name_is_told_once_for_each() -> None:
    assert config_problems({"create": "x"}, {"create": "x"}) == [
        f"kardinal:flow.hooks[{index}].name: required, but missing" for index in (0, 1)
    ]


def test_names_are_unique() -> None:
    assert config_problems(TELL, SEED, TELL) == ['kardinal:flow.hooks[2].name: hook "tell" is listed twice']


def test_a_baseline_s_hook_uses_known_databases() -> None:
    plain = {
        key: value for key, value in deepcopy(TOPOLOGY).items() if key not in {"schemaVersion", "gateway"}
    }
    uses = [{"database": "vote", "environment": {"U": "uri"}}]
    with pytest.raises(ConfigError) as caught:
        load_baseline({**plain, "hooks": [{**SEED, "uses": uses}]})
    assert str(caught.value) == (
        'kardinal:baseline.hooks[0].uses[0].database: unknown database "vote"; did you mean "votes"?'
    )


def test_the_baseline_s_come_first_and_one_of_the_same_name_takes_its_place() -> None:
    own = {"name": "seed", "after": "databases", "create": "mine"}
    found = plan(topology=topology(hooks=[SEED, TELL]), hooks=[{"name": "last", "create": "x"}, own])

    assert names(found.hooks) == ["seed", "tell", "last"]
    assert found.hooks[0].create == "mine"


def test_a_flow_can_do_without_the_baseline_s() -> None:
    assert names(plan(topology=topology(hooks=[SEED, TELL]), skip_hooks=["tell"]).hooks) == ["seed"]


def test_the_baseline_s_hook_for_a_database_that_is_not_branched_is_left_out_and_that_is_said() -> None:
    found = plan(topology=topology(hooks=[SEED, TELL]), isolation="services")

    assert names(found.hooks) == ["tell"]
    assert "hook seed of the baseline is left out: the flow does not branch votes" in found.warnings


def test_the_flow_s_own_hook_for_such_a_database_is_refused() -> None:
    asked = flow(hooks=[TELL, SEED], isolation="services")
    assert refusals(asked) == [
        'kardinal:flow.hooks[1].uses[0].database: database "votes" is not branched by this flow'
    ]
    unknown = {**SEED, "uses": [{"database": "vote"}]}
    assert refusals(flow(hooks=[unknown])) == [
        'kardinal:flow.hooks[0].uses[0].database: unknown database "vote"; did you mean "votes"?'
    ]


def test_only_a_hook_of_the_baseline_can_be_skipped() -> None:
    asked = flow(hooks=[TELL], skipHooks=["tel", "tell"])
    assert refusals(asked, app=topology(hooks=[TELL])) == [
        'kardinal:flow.skipHooks[0]: the baseline has no hook "tel"; did you mean "tell"?',
        'kardinal:flow.skipHooks[1]: hook "tell" is replaced and skipped; choose one',
    ]


def test_mistakes_in_hooks_are_told_with_all_others() -> None:
    loaded = read_flow(flow(id="A", hooks=[SEED, {"name": "x"}], services={"web": {"image": "x"}}), "dev")
    assert loaded.config is not None
    assert names(loaded.config.hooks) == ["seed"]
    lines = refusals(flow(id="A", hooks=[SEED, {"name": "x"}], services={"web": {"image": "x"}}))
    assert [line.partition(":")[2].partition(":")[0] for line in lines][:3] == [
        "flow.hooks[0].uses[0].database",
        "flow.hooks[1]",
        "flow.id",
    ]


def test_a_plan_tells_what_will_run_on_this_machine() -> None:
    lines = plan(hooks=[SEED, {**TELL, "create": "one\ntwo"}]).describe().splitlines()

    assert [line for line in lines if "Hook" in line] == [
        "  Hook seed, on this machine, before the forks start: psql -f 'my seed.sql'",
        "  Hook tell, on this machine, when the flow answers: one ...; on destroy: curl -sf chat.test -d bye",
    ]
