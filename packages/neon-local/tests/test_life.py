from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from kardinal_neon_local.testing.server import KEY, PATIENCE_SECONDS, Server, running

pytestmark = pytest.mark.postgres


def until(server: Server, branch: str, status: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while server.http.get(f"/branches/{branch}").status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_state_data_and_addresses_survive_a_clean_restart() -> None:
    with running() as server:
        server.sql(server.main(), "CREATE TABLE vote AS SELECT generate_series(1, 50) AS id")
        branch = server.branch("kept", annotations={"a": "b"})
        before = {"main": server.uri(server.main()), "branch": server.uri(branch)}
        assert server.end() == 0
        assert server.postmasters() == {}
        server.start()
        assert {"main": server.uri(server.main()), "branch": server.uri(branch)} == before
        assert server.get(f"/branches/{branch}")["annotation"]["value"] == {"a": "b"}
        assert server.sql(branch, "SELECT count(*) FROM vote") == [(50,)]


def test_instances_of_a_killed_service_are_adopted() -> None:
    with running() as server:
        branch = server.branch("orphan")
        server.sql(branch, "CREATE TABLE vote AS SELECT generate_series(1, 50) AS id")
        server.end(signal.SIGKILL)
        alive = server.postmasters()
        assert branch in alive
        server.start()
        assert server.sql(branch, "SELECT count(*) FROM vote") == [(50,)]
        assert server.postmasters()[branch] == alive[branch]
        assert server.end() == 0
        assert server.postmasters() == {}


def test_instances_that_died_meanwhile_come_back_with_their_data() -> None:
    with running() as server:
        main = server.main()
        server.sql(main, "CREATE TABLE vote AS SELECT generate_series(1, 50) AS id")
        os.kill(server.postmasters()[main], signal.SIGKILL)
        server.end(signal.SIGKILL)
        server.start()
        assert server.sql(main, "SELECT count(*) FROM vote") == [(50,)]


def test_instance_whose_postmaster_alone_was_killed_waits_for_its_backends() -> None:
    with running() as server:
        main = server.main()
        server.sql(main, "CREATE TABLE vote AS SELECT generate_series(1, 50) AS id")
        with psycopg.connect(server.uri(main)):
            os.kill(server.postmasters()[main], signal.SIGKILL)
            # The service is the parent and may not have reaped it; other processes of the instance still end.
            assert server.sql(main, "SELECT count(*) FROM vote") == [(50,)]
        lock = server.data / "instances" / main / "postmaster.pid"
        server.end()
        # A process id that is in use again, by a process that is no PostgreSQL.
        lock.write_text(f"{os.getpid()}\n/nowhere\n0\n1\n\n\n\nready\n")
        server.start()
        assert server.sql(main, "SELECT count(*) FROM vote") == [(50,)]


@pytest.mark.parametrize("moment", range(5))
def test_killed_in_the_middle_of_a_creation_it_is_finished_after_the_start(moment: int) -> None:
    with running(operation_delay=0.05) as server:
        server.sql(server.main(), "CREATE TABLE vote AS SELECT generate_series(1, 50) AS id")
        body = {"branch": {"name": "half"}, "endpoints": [{"type": "read_write"}]}
        answer = server.call("POST", "/branches", 201, **body)
        time.sleep(moment * 0.06)  # spread over the steps; where exactly it hits does not matter
        server.end(signal.SIGKILL)
        server.start()
        server.finish(answer)
        branch = answer["branch"]["id"]
        assert server.sql(branch, "SELECT count(*) FROM vote") == [(50,)]
        server.finish(server.call("DELETE", f"/branches/{branch}?hard_delete=true"))
        assert {p.name for p in (server.data / "instances").iterdir()} == {server.main()}


def test_killed_in_the_middle_of_a_deletion_nothing_is_left() -> None:
    with running() as server:
        branch = server.branch("going")
        answer = server.call("DELETE", f"/branches/{branch}?hard_delete=true")
        server.end(signal.SIGKILL)
        server.start()
        server.finish(answer)
        assert branch not in server.postmasters()
        assert {p.name for p in (server.data / "instances").iterdir()} == {server.main()}


def test_leftovers_that_no_branch_owns_are_removed() -> None:
    with running() as server:
        server.end()
        stray = server.data / "instances" / "br-stray-dog-00000000.unfinished"
        (stray / "base").mkdir(parents=True)
        server.start()
        assert not stray.exists()


def test_expired_branch_goes_and_a_renewed_one_stays() -> None:
    with running(recovery_window=0) as server:
        first = datetime.now(UTC) + timedelta(hours=1)
        gone = server.branch("gone", expires_at=first.isoformat())
        stays = server.branch("stays", expires_at=first.isoformat())
        later = datetime.now(UTC) + timedelta(hours=2)
        answer = server.call("PATCH", f"/branches/{stays}", branch={"expires_at": later.isoformat()})
        soon = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
        server.call("PATCH", f"/branches/{gone}", branch={"expires_at": soon})
        assert answer["branch"]["expires_at"] == later.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert 7000 < answer["branch"]["ttl_interval_seconds"] <= 7200
        server.call("POST", "/branches", 422, branch={"name": "child", "parent_id": stays})
        server.call("PATCH", f"/branches/{stays}", 422, branch={"protected": True})
        until(server, gone, 404)
        until(server, stays, 200)
        answer = server.call("PATCH", f"/branches/{stays}", branch={"expires_at": None})
        assert "expires_at" not in answer["branch"]
        assert gone not in server.postmasters()


def test_expiration_is_refused_where_neon_refuses_it() -> None:
    with running() as server:
        later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        assert (
            "default"
            in server.call("PATCH", f"/branches/{server.main()}", 422, branch={"expires_at": later})[
                "message"
            ]
        )
        parent = server.branch("parent", compute=False)
        server.branch("child", compute=False, parent_id=parent)
        assert (
            "children"
            in server.call("PATCH", f"/branches/{parent}", 422, branch={"expires_at": later})["message"]
        )
        wanted = {"name": "both", "protected": True, "expires_at": later}
        assert "protected" in server.call("POST", "/branches", 422, branch=wanted)["message"]


def test_recovery_ends_with_its_window() -> None:
    with running(recovery_window=2) as server:
        branch = server.branch("brief", compute=False)
        server.finish(server.call("DELETE", f"/branches/{branch}"))
        assert (server.data / "instances" / branch).exists()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while server.get("/branches", include_deleted="true", search=branch)["branches"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert not (server.data / "instances" / branch).exists()


def test_limits_are_422_with_neons_code() -> None:
    with running(branches_limit=2) as server:
        server.branch("one", compute=False)
        refusal = server.call("POST", "/branches", 422, branch={"name": "two"})
        assert refusal["code"] == "BRANCHES_LIMIT_EXCEEDED"


def test_second_service_on_the_same_directory_is_refused(server: Server) -> None:
    other = Server(server.directory)
    done = subprocess.run(
        [*other.command()], env=other.environment(), capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 1
    assert str(server.data) in done.stderr
    assert server.process is not None
    assert str(server.process.pid) in done.stderr
    assert "Traceback" not in done.stderr
    assert server.get("/branches")


def test_start_without_a_key_or_with_a_wrong_setting_is_one_clear_line(tmp_path: Path) -> None:
    server = Server(tmp_path)
    environment = {**os.environ, "NEON_LOCAL_API_KEY": ""}
    done = subprocess.run(
        server.command(), env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "--api-key-file" in done.stderr
    wrong = [*server.command(), "--postgres-bin", "/nowhere"]
    done = subprocess.run(
        wrong, env=server.environment(), capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 1
    assert "/nowhere" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--address-range", "10.0.0.0/33", "--address-range"),
        ("--idle-timeout", "-1", "--idle-timeout"),
        ("--project", "My Shop", "--project"),
        ("--sslmode", "verify-full", "--sslmode"),
        ("--history", "99999999", "--history"),
        ("--port-range", "9-1", "--port-range"),
    ],
)
def test_wrong_setting_is_named(tmp_path: Path, option: str, value: str, words: str) -> None:
    server = Server(tmp_path)
    command = [*server.command(), option, value]
    done = subprocess.run(
        command, env=server.environment(), capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert words in done.stderr
    assert not server.data.exists()


def test_stop_command_ends_a_service_and_what_a_killed_one_left() -> None:
    with running() as server:
        command = [sys.executable, "-m", "kardinal_neon_local", "stop", "--data-dir", str(server.data)]
        process = server.process
        assert process is not None
        subprocess.run(command, check=True, timeout=PATIENCE_SECONDS)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert server.postmasters() == {}
        server.start()
        server.sql(server.main(), "SELECT 1")
        server.end(signal.SIGKILL)
        assert server.postmasters() != {}
        subprocess.run(command, check=True, timeout=PATIENCE_SECONDS)
        assert server.postmasters() == {}


def test_many_writers_at_the_same_time_all_succeed(server: Server) -> None:
    def create(number: int) -> str:
        return server.branch(f"parallel-{number}", compute=False)

    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(create, range(12)))
    assert len(set(made)) == 12
    assert server.get("/branches/count", search="parallel-")["count"] == 12


def test_no_secret_reaches_logs_or_process_arguments() -> None:
    with running() as server:
        branch = server.branch("secret")
        passwords = {urlsplit(server.uri(branch)).password or ""}
        reset = server.finish(server.call("POST", f"/branches/{branch}/roles/votes_owner/reset_password"))
        passwords.add(reset["role"]["password"])
        with pytest.raises(Exception, match="already exists"):
            server.sql(branch, f"CREATE ROLE votes_owner PASSWORD '{reset['role']['password']}'")
        server.http.get("/branches", headers={"Authorization": "Bearer wrong-key-4711"})
        seen = server.log.read_text()
        seen += "".join(file.read_text() for file in (server.data / "logs").iterdir())
        for pid in [*server.postmasters().values(), server.process.pid if server.process else 0]:
            seen += Path(f"/proc/{pid}/cmdline").read_text()
        for pid in server.postmasters().values():
            seen += Path(f"/proc/{pid}/environ").read_text()
        for secret in {*map(str, passwords), KEY, "wrong-key-4711"}:
            assert secret not in seen
        assert (server.data / "state.db").stat().st_mode & 0o077 == 0


def test_projects_are_independent_of_each_other(server: Server) -> None:
    root = f"http://127.0.0.1:{server.port}/api/v2/projects"
    made = server.http.post(root, json={"project": {"name": "second"}})
    assert made.status_code == 201
    identifier = made.json()["project"]["id"]
    # The new project is busy, this one is not.
    server.branch("while-the-other-is-busy", compute=False)
    for operation in made.json()["operations"]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        path = f"{root}/{identifier}/operations/{operation['id']}"
        while server.http.get(path).json()["operation"]["status"] != "finished":
            assert time.monotonic() < deadline
            time.sleep(0.05)
    branches = server.http.get(f"{root}/{identifier}/branches").json()["branches"]
    assert [b["name"] for b in branches] == ["main"]
    foreign = httpx.get(
        f"{root}/{identifier}/branches/{server.main()}", headers={"Authorization": f"Bearer {KEY}"}
    )
    assert foreign.status_code == 404
