"""Neon's own command-line tool works against the service."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from kardinal_neon_local.testing.contract import CACHE
from kardinal_neon_local.testing.server import KEY, PATIENCE_SECONDS, PROJECT, Server

pytestmark = pytest.mark.postgres

PACKAGE = "neonctl@5.0.1"
Tool = Callable[..., Any]


@pytest.fixture(scope="module")
def neonctl(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """Run one command; gives its decoded answer, or its text for commands that print text."""
    home = CACHE / PACKAGE
    program = home / "node_modules" / "neonctl" / "package.json"
    if not program.exists():
        home.mkdir(parents=True, exist_ok=True)
        install = [
            "npm",
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
            str(home),
            PACKAGE,
        ]
        subprocess.run(install, check=True, capture_output=True, timeout=300)
    config = tmp_path_factory.mktemp("neonctl")

    def run(*arguments: str, text: bool = False) -> Any:
        command = [str(home / "node_modules" / ".bin" / "neonctl"), *arguments]
        command += ["--api-host", f"http://127.0.0.1:{server.port}/api/v2", "--config-dir", str(config)]
        command += ["--no-analytics", "--no-color"] + ([] if text else ["--output", "json"])
        environment = {**os.environ, "NEON_API_KEY": KEY, "CI": "1"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, cwd=config
        )
        assert done.returncode == 0, done.stderr
        return done.stdout if text else json.loads(done.stdout)

    return run


def on(branch: str) -> tuple[str, ...]:
    return ("--project-id", PROJECT, "--branch", branch)


def test_branches_through_their_whole_life(server: Server, neonctl: Tool) -> None:
    project = ("--project-id", PROJECT)
    made = neonctl("branches", "create", "--name", "tool", *project)
    assert made["branch"]["name"] == "tool"
    assert made["endpoints"][0]["branch_id"] == made["branch"]["id"]
    assert "tool" in [b["name"] for b in neonctl("branches", "list", *project)]
    neonctl("branches", "rename", "tool", "tool-2", *project)
    assert neonctl("branches", "get", "tool-2", *project)["id"] == made["branch"]["id"]
    server.sql(made["branch"]["id"], "ALTER TABLE vote ADD COLUMN reason text")
    difference = neonctl(
        "branches", "schema-diff", server.main(), "tool-2", "--database", "votes", *project, text=True
    )
    assert "+    reason text" in difference
    neonctl("branches", "reset", "tool-2", "--parent", *project)
    server.call(
        "PATCH", f"/branches/{made['branch']['id']}", branch={"name": "tool-3"}
    )  # when the reset is done
    assert (
        neonctl(
            "branches", "schema-diff", server.main(), "tool-3", "--database", "votes", *project, text=True
        ).count("\n")
        < 4
    )
    neonctl("branches", "delete", "tool-3", *project)
    assert "tool-3" not in [b["name"] for b in neonctl("branches", "list", *project)]


def test_databases_roles_and_projects(server: Server, neonctl: Tool) -> None:
    server.branch("tool-access")
    neonctl("roles", "create", "--name", "helper", *on("tool-access"))
    neonctl("databases", "create", "--name", "extra", "--owner-name", "helper", *on("tool-access"))
    assert {r["name"] for r in neonctl("roles", "list", *on("tool-access"))} == {"votes_owner", "helper"}
    assert {d["name"] for d in neonctl("databases", "list", *on("tool-access"))} == {"votes", "extra"}
    neonctl("databases", "delete", "extra", *on("tool-access"))
    neonctl("roles", "delete", "helper", *on("tool-access"))
    assert [p["id"] for p in neonctl("projects", "list")["projects"]] == [PROJECT]
    assert neonctl("me")["email"]
    assert neonctl("operations", "list", "--project-id", PROJECT)


def test_connection_string_works_as_it_is_printed(server: Server, neonctl: Tool) -> None:
    branch = server.branch("tool-string")
    server.sql(branch, "CREATE TABLE only_here AS SELECT 42 AS answer")
    project = ("--project-id", PROJECT)
    printed = neonctl("connection-string", "tool-string", *project, text=True).strip()
    assert "sslmode=require&channel_binding=require" in printed
    command = ["psql", printed, "--no-psqlrc", "--tuples-only", "--no-align", "--command"]
    done = subprocess.run(
        [*command, "SELECT answer FROM only_here"], capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert (done.stdout, done.stderr) == ("42\n", "")
    pooled = neonctl("connection-string", "tool-string", "--pooled", *project, text=True).strip()
    plain = neonctl("connection-string", "tool-string", "--ssl", "omit", *project, text=True).strip()
    for uri in (pooled, plain):
        with psycopg.connect(uri) as connection:
            assert connection.execute("SELECT answer FROM only_here").fetchone() == (42,)
    shown = neonctl("connection-string", "tool-string", "--extended", *project)
    assert (shown["role"], shown["database"]) == ("votes_owner", "votes")
