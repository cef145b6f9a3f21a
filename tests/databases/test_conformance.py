"""What every branching backend must do, one list for all of them, over real databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from kardinal_infra.config.backends import installed_backends
from kardinal_infra.databases.branching import BranchRequest, Compute, MaskingRule, backend
from kardinal_infra.errors import BranchingError, ConfigError, OwnershipError
from tests.databases.backends import SYSTEMS, VARIABLES, System
from tests.databases.engine import STACK, Made, up

pytestmark = pytest.mark.usefixtures("folders_backend")

VOTES = "SELECT count(*) FROM vote"
OTHER = "organization/kardinal/other"

# What a request may say beyond a plain branch.
ASKED: dict[str, Any] = {
    "ttl": "1d",
    "expires_at": (datetime.now(UTC) + timedelta(days=2)).isoformat(),
    "protected": True,
    "parent_timestamp": "2026-01-01T00:00:00Z",
    "parent_lsn": "0/1DE2850",
    "init": "schema-only",
    "masking_rules": (MaskingRule(table="vote", column="choice", value="x"),),
    "compute": Compute(max_units=1),
    "databases": {"reports": "votes_owner"},
    "roles": ("reader",),
}


def where(uri: str) -> tuple[str | None, int | None, str]:
    parts = urlsplit(uri)
    return parts.hostname, parts.port, parts.path


def with_credentials_of(uri: str, of: str) -> str:
    """One URI's server and database with another one's user and password."""
    parts, login = urlsplit(uri), urlsplit(of).netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


def require(system: System, option: str) -> None:
    """Goes on only with a backend that can do it; another one refuses it at preview, as seen above."""
    able = backend(system.name).capabilities
    if option not in able.options | able.inits:
        pytest.skip("not a capability of this backend")


# Offline.


def test_every_installed_backend_is_tested_here_and_knows_its_name() -> None:
    assert list(SYSTEMS) == list(installed_backends())
    assert [backend(name).name for name in SYSTEMS] == list(SYSTEMS)


@pytest.mark.parametrize("name", sorted(SYSTEMS))
@pytest.mark.parametrize("field", sorted(ASKED))
def test_what_a_backend_cannot_do_is_an_error_at_preview_that_names_field_and_backend(
    name: str, field: str
) -> None:
    value = ASKED[field]
    more: dict[str, Any] = {field: value} | ({"init": "masked"} if field == "masking_rules" else {})
    project = "db.internal" if name == "postgres" else "voting"
    request = BranchRequest(name="kardinal/a/b/c", project=project, database="votes", role="o", **more)
    found = {problem.path: problem.message for problem in backend(name).problems(request)}
    able = backend(name).capabilities
    if ("schema-only" in able.inits) if field == "init" else (field in able.options):
        assert found == {}
        return
    assert f"backend {name} cannot" in found[field]
    with pytest.raises(ConfigError, match=field):
        backend(name).declare("votes", request)


@pytest.mark.parametrize("name", sorted(SYSTEMS))
def test_missing_credentials_are_said_offline(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    request = BranchRequest(name="b", project="127.0.0.1:1", database="votes", role="o")
    with pytest.raises(BranchingError, match="pulumi config set --secret kardinal:"):
        backend(name).require_credentials(request, lambda _: None)


# Over real databases.


@pytest.mark.postgres
def test_a_branch_has_the_parents_data_and_neither_sees_the_others_writes(system: System) -> None:
    made = up(system.name, system.asked("data"))
    assert system.query(made.uri, VOTES) == system.parent(VOTES)
    assert made.branch["branch_name"] == "kardinal/voting/data/votes"
    before = system.parent(VOTES)[0][0]
    system.query(made.uri, "INSERT INTO vote (choice) VALUES ('dog')")
    assert system.parent(VOTES) == [(before,)]
    system.parent("DELETE FROM vote WHERE id = 1")
    assert system.query(made.uri, VOTES) == [(before + 1,)]
    made.delete()
    assert system.parent(VOTES) == [(before - 1,)]


@pytest.mark.postgres
def test_a_branch_takes_migrations(system: System) -> None:
    made = up(system.name, system.asked("migrate"))
    for statement in (
        "ALTER TABLE vote ADD COLUMN at text",
        "CREATE TABLE extra (id int)",
        "DROP TABLE vote",
    ):
        system.query(made.uri, statement)
    if system.logged_in:
        system.query(made.uri, "CREATE SCHEMA more")
    assert system.parent(VOTES)[0][0] > 0
    made.delete()


@pytest.mark.postgres
def test_credentials_open_their_branch_and_nothing_else(system: System) -> None:
    if not system.logged_in:
        pytest.skip("nobody logs in to a branch of this backend")
    one, two = (up(system.name, system.asked(name)) for name in ("one", "two"))
    for other in (system.parent_uri(), two.uri):
        with pytest.raises(psycopg.OperationalError):
            system.query(with_credentials_of(other, one.uri), "SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        system.query(with_credentials_of(one.uri, system.parent_uri()), "SELECT 1")
    for made in (one, two):
        parts = made.branch
        assert (parts["host"], int(parts["port"])) == where(made.uri)[:2]
        who = system.query(made.uri, "SELECT current_user, current_database()")
        assert who == [(parts["role"], parts["database"])]
    one.delete()
    assert system.query(two.uri, VOTES) == system.parent(VOTES)
    two.delete()


@pytest.mark.postgres
def test_after_a_lost_state_the_branch_is_adopted_with_its_data(system: System) -> None:
    lost = up(system.name, system.asked("lost"))
    system.query(lost.uri, "CREATE TABLE mine (id int)")
    found = up(system.name, system.asked("lost"))
    assert (lost.state["adopted"], found.state["adopted"]) == (False, True)
    assert found.branch["branch_id"] == lost.branch["branch_id"]
    assert system.query(found.uri, "SELECT count(*) FROM mine") == [(0,)]
    assert system.names().count("kardinal/voting/lost/votes") == 1
    found.delete()


@pytest.mark.postgres
def test_somebody_elses_branch_is_refused_and_left_alone(system: System) -> None:
    theirs = up(system.name, system.asked("theirs"), OTHER)
    with pytest.raises(OwnershipError, match="organization/kardinal/other"):
        up(system.name, system.asked("theirs"))
    ours = {"kardinal-stack": STACK, **system.request.annotations}
    assert backend(system.name).discard(system.asked("theirs", annotations=ours), lambda _: None) is False
    assert system.query(theirs.uri, VOTES) == system.parent(VOTES)
    theirs.delete()


@pytest.mark.postgres
def test_what_is_gone_is_gone_and_a_second_delete_is_no_error(system: System) -> None:
    made = up(system.name, system.asked("gone"))
    assert made.read() == made.id
    assert not made.diff(made.inputs).changes
    made.delete()
    made.delete()
    assert "kardinal/voting/gone/votes" not in system.names()
    assert not Made(made.provider, made.id, made.inputs, dict(made.state)).read()
    again = up(system.name, system.asked("gone"))
    assert again.state["adopted"] is False
    again.delete()


@pytest.mark.postgres
def test_a_life_time_is_kept_renewed_and_removed(system: System) -> None:
    require(system, "ttl")
    made = up(system.name, system.asked("timed", ttl="24h"))
    end = datetime.fromisoformat(made.branch["expires_at"])
    assert abs(end - datetime.now(UTC) - timedelta(hours=24)) < timedelta(minutes=5)
    assert not made.diff(made.inputs).changes
    longer = {**made.inputs, "ttl": "7d"}
    diff = made.diff(longer)
    assert (bool(diff.changes), list(diff.replaces or [])) == (True, [])
    made.update(longer)
    assert datetime.fromisoformat(made.state["expires_at"]) > end + timedelta(days=5)
    assert system.query(made.uri, VOTES) == system.parent(VOTES)
    made.update({name: value for name, value in longer.items() if name != "ttl"})
    assert made.state.get("expires_at") is None
    over = {**made.state, "ttl": "24h", "expires_at": "2026-01-01T00:00:00Z"}
    assert "expires_at" in (made.provider.diff(made.id, over, {**made.inputs, "ttl": "24h"}).replaces or [])
    made.delete()


@pytest.mark.postgres
def test_another_parent_is_a_replacement_that_deletes_first(system: System) -> None:
    made = up(system.name, system.asked("moved"))
    diff = made.diff({**made.inputs, "parent": "elsewhere"})
    assert (list(diff.replaces or []), diff.delete_before_replace) == (["parent"], True)
    made.delete()


@pytest.mark.postgres
def test_a_protected_branch_stays_until_it_is_not_any_more(system: System) -> None:
    require(system, "protected")
    made = up(system.name, system.asked("kept", protected=True))
    with pytest.raises(BranchingError, match="protected"):
        made.delete()
    assert system.query(made.uri, VOTES) == system.parent(VOTES)
    made.update({**made.inputs, "protected": False})
    made.delete()
    assert "kardinal/voting/kept/votes" not in system.names()


@pytest.mark.postgres
def test_a_branch_can_come_from_a_branch(system: System) -> None:
    first = up(system.name, system.asked("first"))
    system.query(first.uri, "DELETE FROM vote WHERE id > 100")
    second = up(system.name, system.asked("second", parent="kardinal/voting/first/votes"))
    assert system.query(second.uri, VOTES) == system.query(first.uri, VOTES)
    if system.logged_in:
        with pytest.raises(psycopg.OperationalError):
            system.query(with_credentials_of(first.uri, second.uri), "SELECT 1")
    second.delete()
    first.delete()


@pytest.mark.postgres
def test_a_schema_comes_without_data(system: System) -> None:
    require(system, "schema-only")
    made = up(system.name, system.asked("empty", init="schema-only"))
    assert system.query(made.uri, VOTES) == [(0,)]
    system.query(made.uri, "INSERT INTO vote (choice) VALUES ('dog')")
    made.delete()


@pytest.mark.postgres
def test_a_branch_that_no_state_knows_is_discarded_by_its_marks(system: System) -> None:
    up(system.name, system.asked("left"))
    marks = {"kardinal-stack": STACK, **system.request.annotations}
    chosen = backend(system.name)
    assert chosen.discard(system.asked("left"), lambda _: None) is False  # without the stack's mark
    assert chosen.discard(system.asked("lef", annotations=marks), lambda _: None) is False
    assert chosen.discard(system.asked("left", annotations=marks), lambda _: None) is True
    assert chosen.discard(system.asked("left", annotations=marks), lambda _: None) is False
    assert "kardinal/voting/left/votes" not in system.names()


@pytest.mark.postgres
def test_branches_are_listed_and_removed_after_one_more_look(system: System) -> None:
    ends = "ttl" in backend(system.name).capabilities.options
    made = up(system.name, system.asked("listed", ttl="24h" if ends else None))
    chosen, project = backend(system.name), system.request.project
    listed = {item.name: item for item in chosen.owned(project, lambda _: None)}
    ours = listed["kardinal/voting/listed/votes"]
    assert (ours.branch_id, ours.stack) == (made.branch["branch_id"], STACK)
    assert ours.expires_at == (datetime.fromisoformat(made.branch["expires_at"]) if ends else None)
    assert ours.created_at is not None
    assert chosen.remove(ours, lambda _: None, lambda now: now.name != ours.name) is False
    assert system.query(made.uri, VOTES) == system.parent(VOTES)
    assert chosen.remove(ours, lambda _: None, lambda now: now.annotations == ours.annotations) is True
    assert chosen.remove(ours, lambda _: None, lambda _: True) is False
    assert "kardinal/voting/listed/votes" not in system.names()


@pytest.mark.postgres
def test_what_does_not_exist_is_named(system: System) -> None:
    wrong = [("database", "vots"), ("parent", "prodction")]
    if system.logged_in:
        wrong.append(("role", "nobody"))
    for change, value in wrong:
        with pytest.raises(BranchingError, match=value) as caught:
            up(system.name, system.asked("wrong", **{change: value}))
        assert not system.secret or system.secret not in f"{caught.value}{caught.value!r}"
    assert "kardinal/voting/wrong/votes" not in system.names()
