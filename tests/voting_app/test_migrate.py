"""The UI images' migrations, run as a flow's Job runs them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.voting_app.harness import Database, Start

pytestmark = pytest.mark.postgres
PRODUCTION, DEVELOPMENT = "voting-app-ui:1.0", "voting-app-ui-dev:latest"


def migrate(app: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(app / "migrate.py")],
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def test_development_adds_a_third_option_to_production_s_votes(
    start: Start, images: dict[str, Path], database: Database, empty: str
) -> None:
    api = start("votes-api:1.0", DATABASE_URL=database.url(empty), SEED_VOTES="Cats=3,Dogs=2")
    assert api.client.get("/votes").json()["options"] == ["Cats", "Dogs"]

    run = migrate(images[DEVELOPMENT], DATABASE_URL=database.url(empty))

    assert (run.returncode, run.stdout, run.stderr) == (0, "migrate: applied 002_parrots\n", "")
    assert api.client.get("/votes").json()["counts"] == {"Cats": 3, "Dogs": 2, "Parrots": 0}
    assert api.client.post("/votes", json={"option": "Parrots"}).json()["counts"]["Parrots"] == 1


def test_a_second_run_changes_nothing(images: dict[str, Path], database: Database, empty: str) -> None:
    first = migrate(images[DEVELOPMENT], DATABASE_URL=database.url(empty))
    before = database.query(empty, "SELECT * FROM applied_steps, options ORDER BY 1, 3")

    second = migrate(images[DEVELOPMENT], DATABASE_URL=database.url(empty))

    assert first.stdout == "migrate: applied 001_votes, 002_parrots\n"
    assert (second.returncode, second.stdout) == (0, "migrate: nothing to do\n")
    assert database.query(empty, "SELECT * FROM applied_steps, options ORDER BY 1, 3") == before


def test_production_has_its_own_steps_only(images: dict[str, Path], database: Database, empty: str) -> None:
    run = migrate(images[PRODUCTION], DATABASE_URL=database.url(empty))

    assert run.stdout == "migrate: applied 001_votes\n"
    assert database.query(empty, "SELECT name FROM options ORDER BY position") == [("Cats",), ("Dogs",)]


def test_a_refused_step_leaves_the_database_as_it_was(
    images: dict[str, Path], database: Database, empty: str
) -> None:
    database.query(empty, "CREATE TABLE options (something_else integer)")

    run = migrate(images[DEVELOPMENT], DATABASE_URL=database.url(empty))

    assert run.returncode == 1
    assert run.stderr.startswith("migrate: ")
    assert database.query(
        empty, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200"
    ) == [("options",)]


def test_no_database_is_one_line_without_the_password(images: dict[str, Path]) -> None:
    run = migrate(images[PRODUCTION], DATABASE_URL="postgresql://owner:pa55word@127.0.0.1:1/votes")

    assert run.returncode == 1
    assert run.stderr.startswith("migrate: ")
    assert "pa55word" not in run.stderr


def test_the_url_is_required(images: dict[str, Path]) -> None:
    run = migrate(images[PRODUCTION])

    assert run.returncode == 1
    assert run.stderr.startswith("migrate: set DATABASE_URL")
