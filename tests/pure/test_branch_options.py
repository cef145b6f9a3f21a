"""How a database is branched: what can be written, what wins, and what the preview says about it."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from kardinal_infra.config import load_baseline, read_flow
from kardinal_infra.errors import ConfigError
from kardinal_infra.model.branch_options import BranchOptions
from kardinal_infra.model.branch_rules import expiry_problem, parse_moment, past_problem, suspend_seconds
from kardinal_infra.model.topology import Topology
from tests.pure.samples import BASELINE_STACK, FLOW, TOPOLOGY, plan, topology

BASELINE = {
    **{name: value for name, value in TOPOLOGY.items() if name != "schemaVersion"},
    "gateway": {"port": 8080},
}
EMAIL = {"table": "voter", "column": "email", "function": "anon.fake_email()"}
ALL: dict[str, Any] = {
    "init": "masked",
    "maskingRules": [EMAIL, {"schema": "app", "table": "voter", "column": "name", "value": "somebody"}],
    "parentTimestamp": "2026-11-23T11:00:00Z",
    "ttl": "7d",
    "compute": {"minUnits": 0.25, "maxUnits": 2, "suspendAfter": "10m"},
    "extraDatabases": {"audit": "auditor"},
    "extraRoles": ["auditor"],
}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"init": "empty"}, 'init: must be "data", "schema-only" or "masked"'),
    ({"parentLsn": "12"}, 'parentLsn: "12" is not a log position like 0/1DE2850'),
    (
        {"parentTimestamp": "2026-11-23"},
        'parentTimestamp: "2026-11-23" is not a time with a zone like 2026-11-24T18:02:16Z',
    ),
    ({"ttl": "0d"}, 'ttl: life time "0d" must be more than 0'),
    ({"ttl": "30s"}, 'ttl: "30s" is not a life time; write minutes, hours or days like 90m, 24h or 7d'),
    ({"protected": "maybe"}, "protected: must be true or false"),
    ({"compute": {"minUnits": "big"}}, "compute.minUnits: must be a number"),
    ({"compute": {"maxUnits": 0.2}}, "compute: maxUnits is 0.2, and the smallest compute has 0.25 units"),
    (
        {"compute": {"minUnits": 4, "maxUnits": 1}},
        "compute: minUnits 4 is more than maxUnits 1: exchange them",
    ),
    (
        {"compute": {"suspendAfter": "8d"}},
        'compute: suspendAfter: idle time "8d" must be at least 1m and at most 7d, or never',
    ),
    ({"extraRoles": ["x" * 64]}, "extraRoles[0]: is longer than the 63 bytes that PostgreSQL allows"),
    ({"extraDatabases": {"audit": " "}}, "extraDatabases.audit: the owner must be a non-empty text"),
    (
        {"init": "masked", "maskingRules": [{**EMAIL, "value": "x"}]},
        "maskingRules[0]: needs either a function, like anon.fake_email(), or a value",
    ),
    (
        {"init": "masked", "maskingRules": [{"table": "voter", "colum": "x", "value": "x"}]},
        "maskingRules[0].column: required, but missing",
    ),
]
CONFLICTS: list[tuple[dict[str, Any], str]] = [
    ({"init": "masked"}, 'maskingRules: required for init "masked": name the columns to mask'),
    ({"maskingRules": [EMAIL]}, 'maskingRules: need init "masked": otherwise nothing would be masked'),
    (
        {"init": "masked", "maskingRules": [EMAIL, {**EMAIL, "database": "votes", "schema": "public"}]},
        'maskingRules: column "votes.public.voter.email" is listed twice',
    ),
    (
        {"parentLsn": "0/1", "parentTimestamp": "2026-11-23T11:00:00Z"},
        "parentLsn: cannot be given together with parentTimestamp: both name the moment to branch from",
    ),
    (
        {"protected": True, "ttl": "7d"},
        "ttl: cannot be set on a protected branch: those never expire",
    ),
    (
        {"extraDatabases": {"votes": "x"}},
        'extraDatabases: "votes" is the database of the branch itself: leave it out',
    ),
    (
        {"extraRoles": ["votes_owner"]},
        'extraRoles: "votes_owner" is the role of the branch itself: leave it out',
    ),
    ({"extraRoles": ["a", "a"]}, 'extraRoles: role "a" is listed twice'),
]


def plain_database(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(TOPOLOGY["databases"]["votes"]), **changes}


def baseline_problems(changes: dict[str, Any]) -> list[str]:
    try:
        load_baseline({**BASELINE, "databases": {"votes": plain_database(**changes)}})
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


def app(**changes: Any) -> Topology:
    databases = {"votes": plain_database(**changes)}
    return Topology.from_plain({**deepcopy(TOPOLOGY), "databases": databases}, BASELINE_STACK)


# Mistakes.


@pytest.mark.parametrize(("value", "message"), [*WRONG, *CONFLICTS])
def test_a_mistake_in_the_baseline_has_its_path_and_a_way_out(value: Any, message: str) -> None:
    assert f"kardinal:baseline.databases.votes.{message}" in baseline_problems(value)


@pytest.mark.parametrize(("value", "message"), WRONG)
def test_a_mistake_in_a_flow_has_its_path_and_a_way_out(value: Any, message: str) -> None:
    loaded = read_flow({**deepcopy(FLOW), "databases": {"votes": value}}, "dev")
    assert f"kardinal:flow.databases.votes.{message}" in [str(problem) for problem in loaded.problems]


@pytest.mark.parametrize(("value", "message"), CONFLICTS)
def test_what_a_flow_says_is_held_against_its_baseline(value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(topology=app(), databases={"votes": value})
    assert str(caught.value) == f"kardinal:flow.databases.votes.{message}"


def test_all_that_can_be_asked_for_is_no_mistake() -> None:
    assert baseline_problems(ALL) == []
    assert plan(topology=app(), databases={"votes": ALL}).databases[0].options == BranchOptions(**ALL)


# What wins.


@pytest.mark.parametrize(
    ("baseline", "own", "merged"),
    [
        (ALL, {}, ALL),
        ({}, ALL, ALL),
        ({"ttl": "7d"}, {"ttl": "1d"}, {"ttl": "1d"}),
        (
            {"parentLsn": "0/1", "ttl": "7d"},
            {"parentTimestamp": "2026-11-23T11:00:00Z"},
            {"parentTimestamp": "2026-11-23T11:00:00Z", "ttl": "7d"},
        ),
        ({"init": "masked", "maskingRules": [EMAIL]}, {"init": "schema-only"}, {"init": "schema-only"}),
        (
            {"init": "masked", "maskingRules": [EMAIL]},
            {"maskingRules": [{**EMAIL, "column": "name"}]},
            {"init": "masked", "maskingRules": [{**EMAIL, "column": "name"}]},
        ),
        ({"ttl": "7d"}, {"protected": True}, {"protected": True}),
        ({"protected": True}, {"protected": False, "ttl": "1d"}, {"protected": False, "ttl": "1d"}),
    ],
)
def test_the_flow_wins_over_the_baseline_and_what_belongs_together_stays_together(
    baseline: dict[str, Any], own: dict[str, Any], merged: dict[str, Any]
) -> None:
    branch = plan(topology=app(**baseline), databases={"votes": own}).databases[0]
    assert branch.options == BranchOptions(**merged)


def test_a_baseline_of_before_these_options_branches_as_before() -> None:
    assert plan(topology=topology()).databases[0].options == BranchOptions(
        ttl=topology().databases["votes"].ttl
    )


# The preview.


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ({}, ['branch "kardinal/voting-app/dev/votes" of ', "until the flow is destroyed, hand-over"]),
        ({"init": "schema-only"}, ["schema only, until"]),
        (ALL, ["masked in voter.email, voter.name, for 7d", " as of 2026-11-23T11:00:00Z ("]),
        (ALL, ["    compute: 0.25 to 2 units, suspended after 10m\n", "    further roles: auditor\n"]),
        (ALL, ["    further databases: audit of auditor\n"]),
        (
            {"parentLsn": "0/1DE2850", "protected": True},
            [" as of 0/1DE2850 (", "destroyed, protected, hand-over"],
        ),
        ({"compute": {"suspendAfter": "never"}}, ["compute: the project's size, suspended after never"]),
    ],
)
def test_the_preview_says_how_a_database_is_branched(value: Any, parts: list[str]) -> None:
    text = plan(topology=app(), databases={"votes": value}).describe()
    assert [part for part in parts if part not in text] == []


def test_the_preview_says_when_a_flow_does_without_the_baselines_masking() -> None:
    masking = app(init="masked", maskingRules=[EMAIL])
    text = plan(topology=masking, databases={"votes": {"init": "data"}}).describe()
    assert "unmasked although the baseline masks it, " in text
    assert "although" not in plan(topology=masking).describe()


# Single values.


@pytest.mark.parametrize(
    ("text", "seconds"), [("never", -1), ("60s", 60), ("1m", 60), ("2h", 7200), ("7d", 604800)]
)
def test_idle_times(text: str, seconds: float | None) -> None:
    assert suspend_seconds(text) == seconds


@pytest.mark.parametrize("text", ["0m", "59s", "169h", "5", "-1", "m", "1w", ""])
def test_what_is_no_idle_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"idle time"):
        suspend_seconds(text)


def test_moments_are_compared_whatever_their_zone() -> None:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert parse_moment("2026-11-24T13:00:00+01:00") == now
    assert past_problem("2026-11-24T13:00:00+01:00", now) is None
    assert past_problem("2026-11-24T13:00:01+01:00", now) is not None
    assert past_problem("2999-01-01T00:00:00Z") is None
    assert expiry_problem("2026-11-24T13:00:00+01:00", now) is not None
    assert expiry_problem("2026-12-24T12:00:00Z", now) is None
