"""The provider in its own process, as the engine drives it: real serialisation, threads and error texts."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.runtime.rpc import UNKNOWN

from kardinal_infra.databases.neon.clock import Clock
from kardinal_infra.databases.neon.provider import NeonBranchProvider
from tests.neon.fake import KEY, MAIN, PARENT_PASSWORD, PROJECT, FakeNeon, error
from tests.neon.plugin import PROVIDER, Plugin, PluginError, plugin, secret
from tests.neon.served import served

INPUTS: dict[str, Any] = {
    "project": "voting",
    "name": "kardinal/voting/dev/votes",
    "parent": "main",
    "database": "votes",
    "role": "votes_owner",
    "ttl": "24h",
    "annotations": {"kardinal-stack": "organization/kardinal/dev"},
}


@dataclass
class Ring:
    """A provider process and the fake Neon it talks to."""

    neon: FakeNeon
    plugin: Plugin
    host: str


@pytest.fixture(scope="module")
def shared_ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    neon, folder = FakeNeon(), tmp_path_factory.mktemp("plugin")
    with served(neon) as host, plugin(folder, NEON_API_KEY=KEY, NEON_API_HOST=host) as started:
        yield Ring(neon, started, host)


@pytest.fixture
def ring(shared_ring: Ring) -> Ring:
    """A new Neon behind a provider process that has served others before, as the engine's does."""
    shared_ring.neon.reset()
    return shared_ring


def changes(diff: Any) -> bool:
    return diff.changes == diff.DIFF_SOME


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


# Key and host.


def test_a_preview_works_without_a_key_and_an_update_says_what_to_set(tmp_path: Path) -> None:
    neon = FakeNeon()
    with served(neon) as host, plugin(tmp_path, NEON_API_HOST=host) as started:
        assert started.check(INPUTS)[1] == []
        olds = {**INPUTS, "endpoint_id": "ep-1", "uri": "x"}
        assert not changes(started.diff("p/b", olds, INPUTS))
        with pytest.raises(PluginError) as caught:
            started.create(INPUTS)
    assert "set NEON_API_KEY or `pulumi config set --secret kardinal:neonApiKey`" in str(caught.value)
    assert "\n" not in str(caught.value).strip()
    assert neon.requests == []


def test_key_and_host_come_from_configuration_unless_the_environment_has_them(tmp_path: Path) -> None:
    neon = FakeNeon()
    with served(neon) as host:
        config = {"kardinal:neonApiKey": secret(KEY), "kardinal:neonApiHost": host}
        with plugin(tmp_path, config) as started:
            started.create(INPUTS)
        stale = {"kardinal:neonApiKey": secret("rotated-away"), "kardinal:neonApiHost": "http://127.0.0.1:1"}
        with plugin(tmp_path, stale, NEON_API_KEY=KEY, NEON_API_HOST=f"{host}/api/v2/") as started:
            started.create({**INPUTS, "name": "second"})
        with plugin(tmp_path, {"mine:neonApiKey": KEY}, PULUMI_PROJECT="mine", NEON_API_HOST=host) as started:
            started.create({**INPUTS, "name": "third"})
    assert len(neon.branches) == 4


def test_a_wrong_key_is_one_line_that_does_not_show_it(tmp_path: Path) -> None:
    with (
        served(FakeNeon()) as host,
        plugin(tmp_path, NEON_API_KEY="wrong-key-1234", NEON_API_HOST=host) as started,
        pytest.raises(PluginError) as caught,
    ):
        started.create(INPUTS)
    text = str(caught.value).strip()
    assert text.startswith("kardinal_infra.errors.NeonAuthError: Neon GET /projects/voting: HTTP 401")
    assert "\n" not in text
    assert "wrong-key-1234" not in text + (tmp_path / "plugin.log").read_text()


def test_every_failure_is_one_line_even_when_it_comes_from_another(ring: Ring) -> None:
    ring.neon.add_branch(INPUTS["name"], parent=MAIN, annotations={"kardinal-stack": "organization/x/y"})
    with pytest.raises(PluginError, match=r"OwnershipError: .*belongs to stack organization/x/y") as caught:
        ring.plugin.create(INPUTS)
    assert "\n" not in str(caught.value).strip()
    ring.neon.fault = lambda request, number, moment: (
        error(409, "exists") if request.method == "POST" else None
    )
    with pytest.raises(PluginError) as caught:
        ring.plugin.create({**INPUTS, "name": "other"})
    assert "\n" not in str(caught.value).strip()


def test_tracebacks_can_be_had(tmp_path: Path) -> None:
    with plugin(tmp_path, KARDINAL_TRACEBACK="1") as started, pytest.raises(PluginError) as caught:
        started.create(INPUTS)
    assert "Traceback" in str(caught.value)
    assert "provider.py" in str(caught.value)


def test_a_host_that_nobody_answers_at_is_named(tmp_path: Path) -> None:
    provider = NeonBranchProvider()
    seconds = [0.0]
    provider.clock = Clock(
        monotonic=lambda: seconds[0], sleep=lambda pause: seconds.__setitem__(0, seconds[0] + pause)
    )
    config = {"kardinal:neonApiKey": KEY, "kardinal:neonApiHost": "http://127.0.0.1:1"}
    provider.configure(ConfigureRequest(Config(config, "kardinal")))
    with pytest.raises(Exception, match=r"no connection to http://127.0.0.1:1/api/v2"):
        provider.create(dict(INPUTS))


# Killed processes.


def test_a_provider_killed_at_any_call_leaves_what_the_next_one_completes(tmp_path: Path) -> None:
    neon = FakeNeon()
    with served(neon) as host:
        environment = {"NEON_API_KEY": KEY, "NEON_API_HOST": host}
        kill_at, victim = (0, ""), None

        def fault(request: Any, number: int, moment: str) -> None:
            if victim and (number, moment) == kill_at:
                victim.kill()

        neon.fault = fault
        with plugin(tmp_path, **environment) as started:
            started.create(INPUTS)
            calls = len(neon.requests)
            assert calls > 10
        for number in range(1, calls + 1, 4):
            moment = "before" if number % 2 else "after"
            neon.reset()
            neon.fault = fault
            kill_at = (number, moment)
            with plugin(tmp_path, **environment) as started:
                victim = started
                with pytest.raises(PluginError):
                    started.create(INPUTS)
            victim = None
            with plugin(tmp_path, **environment) as started:
                id, outs = started.create(INPUTS)
                assert [branch["id"] for branch in neon.named(INPUTS["name"])] == [outs["branch_id"]]
                assert outs["password"] == neon.passwords[outs["branch_id"], "votes_owner"]
                assert outs["password"] != PARENT_PASSWORD
                started.delete(id, outs)
            assert list(neon.branches) == [MAIN]
