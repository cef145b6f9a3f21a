"""What the provider makes of inputs: changes, replacements and mistakes, offline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.runtime.rpc import UNKNOWN

from kardinal_infra.databases.neon.clock import Clock
from kardinal_infra.databases.neon.provider import NeonBranchProvider
from tests.neon.fake import MAIN, PROJECT
from tests.neon.ring import FULL, INPUTS, LATER, MASKED, RULES, Ring, changes, ready_for

# Differences.


def test_what_cannot_be_changed_is_replaced_after_the_deletion(ring: Ring) -> None:
    id, outs = ring.plugin.create(INPUTS)
    for name, value in {
        "project": "other",
        "parent": "staging",
        "annotations": {"kardinal-stack": "organization/kardinal/other"},
        "api_host": "http://127.0.0.1:1",
        "init": "schema-only",
        "parent_timestamp": "2026-11-23T11:00:00Z",
        "parent_lsn": "0/ABCDEF",
        "masking_rules": RULES,
    }.items():
        diff = ring.plugin.diff(id, outs, {**INPUTS, name: value})
        assert changes(diff)
        assert list(diff.replaces) == [name]
        assert diff.deleteBeforeReplace


def test_naming_project_and_parent_by_id_instead_of_name_is_no_change(ring: Ring) -> None:
    id, outs = ring.plugin.create(INPUTS)
    assert not changes(ring.plugin.diff(id, outs, {**INPUTS, "project": PROJECT, "parent": MAIN}))
    assert changes(ring.plugin.diff(id, outs, {**INPUTS, "project": PROJECT, "parent": "staging"}))


def test_spelling_out_a_default_is_no_change(ring: Ring) -> None:
    id, outs = ring.plugin.create(INPUTS)
    spelt = {**INPUTS, "protected": False, "rotate_password": True, "delete_children": False}
    assert not changes(ring.plugin.diff(id, outs, spelt))


def test_another_spelling_of_the_same_is_no_change(ring: Ring) -> None:
    id, outs = ring.plugin.create(ready_for(ring, MASKED))
    same = {
        **MASKED,
        "masking_rules": [{**RULES[0], "schema": "public", "database": "votes"}],
        "parent_timestamp": "2026-11-23T12:00:00+01:00",
        "expires_at": LATER.replace("Z", ".2+00:00"),
        "compute": {"min_units": 0.5, "max_units": 1.0, "suspend_after": "600s"},
        "roles": ["writer", "reader"],
    }
    assert not changes(ring.plugin.diff(id, outs, MASKED))
    assert not changes(ring.plugin.diff(id, outs, same))


def test_what_can_be_changed_in_place_is(ring: Ring) -> None:
    id, outs = ring.plugin.create(ready_for(ring, FULL))
    for name, value in {
        "expires_at": "2999-01-01T00:00:00Z",
        "compute": {"min_units": 0.25},
        "databases": {"audit": "votes_owner"},
        "roles": ["reader"],
        "protected": True,
    }.items():
        for news in ({**FULL, name: value}, {key: item for key, item in FULL.items() if key != name}):
            diff = ring.plugin.diff(id, outs, news)
            assert changes(diff) or (name, "protected" in news) == ("protected", False)
            assert not diff.replaces


def test_a_position_that_was_an_output_only_is_no_change(ring: Ring) -> None:
    id, outs = ring.plugin.create(INPUTS)
    assert outs["parent_lsn"]
    assert not changes(ring.plugin.diff(id, outs, INPUTS))
    assert not changes(ring.plugin.diff(id, outs, {**INPUTS, "parent_lsn": outs["parent_lsn"].lower()}))
    _, read, _ = ring.plugin.read(id, outs)
    assert not changes(ring.plugin.diff(id, read, INPUTS))


def test_a_state_of_before_these_inputs_is_no_change() -> None:
    olds = {**INPUTS, "expires_at": "2026-11-24T12:00:00Z", "endpoint_id": "ep-1", "uri": "postgresql://"}
    diff = provider_at(datetime(2026, 11, 23, 13, tzinfo=UTC)).diff(
        "p/b", {**olds, "parent_lsn": "0/1"}, INPUTS
    )
    assert not diff.changes


def test_unknown_inputs_change_and_replace_nothing_yet(ring: Ring) -> None:
    id, outs = ring.plugin.create(INPUTS)
    diff = ring.plugin.diff(id, outs, {**INPUTS, "project": UNKNOWN})
    assert changes(diff)
    assert not diff.replaces


def test_unknown_parts_of_inputs_are_changes_and_no_mistakes(ring: Ring) -> None:
    id, outs = ring.plugin.create(INPUTS)
    news = {
        **INPUTS,
        "compute": {"suspend_after": UNKNOWN},
        "masking_rules": [{"table": UNKNOWN, "column": "email", "value": "x"}],
        "init": "masked",
        "databases": UNKNOWN,
        "roles": [UNKNOWN],
        "parent_timestamp": UNKNOWN,
        "expires_at": UNKNOWN,
    }
    assert ring.plugin.check(news)[1] == []
    assert list(ring.plugin.diff(id, outs, news).replaces) == ["init"]


def provider_at(moment: datetime) -> NeonBranchProvider:
    provider = NeonBranchProvider()
    provider.clock = Clock(utc_now=lambda: moment)
    provider.configure(ConfigureRequest(Config({}, "kardinal")))
    return provider


def test_a_ttl_is_renewed_when_half_of_it_is_over_and_an_expired_branch_replaced() -> None:
    made = datetime(2026, 11, 23, 12, tzinfo=UTC)
    olds = {**INPUTS, "expires_at": "2026-11-24T12:00:00Z", "endpoint_id": "ep-1", "uri": "postgresql://"}
    result = {
        hours: provider_at(made + timedelta(hours=hours)).diff("p/b", olds, INPUTS)
        for hours in (0, 11, 13, 23, 24, 100)
    }
    assert [hours for hours, diff in result.items() if diff.changes] == [13, 23, 24, 100]
    assert [hours for hours, diff in result.items() if diff.replaces] == [24, 100]
    assert result[24].delete_before_replace


# Bad input.


def test_all_mistakes_are_reported_at_once_and_offline(ring: Ring) -> None:
    ring.neon.requests.clear()
    _, failures = ring.plugin.check(
        {
            "project": " ",
            "name": "br-quiet-sea-12345678",
            "database": "x" * 64,
            "ttl": "31d",
            "protected": True,
            "annotations": {"kardinal-stack": ""},
            "api_host": "console.neon.tech",
            "databse": "votes",
        }
    )
    assert sorted(name for name, _ in failures) == [
        "annotations",
        "api_host",
        "database",
        "databse",
        "name",
        "project",
        "role",
        "ttl",
        "ttl",
    ]
    reasons = dict(failures)
    assert "branch id" in reasons["name"]
    assert reasons["role"] == "is required"
    assert any(name == "ttl" and "at most 30d" in reason for name, reason in failures)
    assert ring.neon.requests == []


@pytest.mark.parametrize(
    ("change", "property", "reason"),
    [
        ({"name": "0/1DE2850"}, "name", "log position"),
        ({"name": "2026-11-24T12:00:00Z"}, "name", "time"),
        ({"name": "x" * 257}, "name", "256"),
        ({"ttl": "tomorrow"}, "ttl", "24h"),
        ({"ttl": 24}, "ttl", "must be a string"),
        ({"ttl": "0m"}, "ttl", "more than 0"),
        ({"ttl": "99999999999999999999d"}, "ttl", "24h"),
        ({"protected": "yes"}, "protected", "true or false"),
        ({"parent": INPUTS["name"]}, "parent", "itself"),
        ({"annotations": {}}, "annotations", "at least one"),
        ({"annotations": {"a": 1}}, "annotations", "a: must be a string"),
        ({"api_host": "http://key@host"}, "api_host", "credentials"),
        ({"init": "empty"}, "init", 'must be "data", "schema-only" or "masked"'),
        ({"init": "masked"}, "masking_rules", 'required for init "masked"'),
        ({"masking_rules": RULES}, "masking_rules", 'need init "masked"'),
        (
            {"init": "masked", "masking_rules": RULES * 2},
            "masking_rules",
            '"votes.public.voter.email" is listed',
        ),
        (
            {"init": "masked", "masking_rules": [{"table": "t"}]},
            "masking_rules",
            "[0].column: required, but missing",
        ),
        (
            {"init": "masked", "masking_rules": [{**RULES[0], "value": "x"}]},
            "masking_rules",
            "[0]: needs either a function",
        ),
        (
            {"init": "masked", "masking_rules": [{**RULES[0], "columns": "x"}]},
            "masking_rules",
            "[0].columns: unknown key",
        ),
        ({"init": "masked", "masking_rules": "email"}, "masking_rules", "must be a list"),
        ({"parent_lsn": "1DE2850"}, "parent_lsn", '"1DE2850" is not a log position like'),
        ({"parent_timestamp": "yesterday"}, "parent_timestamp", '"yesterday" is not a time with a zone'),
        ({"parent_timestamp": "2026-11-23T12:00:00"}, "parent_timestamp", "not a time with a zone"),
        (
            {"parent_timestamp": "2999-01-01T00:00:00Z"},
            "parent_timestamp",
            "in the future: choose an earlier",
        ),
        (
            {"parent_timestamp": "2026-01-01T00:00:00Z", "parent_lsn": "0/1"},
            "parent_lsn",
            "together with parent_timestamp",
        ),
        ({"expires_at": LATER}, "expires_at", "cannot be given together with ttl: both name the end"),
        ({"ttl": None, "expires_at": "2026-01-01T00:00:00Z"}, "expires_at", "in the past: choose a later"),
        ({"ttl": None, "expires_at": "2999-01-01T00:00:00Z"}, "expires_at", "more than 30 days ahead"),
        ({"compute": {"min_units": 0.1}}, "compute", "min_units is 0.1, and the smallest compute has 0.25"),
        ({"compute": {"min_units": 2, "max_units": 1}}, "compute", "min_units 2 is more than max_units 1"),
        ({"compute": {"suspend_after": "10s"}}, "compute", "at least 1m and at most 7d, or never"),
        ({"compute": {"suspend_after": "soon"}}, "compute", '"soon" is not an idle time'),
        ({"compute": {"size": 2}}, "compute", "size: unknown key"),
        ({"compute": {"min_units": "2"}}, "compute", "min_units: must be a number"),
        ({"databases": {"votes": "votes_owner"}}, "databases", "the database of the branch itself"),
        ({"databases": {"x" * 64: "votes_owner"}}, "databases", "longer than the 63 bytes"),
        ({"databases": ["audit"]}, "databases", "must be a mapping"),
        ({"roles": ["votes_owner"]}, "roles", "the role of the branch itself"),
        ({"roles": ["reader", "reader"]}, "roles", '"reader" is listed twice'),
        ({"roles": ["reader", " "]}, "roles", "[1]: must be a non-empty text"),
    ],
)
def test_each_mistake_has_its_reason(ring: Ring, change: dict[str, Any], property: str, reason: str) -> None:
    _, failures = ring.plugin.check({**INPUTS, **change})
    assert [name for name, _ in failures] == [property]
    assert reason in failures[0][1]


def test_what_is_not_known_yet_is_not_judged(ring: Ring) -> None:
    unknown = {**INPUTS, "project": UNKNOWN, "ttl": UNKNOWN, "annotations": {"kardinal-stack": UNKNOWN}}
    assert ring.plugin.check(unknown)[1] == []
