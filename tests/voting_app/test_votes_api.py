"""votes-api over a real PostgreSQL."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.voting_app.harness import Database, Start

pytestmark = pytest.mark.postgres
SEED = "Cats=312,Dogs=288"


def test_an_empty_database_gets_the_schema_the_options_and_no_votes(
    start: Start, database: Database, empty: str
) -> None:
    api = start("votes-api:1.0", DATABASE_URL=database.url(empty))

    assert api.client.get("/votes").json() == {
        "options": ["Cats", "Dogs"],
        "counts": {"Cats": 0, "Dogs": 0},
        "total": 0,
    }


def test_a_vote_is_a_row(start: Start, database: Database, empty: str) -> None:
    api = start("votes-api:1.0", DATABASE_URL=database.url(empty))

    answer = api.client.post("/votes", json={"option": "Dogs"})

    assert answer.status_code == 201
    assert answer.json()["counts"] == {"Cats": 0, "Dogs": 1}
    assert database.query(empty, "SELECT option FROM votes") == [("Dogs",)]


def test_the_seed_is_planted_once_in_the_life_of_the_database(
    start: Start, database: Database, empty: str
) -> None:
    first = start("votes-api:1.0", DATABASE_URL=database.url(empty), SEED_VOTES=SEED)
    assert first.client.get("/votes").json()["total"] == 600
    assert first.stop() == 0

    second = start("votes-api:1.0", DATABASE_URL=database.url(empty), SEED_VOTES="Cats=5")
    assert second.client.get("/votes").json()["counts"] == {"Cats": 312, "Dogs": 288}


def test_first_starts_at_the_same_time_agree(start: Start, database: Database, empty: str) -> None:
    replicas = [
        start("votes-api:1.0", DATABASE_URL=database.url(empty), SEED_VOTES=SEED).client for _ in range(4)
    ]

    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda client: client.get("/votes"), replicas))

    assert [answer.status_code for answer in answers] == [200] * 4
    assert [answer.json()["total"] for answer in answers] == [600] * 4


def test_votes_at_the_same_time_are_all_counted(start: Start, database: Database, empty: str) -> None:
    api = start("votes-api:1.0", DATABASE_URL=database.url(empty))

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: api.client.post("/votes", json={"option": "Cats"}), range(100)))

    assert {answer.status_code for answer in answers} == {201}
    assert api.client.get("/votes").json()["counts"]["Cats"] == 100


def test_a_restart_of_the_database_is_survived(start: Start, database: Database, empty: str) -> None:
    api = start("votes-api:1.0", DATABASE_URL=database.url(empty))
    api.client.post("/votes", json={"option": "Cats"})

    database.stop()
    try:
        down = [api.client.get("/votes"), api.client.post("/votes", json={"option": "Cats"})]
        probes = (api.client.get("/readyz").status_code, api.client.get("/healthz").status_code)
    finally:
        database.start()

    assert [(answer.status_code, answer.json()) for answer in down] == [
        (503, {"error": "the database is not available"})
    ] * 2
    assert probes == (503, 200)
    assert api.client.get("/votes").json()["total"] == 1
    assert api.client.get("/readyz").status_code == 200


def test_it_starts_before_its_database_exists(start: Start, database: Database) -> None:
    api = start("votes-api:1.0", DATABASE_URL=database.url("later"))
    assert api.client.get("/readyz").status_code == 503

    database.create("later")

    assert api.client.get("/readyz").status_code == 200
    api.stop()
    database.query("postgres", "DROP DATABASE later")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"option": "Snakes"}', 422, "there is no option 'Snakes'"),
        (b'{"option": 7}', 400, 'expected a JSON object {"option": "<name>"}'),
        (b"[]", 400, 'expected a JSON object {"option": "<name>"}'),
        (b"\xff", 400, 'expected a JSON object {"option": "<name>"}'),
        (b"", 400, 'expected a JSON object {"option": "<name>"}'),
        (b"x" * 70_000, 413, "a body has at most 65536 bytes"),
    ],
)
def test_what_is_no_vote_is_refused(
    start: Start, database: Database, empty: str, body: bytes, status: int, message: str
) -> None:
    api = start("votes-api:1.0", DATABASE_URL=database.url(empty))

    answer = api.client.post("/votes", content=body)

    assert (answer.status_code, answer.json()) == (status, {"error": message})
    assert api.client.get("/votes").json()["total"] == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "votes-api: set DATABASE_URL"),
        (
            {"DATABASE_URL": "postgresql://x", "SEED_VOTES": "Cats=1,Dogs,=3,a=-1"},
            "votes-api: SEED_VOTES: expected <option>=<number>, got 'Dogs', '=3', 'a=-1'",
        ),
    ],
)
def test_wrong_settings_end_it_with_one_line(
    images: dict[str, Path], settings: dict[str, str], message: str
) -> None:
    run = subprocess.run(
        [sys.executable, str(images["votes-api:1.0"] / "server.py")],
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1
    assert run.stderr.startswith(message)
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "url",
    ["postgresql://owner:pa55word@[::1/votes", "postgresql://owner:pa55word@127.0.0.1:1/votes"],
)
def test_no_password_is_logged(start: Start, url: str) -> None:
    api = start("votes-api:1.0", DATABASE_URL=url)

    answer = api.client.get("/votes")

    assert answer.status_code == 503
    assert "database: " in api.log.read_text()
    assert "pa55word" not in api.log.read_text() + answer.text
