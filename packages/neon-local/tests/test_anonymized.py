"""Masked branches: what may be masked and how, and that nothing of the parent's rows is left."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kardinal_neon_local.testing.server import PATIENCE_SECONDS, Server, refused, running

pytestmark = pytest.mark.postgres

SECRET = "anna.secret"
TABLES = """
CREATE TABLE person (
  id int PRIMARY KEY, boss int REFERENCES person, email text UNIQUE, name varchar(5), phone text NOT NULL,
  born date, pay numeric, height int, token uuid, note text,
  twice int GENERATED ALWAYS AS (height * 2) STORED,
  CONSTRAINT tall CHECK (height > 0));
INSERT INTO person (id, email, name, phone, born, pay, height, token, note)
  SELECT n, 'anna.secret' || n || '@acme.test', 'anna', '+49-secretphone-' || n, '1990-01-01', 100, 180,
    md5(n::text)::uuid, 'anna.secret-note' FROM generate_series(1, 500) n;
UPDATE person SET note = note || ' again';
CREATE MATERIALIZED VIEW contact AS SELECT email, note FROM person;
CREATE TABLE trail (old text);
CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO public.trail VALUES (old.email); RETURN new; END $$;
CREATE TRIGGER remember BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION remember();
CREATE TABLE visit (person text, at int) PARTITION BY RANGE (at);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM (0) TO (10);
CREATE TABLE visit_2 PARTITION OF visit FOR VALUES FROM (10) TO (20);
INSERT INTO visit SELECT 'anna.secret' || n || '@acme.test', n FROM generate_series(1, 19) n;
ANALYZE;
"""


def rule(column: str, table: str = "person", **mask: str) -> dict[str, str]:
    return {
        "database_name": "votes",
        "schema_name": "public",
        "table_name": table,
        "column_name": column,
        **mask,
    }


GOOD = [
    rule("email", masking_function="anon.fake_email()"),
    rule("name", masking_function="anon.fake_first_name()"),
    rule("phone", masking_function="anon.partial(phone, 1, $$***$$, 2)"),
    rule("born", masking_function="anon.random_date_between('2000-01-01', '2000-12-31')"),
    rule("pay", masking_function="anon.noise(pay, 0.2)"),
    rule("height", masking_function="anon.random_int_between(150, 200)"),
    rule("token", masking_function="anon.dummy_uuidv4()"),
    rule("note", masking_value="it's gone"),
    rule("person", "visit", masking_function="anon.fake_email()"),
]


@pytest.fixture(scope="module")
def people() -> Iterator[Server]:
    with running() as server:
        server.sql(server.main(), TABLES)
        yield server


def create(server: Server, name: str, rules: list[dict[str, str]], *, start: bool = True) -> dict[str, Any]:
    body = {
        "branch_create": {"branch": {"name": name}, "endpoints": [{"type": "read_write"}]},
        "masking_rules": rules,
        "start_anonymization": start,
    }
    return server.call("POST", "/branch_anonymized", 201, **body)


def settled(server: Server, branch: str, *states: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        status = server.get(f"/branches/{branch}/anonymized_status")
        if status["state"] in states:
            return status
        assert time.monotonic() < deadline, status
        time.sleep(0.02)


def leftovers(server: Server, branch: str, *words: str) -> list[str]:
    """Files of a branch that contain one of the words."""
    os.sync()
    return [
        f"{file}: {word}"
        for file in (server.data / "instances" / branch).rglob("*")
        if file.is_file()
        for word in words
        if word.encode() in file.read_bytes()
    ]


def test_masked_branch_shows_and_keeps_nothing_of_the_parents_rows(people: Server) -> None:
    answer = create(people, "masked", GOOD)
    assert [o["action"] for o in answer["operations"]] == ["create_branch", "start_compute"]
    branch = answer["branch"]["id"]
    status = settled(people, branch, "anonymized", "error")
    assert status["state"] == "anonymized", status
    assert status["last_run"]["masked_columns"] == len(GOOD)
    rows = people.sql(
        branch,
        "SELECT count(*), count(DISTINCT email), count(DISTINCT token),"
        " count(*) FILTER (WHERE email LIKE '%@example.com' AND length(name) BETWEEN 1 AND 5"
        "  AND phone ~ '^[+][*]{3}..$' AND born BETWEEN '2000-01-01' AND '2000-12-31'"
        "  AND pay BETWEEN 80 AND 120 AND height BETWEEN 150 AND 200 AND twice = height * 2"
        "  AND note = 'it''s gone') FROM person",
    )
    assert rows == [(500, 500, 500, 500)]
    assert people.sql(branch, "SELECT count(*) FROM contact WHERE note = 'it''s gone'") == [(500,)]
    assert people.sql(branch, "SELECT count(*) FROM trail") == [(0,)]
    # The same value is the same replacement everywhere, so what was joined by value still is.
    joined = "SELECT count(*) FROM visit JOIN person ON visit.person = person.email"
    assert people.sql(branch, joined) == [(19,)]
    assert people.sql(branch, f"SELECT count(*) FROM pg_stats WHERE most_common_vals::text ~ '{SECRET}'") == [
        (0,)
    ]
    endpoint = people.get(f"/branches/{branch}/endpoints")["endpoints"][0]
    assert endpoint["current_state"] == "active"
    assert leftovers(people, people.main(), SECRET, "secretphone") != []  # the search itself can find them
    assert leftovers(people, branch, SECRET, "secretphone") == []
    logs = (people.data / "logs" / f"{branch}.log").read_text() + people.log.read_text()
    assert SECRET not in logs


def test_nobody_connects_before_the_masking_or_while_it_has_failed(people: Server) -> None:
    answer = people.finish(create(people, "waiting", GOOD, start=False))
    branch = answer["branch"]["id"]
    uri = answer["connection_uris"][0]["connection_uri"]
    assert settled(people, branch, "initialized")["branch_id"] == branch
    assert "not anonymized" in refused(uri)
    wanted = {"name": "child", "parent_id": branch}
    assert "not anonymized" in people.call("POST", "/branches", 422, branch=wanted)["message"]
    restore = {"source_branch_id": branch}
    other = people.branch("other", compute=False)
    assert "not anonymized" in people.call("POST", f"/branches/{other}/restore", 422, **restore)["message"]
    people.call("POST", f"/branches/{branch}/set_as_default", 422)
    short = [rule("height", masking_function="anon.random_int_between(-9, -1)")]
    assert people.call("PATCH", f"/branches/{branch}/masking_rules", masking_rules=short) == {
        "masking_rules": short
    }
    assert people.get(f"/branches/{branch}/masking_rules") == {"masking_rules": short}
    assert people.call("POST", f"/branches/{branch}/anonymize")["state"] == "anonymizing"
    failed = settled(people, branch, "error")
    assert "constraint tall" in failed["status_message"]
    assert SECRET not in str(failed)
    assert "not anonymized" in refused(uri)
    people.call("PATCH", f"/branches/{branch}/masking_rules", masking_rules=GOOD)
    people.call("POST", f"/branches/{branch}/anonymize")
    settled(people, branch, "anonymized")
    assert people.sql(branch, f"SELECT count(*) FROM person WHERE email ~ '{SECRET}'") == [(0,)]
    assert people.call("POST", f"/branches/{branch}/restore", 422, source_branch_id=people.main())
    endpoint = answer["endpoints"][0]["id"]
    people.call("DELETE", f"/endpoints/{endpoint}", 422)


def test_ordinary_branch_has_no_masking(people: Server) -> None:
    for method, path in [("GET", "masking_rules"), ("GET", "anonymized_status"), ("POST", "anonymize")]:
        people.call(method, f"/branches/{people.main()}/{path}", 404)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (rule("boss", masking_value="NULL"), "foreign key"),
        (rule("id", masking_function="anon.random_int_between(1, 2)"), "foreign key"),
        (rule("nope", masking_value="x"), "no such column"),
        (rule("email", "nope", masking_value="x"), "no such table"),
        (rule("email", "contact", masking_value="x"), "not a table"),
        ({**rule("email", masking_value="x"), "database_name": "nope"}, "no database nope"),
        (rule("twice", masking_value="1"), "generated"),
        (rule("email", masking_function="anon.fake_first_name()"), "unique"),
        (rule("email", masking_value="same"), "unique"),
        (rule("phone", masking_value="NULL"), "NOT NULL"),
        (rule("height", masking_value="tall"), "no integer"),
        (rule("height", masking_function="anon.fake_email()"), "for columns of text"),
        (rule("note", masking_function="pg_read_file('/etc/passwd')"), "anon.fake_email()"),
        (rule("note", masking_function="anon.partial(email, 1, '*', 1)"), "'note' itself"),
        (rule("note", masking_function="anon.random_string('x')"), "anon.random_string(length)"),
        (rule("note", masking_function="anon.fake_city(); DROP TABLE person"), "not supported"),
        (rule("note"), "either"),
        (rule("note", masking_value="x", masking_function="anon.hash(note)"), "either"),
    ],
)
def test_rule_that_cannot_be_applied_is_refused_and_nothing_is_made(
    people: Server, wrong: dict[str, str], words: str
) -> None:
    before = people.get("/branches/count")["count"]
    body = {"branch_create": {"branch": {"name": "wrong"}}, "masking_rules": [wrong]}
    assert words in people.call("POST", "/branch_anonymized", 422, **body)["message"]
    assert people.get("/branches/count")["count"] == before


def test_all_wrong_rules_are_told_at_once(people: Server) -> None:
    rules = [rule("boss", masking_value="NULL"), rule("nope", masking_value="x"), GOOD[0], GOOD[0]]
    body = {"branch_create": {"branch": {"name": "wrong"}}, "masking_rules": rules}
    message = people.call("POST", "/branch_anonymized", 422, **body)["message"]
    for words in ("person.boss: ", "person.nope: ", "person.email: has more than one rule"):
        assert words in message


@pytest.mark.parametrize("moment", range(3))
def test_killed_in_the_middle_of_masking_it_is_finished_before_anybody_connects(
    people: Server, moment: int
) -> None:
    branch = create(people, f"killed-{moment}", GOOD)["branch"]["id"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while people.get(f"/branches/{branch}/anonymized_status")["state"] == "created" and moment:
        assert time.monotonic() < deadline
    time.sleep(moment * 0.05)  # spread over the tables; where exactly it hits does not matter
    people.end(9)
    people.start()
    settled(people, branch, "anonymized")
    assert people.sql(branch, f"SELECT count(*) FROM person WHERE email ~ '{SECRET}'") == [(0,)]
    assert leftovers(people, branch, SECRET, "secretphone") == []
