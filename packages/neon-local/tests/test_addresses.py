"""Addresses of endpoints, TLS and passwords at the gateway, with PostgreSQL's own clients."""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psycopg
import pytest

from kardinal_neon_local.testing.server import PATIENCE_SECONDS, Server, refused, running

pytestmark = pytest.mark.postgres

STRICT = "sslmode=require&channel_binding=require"


def strict(uri: str) -> str:
    """The URI as Neon gives it: nothing but encrypted, with the password bound to the certificate."""
    return uri.split("?")[0] + "?" + STRICT


def test_every_endpoint_has_an_address_of_its_own(server: Server) -> None:
    branches = [server.branch(f"address-{number}") for number in range(3)]
    endpoints = [server.get(f"/branches/{b}/endpoints")["endpoints"][0] for b in branches]
    assert {e["port"] for e in endpoints} == {5432}
    assert len({e["host"] for e in endpoints}) == 3
    for branch, endpoint in zip(branches, endpoints, strict=True):
        parts = urlsplit(server.uri(branch))
        assert (parts.hostname, parts.port) == (endpoint["host"], 5432)
    server.sql(branches[0], "CREATE TABLE only_here (a int)")
    assert server.sql(branches[1], "SELECT to_regclass('only_here')") == [(None,)]


def test_encrypted_with_the_password_bound_to_the_certificate(server: Server) -> None:
    uri = strict(server.uri(server.branch("strict")))
    with psycopg.connect(uri) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("SELECT current_user").fetchone() == ("votes_owner",)
    password = urlsplit(uri).password or ""
    for wrong in (uri.replace(password, "wrong"), uri.replace("votes_owner:", "nobody_here:")):
        assert "password authentication failed" in refused(wrong)
    assert 'database "nope" does not exist' in refused(uri.replace("/votes?", "/nope?"))
    plain = uri.replace(STRICT, "sslmode=disable")
    with psycopg.connect(plain) as connection:
        assert not connection.pgconn.ssl_in_use


def test_psql_and_large_answers_and_cancel_through_tls(server: Server) -> None:
    branch = server.branch("psql")
    uri = strict(server.uri(branch))
    command = ["psql", uri, "--no-psqlrc", "--tuples-only", "--no-align", "--command", "SELECT 6 * 7"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env={**os.environ, "PGSSLMODE": ""}
    )
    assert (done.stdout.strip(), done.stderr) == ("42", "")
    with psycopg.connect(uri, autocommit=True) as connection:
        row = connection.execute("SELECT repeat('x', 20000000)").fetchone()
        assert row is not None
        assert len(row[0]) == 20_000_000
        connection.execute("SELECT length(%s)", ("y" * 5_000_000,))
    running_now = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active'"
    with psycopg.connect(uri, autocommit=True) as connection, ThreadPoolExecutor() as pool:
        answer = pool.submit(connection.execute, "SELECT pg_sleep(600)")
        while server.sql(branch, running_now + " AND pid <> pg_backend_pid()") == [(0,)]:
            time.sleep(0.05)
        connection.cancel_safe()
        assert isinstance(answer.exception(PATIENCE_SECONDS), psycopg.errors.QueryCanceled)


def test_new_password_and_role_without_login_are_checked_by_the_instance(server: Server) -> None:
    branch = server.branch("changed")
    old = strict(server.uri(branch))
    server.finish(server.call("POST", f"/branches/{branch}/roles/votes_owner/reset_password"))
    assert "password authentication failed" in refused(old)
    new = strict(server.uri(branch))
    with psycopg.connect(new, autocommit=True) as connection:
        connection.execute("CREATE ROLE silent NOLOGIN PASSWORD 'quiet'")
    password = urlsplit(new).password or ""
    silent = new.replace(f"votes_owner:{password}", "silent:quiet")
    assert "not permitted to log in" in refused(silent)


def test_address_and_certificate_survive_a_restart_and_a_kill() -> None:
    with running() as server:
        branch = server.branch("stays")
        uri, certificate = server.uri(branch), (server.data / "tls.pem").read_bytes()
        assert (server.data / "tls.pem").stat().st_mode & 0o077 == 0
        server.end(9)
        server.start()
        assert server.uri(branch) == uri
        assert (server.data / "tls.pem").read_bytes() == certificate
        with psycopg.connect(strict(uri)) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_ports_of_one_address_and_no_tls_by_setting() -> None:
    with running(address_range="none", no_tls=True) as server:
        uri = server.uri(server.branch("port"))
        assert urlsplit(uri).hostname == "127.0.0.1"
        first = int(str(server.options["port_range"]).split("-")[0])
        assert first <= (urlsplit(uri).port or 0) < first + 100
        with psycopg.connect(uri) as connection:
            assert not connection.pgconn.ssl_in_use
        assert "SSL" in refused(strict(uri))


def test_range_of_addresses_by_setting_ends() -> None:
    with running(address_range="127.63.9.0/30") as server:
        hosts = {urlsplit(server.uri(b)).hostname for b in (server.main(), server.branch("second"))}
        assert hosts == {"127.63.9.1", "127.63.9.2"}
        body = {"branch": {"name": "third"}, "endpoints": [{"type": "read_write"}]}
        assert "127.63.9.0/30" in server.call("POST", "/branches", 422, **body)["message"]
        assert server.get("/branches/count", search="third") == {"count": 0}
