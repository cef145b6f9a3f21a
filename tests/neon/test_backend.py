"""The branching interface and Neon behind it, as far as no engine is needed."""

import json
from typing import Any

import pulumi
import pytest

from kardinal_infra.components.branch_requests import branch_requests
from kardinal_infra.databases.branching import (
    BranchRequest,
    Capabilities,
    Compute,
    MaskingRule,
    backend,
    unsupported,
)
from kardinal_infra.databases.neon.resource import NeonBranch
from kardinal_infra.errors import ConfigError
from tests.neon.wanted import replace
from tests.pure.samples import plan

GOOD = BranchRequest(name="kardinal/voting/dev/votes", project="p", database="votes", role="votes_owner")


def test_a_good_request_has_no_problems() -> None:
    assert backend("neon").problems(GOOD) == []


def test_all_problems_of_a_request_come_at_once() -> None:
    bad = BranchRequest(name="br-a-b-c", project="", database="votes", role="r", ttl="40d", protected=True)
    with pytest.raises(ConfigError) as caught:
        backend("neon").declare("votes", bad)
    assert {problem.path for problem in caught.value.problems} == {"name", "project", "ttl"}


def test_what_a_backend_cannot_do_is_a_problem() -> None:
    wanted = BranchRequest(name="b", project="p", database="d", role="r", ttl="1d", protected=True)
    paths = {problem.path for problem in unsupported(wanted, Capabilities())}
    assert paths == {"ttl", "protected", "rotate_password"}
    able = Capabilities(options=frozenset({"ttl", "protected"}), rotates_credentials=True)
    assert unsupported(wanted, able) == []


EVERYTHING = replace(
    GOOD,
    init="masked",
    masking_rules=(MaskingRule(table="voter", column="email", value="x"),),
    parent_timestamp="2026-01-01T00:00:00Z",
    ttl="7d",
    compute=Compute(min_units=0.25, max_units=1, suspend_after="5m"),
    databases={"audit": "auditor"},
    roles=("auditor",),
)


def test_everything_that_can_be_asked_for_is_something_that_neon_can_do() -> None:
    assert backend("neon").problems(EVERYTHING) == []


def test_each_further_wish_is_a_capability() -> None:
    wanted = replace(EVERYTHING, parent_lsn="0/1", expires_at="2026-12-01T00:00:00Z")
    found = unsupported(wanted, Capabilities(rotates_credentials=True))
    assert {problem.path for problem in found} == {
        "init",
        "masking_rules",
        "parent_timestamp",
        "parent_lsn",
        "ttl",
        "expires_at",
        "compute",
        "databases",
        "roles",
    }
    assert all(problem.message.startswith("this backend cannot ") for problem in found)
    empty = unsupported(replace(GOOD, init="schema-only"), Capabilities(rotates_credentials=True))
    assert [str(problem) for problem in empty] == ["init: this backend cannot make branches without data"]


def test_the_mistakes_of_a_flow_have_the_paths_of_its_config() -> None:
    wrong = {"parentTimestamp": "2999-01-01T00:00:00Z"}
    branches = plan(databases={"votes": wrong}).databases
    with pytest.raises(ConfigError) as caught:
        branch_requests(branches)
    assert str(caught.value) == (
        'kardinal:flow.databases.votes.parentTimestamp: "2999-01-01T00:00:00Z" is in the future: choose an'
        " earlier time"
    )


def test_what_a_flow_says_about_its_branch_reaches_the_backend() -> None:
    said = {
        "init": "masked",
        "maskingRules": [{"schema": "app", "table": "voter", "column": "email", "value": "x"}],
        "parentLsn": "0/1",
        "protected": True,
        "compute": {"minUnits": 1, "suspendAfter": "never"},
        "extraDatabases": {"audit": "auditor"},
        "extraRoles": ["auditor"],
    }
    [branch] = plan(databases={"votes": said}).databases
    assert branch_requests([branch])["votes"] == BranchRequest(
        name=branch.branch_name,
        project="kardinal-demo",
        database="votes",
        role="votes_owner",
        parent="main",
        annotations=dict(branch.annotations),
        init="masked",
        masking_rules=(MaskingRule(table="voter", column="email", schema="app", value="x"),),
        parent_lsn="0/1",
        protected=True,
        compute=Compute(min_units=1, suspend_after="never"),
        databases={"audit": "auditor"},
        roles=("auditor",),
    )


class Recorder(pulumi.runtime.Mocks):
    """Keeps what was registered; outputs are the inputs."""

    def __init__(self) -> None:
        self.registered: list[pulumi.runtime.MockResourceArgs] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, object]]:
        self.registered.append(args)
        return "p/br-1", dict(args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        raise AssertionError(args.token)


@pytest.mark.parametrize("preview", [False, True])
def test_the_resource_carries_its_owner_whatever_it_is_given(preview: bool) -> None:
    recorder = Recorder()
    pulumi.runtime.set_mocks(
        recorder, project="kardinal", stack="dev", organization="organization", preview=preview
    )

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def declare() -> pulumi.Output[list[Any]]:
        args: Any = {"project": "p", "name": "n", "database": "d", "role": "r"}
        plain = NeonBranch("plain", args | {"annotations": {"kardinal-flow": "a", "kardinal-stack": "faked"}})
        late = NeonBranch("late", args | {"annotations": pulumi.Output.from_input({"kardinal-flow": "b"})})
        none = NeonBranch("none", args)
        return pulumi.Output.all(plain.urn, late.urn, none.urn)

    declare()
    seen = {args.name: args for args in recorder.registered}
    assert {args.typ for args in seen.values()} == {"pulumi-python:dynamic/neon:Branch"}
    stack = {"kardinal-stack": "organization/kardinal/dev"}
    assert seen["plain"].inputs["annotations"] == {"kardinal-flow": "a", **stack}
    assert seen["late"].inputs["annotations"] == {"kardinal-flow": "b", **stack}
    assert seen["none"].inputs["annotations"] == stack
    # The reference to the provider hides nothing and stays readable in the state.
    assert all(isinstance(args.inputs["__provider"], str) for args in seen.values())
    assert "secret" not in json.dumps([args.inputs for args in seen.values()])
