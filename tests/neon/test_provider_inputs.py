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
from tests.neon.ring import INPUTS, Ring, changes

# Differences.


def test_what_cannot_be_changed_is_replaced_after_the_deletion(ring: Ring) -> None:
    id, outs = ring.plugin.create(INPUTS)
    for name, value in {
        "project": "other",
        "parent": "staging",
        "annotations": {"kardinal-stack": "organization/kardinal/other"},
        "api_host": "http://127.0.0.1:1",
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


def test_unknown_inputs_change_and_replace_nothing_yet(ring: Ring) -> None:
    id, outs = ring.plugin.create(INPUTS)
    diff = ring.plugin.diff(id, outs, {**INPUTS, "project": UNKNOWN})
    assert changes(diff)
    assert not diff.replaces


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
        ({"ttl": 24}, "ttl", "24h"),
        ({"ttl": "0m"}, "ttl", "more than 0"),
        ({"ttl": "99999999999999999999d"}, "ttl", "24h"),
        ({"protected": "yes"}, "protected", "true or false"),
        ({"parent": INPUTS["name"]}, "parent", "itself"),
        ({"annotations": {}}, "annotations", "at least one"),
        ({"annotations": {"a": 1}}, "annotations", "texts only, which is not so for a"),
        ({"api_host": "http://key@host"}, "api_host", "credentials"),
    ],
)
def test_each_mistake_has_its_reason(ring: Ring, change: dict[str, Any], property: str, reason: str) -> None:
    _, failures = ring.plugin.check({**INPUTS, **change})
    assert [name for name, _ in failures] == [property]
    assert reason in failures[0][1]


def test_what_is_not_known_yet_is_not_judged(ring: Ring) -> None:
    unknown = {**INPUTS, "project": UNKNOWN, "ttl": UNKNOWN, "annotations": {"kardinal-stack": UNKNOWN}}
    assert ring.plugin.check(unknown)[1] == []
