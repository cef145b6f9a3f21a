"""Names, addresses, settings and marks of branches on PostgreSQL servers; no server."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kardinal_infra.databases.branch_inputs import replacing
from kardinal_infra.databases.branching import BranchRequest, backend
from kardinal_infra.databases.postgres import inputs
from kardinal_infra.databases.postgres.address import Address, parse_address
from kardinal_infra.databases.postgres.copying import locale_options
from kardinal_infra.databases.postgres.errors import PostgresSettingsError
from kardinal_infra.databases.postgres.identifiers import identifier
from kardinal_infra.databases.postgres.marks import Marks, read_marks
from kardinal_infra.databases.postgres.settings import PostgresSettings, resolve_settings

NOW = datetime(2026, 11, 24, tzinfo=UTC)
GOOD = {
    "project": "db.internal:5433",
    "name": "kardinal/voting/dev/votes",
    "database": "votes",
    "role": "votes_owner",
    "annotations": {"kardinal-stack": "o/k/dev"},
}


@given(st.text(min_size=1, max_size=256))
@example("kardinal/voting/dev/votes")
@example("9lives")
@example("É" * 200)
@example("_" * 64)
def test_an_identifier_needs_no_quotes_and_fits(name: str) -> None:
    made = identifier(name)
    assert re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", made)
    assert identifier(name) == made


def test_names_that_look_alike_stay_apart() -> None:
    names = ["a/b_c", "a_b/c", "a/b/c", "A/b/c", "a_b_c", "x" * 64, "x" * 65, "x" * 63]
    assert len({identifier(name) for name in names}) == len(names)
    assert identifier("a_b_c") == "a_b_c"
    assert identifier("kardinal/voting/dev/votes") == "kardinal_voting_dev_votes_33badb4a"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("db", Address("db", 5432)),
        ("db.prod.svc:6432", Address("db.prod.svc", 6432)),
        ("[::1]:5433", Address("::1", 5433)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "db:0", "db:99999", "user:pw@db", "::1", "db/x", "a b", "postgresql://db"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host or host:port"):
        parse_address(text)


def test_the_environment_wins_over_the_config_and_neither_is_shown() -> None:
    config = {"kardinal:postgresUri": "postgresql://u:from-config@h/x"}
    found = resolve_settings("h", config.get, {})
    assert (found.database, "from-config" in repr(found)) == ("x", False)
    found = resolve_settings(
        "h", config.get, {"KARDINAL_POSTGRES_URI": "postgres://u:p%2Fq@h?sslmode=require"}
    )
    assert (found.database, found.sslmode) == ("postgres", "require")
    assert found.redacted("FATAL: p/q\nand p%2Fq") == "FATAL: *** and ***"


def test_one_uri_for_each_server() -> None:
    text = '{"one:5432": "postgresql://u:secret1@a", "two": "postgresql://u:secret2@b"}'
    found = resolve_settings("two", lambda _: text, {})
    assert found == PostgresSettings(uri=found.uri)
    assert found.redacted("secret1 secret2") == "secret1 ***"
    with pytest.raises(PostgresSettingsError, match=r"for project 'three', only for one:5432, two") as caught:
        resolve_settings("three", lambda _: text, {})
    assert "secret1" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "mysql://u:topsecret@h", "postgresql://u:topsecret/x@h", "{topsecret", '["topsecret"]', "h"]
)
def test_what_is_no_uri_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(PostgresSettingsError, match="KARDINAL_POSTGRES_URI") as caught:
        resolve_settings("h", lambda _: text, {})
    assert "topsecret" not in str(caught.value)


def test_marks_come_back_from_their_comment() -> None:
    marks = Marks("b", "votes", {"kardinal-stack": "o/k/dev"}, expires_at="2026-11-24T00:00:00Z", ready=True)
    assert read_marks(marks.text()) == marks
    assert (marks.expired(NOW), marks.carries({}), marks.carries({"kardinal-stack": "x"})) == (
        True,
        False,
        False,
    )


@pytest.mark.parametrize(
    "comment",
    [None, "", "somebody's role", "[]", '{"kardinal": 2}', '{"kardinal": 1}',
     '{"kardinal": 1, "branch": "b", "parent": "p", "annotations": "x"}',
     '{"kardinal": 1, "branch": "b", "parent": "p", "annotations": {}, "expires_at": "soon"}'],
)  # fmt: skip
def test_other_comments_are_not_ours(comment: str | None) -> None:
    assert read_marks(comment) is None


def test_an_empty_copy_sorts_as_its_original() -> None:
    plain = {"encoding": 6, "datcollate": "C", "datctype": "C"}
    base = {"ENCODING": 6, "LC_COLLATE": "C", "LC_CTYPE": "C"}
    assert locale_options(plain) == base
    icu = {"LOCALE_PROVIDER": "icu", "ICU_LOCALE": "de"}
    assert locale_options({**plain, "datlocprovider": "i", "daticulocale": "de"}) == {**base, **icu}
    assert locale_options({**plain, "datlocprovider": "b", "datlocale": "C.UTF-8"}) == {
        **base, "LOCALE_PROVIDER": "builtin", "BUILTIN_LOCALE": "C.UTF-8"
    }  # fmt: skip


def test_a_preview_loads_no_driver() -> None:
    script = (
        "import sys; from kardinal_infra.databases.branching import BranchRequest, backend;"
        "request = BranchRequest(name='b', project='db', database='votes', role='o');"
        "print(backend('postgres').problems(request), 'psycopg' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "False"]


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    request = BranchRequest(name="b", project="db", database="votes", role="o")
    assert [str(problem) for problem in backend("postgres").problems(request)] == [
        "backend: the branching backend postgres needs psycopg, which is not installed:"
        " pip install 'kardinal-infra[postgres]'"
    ]


def test_all_mistakes_come_at_once() -> None:
    wrong = {
        **GOOD, "project": "a b", "name": "votes", "ttl": "99w", "source": "magic", "init": "masked",
        "nonsense": 1,
    }  # fmt: skip
    found = {name for name, _ in inputs.problems(wrong, lambda _: False, NOW)}
    assert found == {"project", "name", "ttl", "source", "init", "nonsense"}
    assert inputs.problems(GOOD, lambda _: False, NOW) == []
    clash = {**GOOD, "init": "schema-only", "source": "template", "protected": True, "ttl": "1d"}
    assert {name for name, _ in inputs.problems(clash, lambda _: False, NOW)} == {"source", "ttl"}


@pytest.mark.parametrize(
    ("news", "changes", "replaces"),
    [
        ({}, [], []),
        ({"init": "data", "source": "auto", "protected": False}, [], []),
        ({"protected": True}, ["protected"], []),
        ({"annotations": {"kardinal-stack": "o/k/new"}}, ["annotations"], []),
        ({"ttl": "1d"}, ["ttl"], []),
        ({"name": "other"}, ["name"], ["name"]),
        ({"init": "schema-only"}, ["init"], ["init"]),
        ({"role": "reader", "project": "db2"}, ["project", "role"], ["project", "role"]),
    ],
)
def test_what_a_change_means(news: dict[str, object], changes: list[str], replaces: list[str]) -> None:
    olds = {**GOOD, "uri": "x"}
    assert inputs.changed(olds, {**GOOD, **news}, NOW) == changes
    assert replacing(inputs.INPUTS, olds, changes, set(), NOW) == replaces
