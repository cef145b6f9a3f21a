"""A user's own commands on a real flow: on its branch before any pod, on its URL while it answers."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.production import Production

pytestmark = [pytest.mark.lab, pytest.mark.engine]

# Two votes for what only the flow's migrations know.
SEED = """
import os
import psycopg

with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    for _ in range(2):
        connection.execute("INSERT INTO votes (option) VALUES ('Parrots')")
"""
# The flow's own page, opened on the machine that runs Pulumi.
OPEN = """
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx

host = urlsplit(os.environ["KARDINAL_URL"]).netloc
answer = httpx.get("http://" + os.environ["ADDRESS"], headers={"host": host}, trust_env=False)
seen = answer.headers["x-kardinal-fork"]
with Path("seen").open("a") as file:
    print(sys.argv[1], answer.status_code, seen, os.environ["KARDINAL_HEADER"], file=file)
"""


def hooks(production: Production, folder: Path) -> list[dict[str, Any]]:
    (folder / "seed.py").write_text(SEED)
    (folder / "open.py").write_text(OPEN)
    uses = [{"database": "votes", "environment": {"DATABASE_URL": "uri"}}]
    return [
        {
            "name": "seed",
            "after": "databases",
            "create": [sys.executable, "seed.py"],
            "uses": uses,
            "dir": str(folder),
        },
        {
            "name": "open",
            "create": [sys.executable, "open.py", "up"],
            "delete": [sys.executable, "open.py", "down"],
            "environment": {"ADDRESS": production.page.address},
            "dir": str(folder),
        },
    ]


def test_hooks_on_the_branch_and_on_the_url(
    production: Production, flow: Callable[..., str], tmp_path: Path
) -> None:
    counts = production.databases.votes("main")
    name = flow("hooked", hooks=hooks(production, tmp_path))

    production.up(name)
    assert (tmp_path / "seen").read_text() == "up 200 voting-app-ui-hooked x-kardinal-flow: hooked\n"
    assert production.databases.votes(production.branch(name)) == {**counts, "Parrots": 2}
    assert production.databases.votes("main") == counts

    # On the way down the URL still answers, with the flow.
    production.destroy(name)
    assert (tmp_path / "seen").read_text().splitlines()[1:] == [
        "down 200 voting-app-ui-hooked x-kardinal-flow: hooked"
    ]
    assert production.left_of(name) == []
