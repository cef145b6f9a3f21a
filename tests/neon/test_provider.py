"""The provider in its own process, as the engine drives it: real serialisation and threads."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.neon.fake import MAIN, PARENT_PASSWORD, PROJECT
from tests.neon.plugin import PROVIDER, PluginError
from tests.neon.ring import FULL, INPUTS, MASKED, Ring, changes, ready_for

# State format.


def test_the_provider_is_stored_as_a_reference_that_never_changes() -> None:
    assert PROVIDER == (
        "gASVRAAAAAAAAACMJmthcmRpbmFsX2luZnJhLmRhdGFiYXNlcy5uZW9uLnByb3ZpZGVylIwSTmVvbkJyYW5jaFByb3ZpZGVy"
        "lJOUKYGULg=="
    )
    assert b"kardinal_infra.databases.neon.provider" in base64.b64decode(PROVIDER)


def test_the_names_in_the_state_never_change(ring: Ring) -> None:
    id, outs = ring.plugin.create(INPUTS)
    assert id == f"{PROJECT}/{outs['branch_id']}"
    assert set(outs) == {
        *INPUTS,
        "adopted",
        "branch_id",
        "branch_name",
        "endpoint_id",
        "expires_at",
        "host",
        "parent_id",
        "parent_lsn",
        "password",
        "pooled_uri",
        "port",
        "project_id",
        "uri",
    }


def test_the_names_of_everything_that_can_be_asked_for_never_change(ring: Ring) -> None:
    outs = ring.plugin.create(ready_for(ring, MASKED))[1]
    assert set(outs) == {
        *MASKED,
        *set(ring.plugin.create(INPUTS | {"name": "plain"})[1]) - {"ttl"},
        "role_passwords",
    }
    assert outs["role_passwords"] == {
        name: ring.neon.passwords[outs["branch_id"], name] for name in FULL["roles"]
    }


# Life of a branch.


def test_create_read_update_delete(ring: Ring) -> None:
    inputs, failures = ring.plugin.check(INPUTS)
    assert (inputs, failures) == (INPUTS, [])
    id, outs = ring.plugin.create(inputs)
    assert outs["adopted"] is False
    assert outs["port"] == 5432
    assert outs["password"] in ring.neon.passwords.values()
    assert outs["password"] != PARENT_PASSWORD
    assert not changes(ring.plugin.diff(id, outs, inputs))

    read_id, read, read_inputs = ring.plugin.read(id, outs)
    assert (read_id, read, read_inputs) == (id, outs, inputs)

    news = {**inputs, "name": "kardinal/voting/dev2/votes", "ttl": "7d"}
    diff = ring.plugin.diff(id, outs, news)
    assert changes(diff)
    assert not diff.replaces
    updated = ring.plugin.update(id, outs, news)
    assert updated["branch_name"] == news["name"]
    assert updated["branch_id"] == outs["branch_id"]
    assert updated["expires_at"] > outs["expires_at"]
    assert updated["uri"] == outs["uri"]
    assert not changes(ring.plugin.diff(id, updated, news))

    ring.plugin.delete(id, updated)
    assert list(ring.neon.branches) == [MAIN]
    ring.plugin.delete(id, updated)


def test_a_branch_that_is_gone_reads_as_gone(ring: Ring) -> None:
    id, outs = ring.plugin.create(INPUTS)
    del ring.neon.branches[outs["branch_id"]]
    assert ring.plugin.read(id, outs)[0] == ""
    ring.plugin.delete(id, outs)


def test_what_was_changed_by_hand_shows_and_is_put_right(ring: Ring) -> None:
    id, outs = ring.plugin.create(INPUTS)
    branch = ring.neon.branches[outs["branch_id"]]
    branch.update(name="renamed", protected=True, expires_at=None)
    _, read, read_inputs = ring.plugin.read(id, outs)
    assert read["branch_name"] == read_inputs["name"] == "renamed"
    assert read_inputs["protected"] is True
    assert "ttl" not in read_inputs
    assert changes(ring.plugin.diff(id, read, INPUTS))
    ring.plugin.update(id, read, INPUTS)
    assert (branch["name"], branch["protected"]) == (INPUTS["name"], False)
    assert branch["expires_at"] is not None


def test_drift_of_what_was_asked_for_shows_and_is_put_right(ring: Ring) -> None:
    id, outs = ring.plugin.create(ready_for(ring, FULL))
    branch_id = outs["branch_id"]
    assert ring.plugin.read(id, outs)[1:] == (outs, FULL)
    ring.neon.endpoints[outs["endpoint_id"]].update(autoscaling_limit_max_cu=2, suspend_timeout_seconds=90)
    ring.neon.added_roles[branch_id].remove("writer")
    ring.neon.added_databases[branch_id] = {"audit": "votes_owner", "by-hand": "reader"}
    ring.neon.branches[branch_id]["expires_at"] = "2026-12-02T00:00:00Z"
    _, read, read_inputs = ring.plugin.read(id, outs)
    drifted = {
        "compute": {"min_units": 0.5, "max_units": 2, "suspend_after": "90s"},
        "roles": ["reader"],
        "databases": {"audit": "votes_owner"},
        "expires_at": "2026-12-02T00:00:00Z",
    }
    assert {name: read_inputs[name] for name in drifted} == drifted
    assert {name: read[name] for name in drifted} == drifted
    diff = ring.plugin.diff(id, read, FULL)
    assert changes(diff)
    assert not diff.replaces
    updated = ring.plugin.update(id, read, FULL)
    assert not changes(ring.plugin.diff(id, updated, FULL))
    assert ring.plugin.read(id, updated)[1:] == (updated, FULL)
    assert ring.neon.added_databases[branch_id] == {"audit": "reader", "by-hand": "reader"}


def test_what_is_not_asked_for_any_more_is_undone(ring: Ring) -> None:
    id, outs = ring.plugin.create(ready_for(ring, FULL))
    less = {name: FULL[name] for name in FULL if name not in ("compute", "roles", "databases", "expires_at")}
    updated = ring.plugin.update(id, outs, less)
    branch = ring.neon.branches[outs["branch_id"]]
    endpoint = ring.neon.endpoints[outs["endpoint_id"]]
    assert branch["expires_at"] is None
    assert endpoint["suspend_timeout_seconds"] == 0
    assert ring.neon.added_roles[outs["branch_id"]] == []
    assert ring.neon.added_databases[outs["branch_id"]] == {}
    assert "role_passwords" not in updated
    assert not changes(ring.plugin.diff(id, updated, less))


def test_a_schema_only_branch_keeps_its_origin_over_refreshes(ring: Ring) -> None:
    inputs = {**INPUTS, "init": "schema-only"}
    id, outs = ring.plugin.create(inputs)
    assert outs["parent_id"] == MAIN
    _, read, _ = ring.plugin.read(id, outs)
    assert read == outs
    assert not changes(ring.plugin.diff(id, read, {**inputs, "parent": MAIN}))
    assert ring.plugin.update(id, read, {**inputs, "ttl": "7d"})["parent_id"] == MAIN


def test_a_removed_compute_is_drift_and_made_again(ring: Ring) -> None:
    id, outs = ring.plugin.create(INPUTS)
    ring.neon.endpoints.pop(outs["endpoint_id"])
    _, read, _ = ring.plugin.read(id, outs)
    assert "uri" not in read
    assert changes(ring.plugin.diff(id, read, INPUTS))
    updated = ring.plugin.update(id, read, INPUTS)
    assert updated["endpoint_id"] not in (None, outs["endpoint_id"])


def test_an_existing_branch_can_be_read_by_id(ring: Ring) -> None:
    id, outs = ring.plugin.create(INPUTS)
    _, read, _ = ring.plugin.read(id, {}, {"database": "votes", "role": "votes_owner"})
    assert read["uri"] == outs["uri"]
    assert read["branch_name"] == INPUTS["name"]
    with pytest.raises(PluginError, match=r"<project id>/<branch id>"):
        ring.plugin.read("br-alone-1", {}, {"database": "votes", "role": "votes_owner"})


def test_an_update_of_a_branch_deleted_by_hand_says_what_to_do(ring: Ring) -> None:
    id, outs = ring.plugin.create(INPUTS)
    del ring.neon.branches[outs["branch_id"]]
    with pytest.raises(PluginError, match=r"pulumi refresh"):
        ring.plugin.update(id, outs, {**INPUTS, "ttl": "7d"})


def test_a_new_role_gets_a_password_of_its_own(ring: Ring) -> None:
    ring.neon.roles.append("reader")
    ring.neon.passwords[MAIN, "reader"] = "readers-production-secret"
    id, outs = ring.plugin.create(INPUTS)
    ring.neon.passwords[outs["branch_id"], "reader"] = "readers-production-secret"
    news = {**INPUTS, "role": "reader"}
    diff = ring.plugin.diff(id, outs, news)
    assert changes(diff)
    assert not diff.replaces
    updated = ring.plugin.update(id, outs, news)
    assert "//reader:" in updated["uri"]
    assert updated["password"] not in ("readers-production-secret", outs["password"])


def test_branches_of_one_stack_are_made_at_the_same_time(ring: Ring) -> None:
    def create(number: int) -> str:
        return ring.plugin.create({**INPUTS, "name": f"branch-{number}"})[0]

    with ThreadPoolExecutor(4) as threads:
        ids = list(threads.map(create, range(6)))
    assert len(set(ids)) == 6
    assert len(ring.neon.branches) == 7
