"""Every rung of the copy ladder, on real file systems in loop images."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from kardinal_neon_local.testing.server import Server, running

pytestmark = pytest.mark.postgres

RUNGS = {"btrfs": "btrfs", "reflink": "xfs"}
MEGABYTES = 60


@pytest.fixture(scope="module", params=["btrfs", "reflink", "copy"])
def rung(request: pytest.FixtureRequest) -> Iterator[tuple[str, Server]]:
    """The name of a rung and a service whose file system has it."""
    name: str = request.param
    if name == "copy":
        shared = Path("/dev/shm")  # tmpfs shares no blocks, whatever the disk can do
        with running(shared if shared.is_dir() else None) as server:
            yield name, server
        return
    program = shutil.which(f"mkfs.{RUNGS[name]}")
    if os.geteuid() != 0 or program is None:
        pytest.skip(f"needs root and mkfs.{RUNGS[name]} to make a {RUNGS[name]} file system")
    base = Path(tempfile.mkdtemp(prefix="neon-local-fs-"))
    image, mounted = base / "image", base / "mounted"
    mounted.mkdir()
    try:
        with image.open("wb") as file:
            file.truncate(2 << 30)
        subprocess.run([program, "-q", str(image)], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=True)
        try:
            base.chmod(0o755)
            with running(mounted) as server:
                yield name, server
        finally:
            subprocess.run(["umount", str(mounted)], check=True)
    finally:
        shutil.rmtree(base)


def used(server: Server) -> int:
    os.sync()
    state = os.statvfs(server.data)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def test_rung_is_found_and_its_branches_cost_what_they_should(rung: tuple[str, Server]) -> None:
    name, server = rung
    assert httpx.get(f"http://127.0.0.1:{server.port}/healthz").json()["cow"] == name
    main = server.main()
    server.sql(
        main,
        f"CREATE TABLE heap AS SELECT repeat('x', 1000) AS v FROM generate_series(1, {MEGABYTES} * 1000)",
    )
    server.sql(main, "GRANT SELECT ON heap TO PUBLIC")
    before = used(server)
    branch = server.branch("sized")
    cost = used(server) - before
    assert server.sql(branch, "SELECT count(*) FROM heap") == [(MEGABYTES * 1000,)]
    if name == "copy":
        assert cost > MEGABYTES << 20
    else:
        assert cost < (MEGABYTES << 20) / 2


def segments(server: Server, branch: str) -> int:
    return sum(len(path.name) == 24 for path in (server.data / "instances" / branch).glob("pg_wal*/*"))


def test_branch_does_not_carry_the_wal_that_its_parent_keeps(rung: tuple[str, Server]) -> None:
    """Or its server would delete all of it before it answers for the first time."""
    name, server = rung
    main = server.main()
    for _ in range(6):
        server.sql(main, "CREATE TABLE filler AS SELECT repeat('x', 1000) FROM generate_series(1, 16000)")
        server.sql(main, "DROP TABLE filler")
    branch = server.branch("light")
    assert server.sql(branch, "SELECT 1") == [(1,)]
    instances = server.data / "instances"
    deadline = time.monotonic() + 60
    while (instances / branch / "pg_wal.old").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not list(instances.glob("*/pg_wal.old"))
    if name != "copy":  # which keeps no history unless told
        assert segments(server, branch) < segments(server, main) / 2


def test_copies_of_a_busy_parent_are_consistent(rung: tuple[str, Server]) -> None:
    _, server = rung
    main = server.main()
    server.sql(main, "CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL)")
    server.sql(main, "INSERT INTO account SELECT g, 100 FROM generate_series(1, 200) g")
    stop = threading.Event()

    def transfer(seed: int) -> int:
        done = 0
        with psycopg.connect(server.uri(main), autocommit=True) as connection:
            while not stop.is_set():
                connection.execute(
                    "WITH pair AS (SELECT (random() * 199)::int + 1 AS a, (random() * 199)::int + 1 AS b)"
                    " UPDATE account SET balance = balance + CASE WHEN id = a THEN 1 ELSE -1 END"
                    " FROM pair WHERE a <> b AND id IN (a, b)"
                )
                done += 1
        return done

    writer = threading.Thread(target=transfer, args=(1,))
    writer.start()
    try:
        branches = [server.branch(f"copy-{number}") for number in range(4)]
    finally:
        stop.set()
        writer.join()
    sums = [server.sql(b, "SELECT count(*), sum(balance) FROM account") for b in branches]
    assert sums == [[(200, 20000)]] * len(branches)
    # The copies are of different moments of work that went on.
    states = {tuple(server.sql(b, "SELECT balance FROM account ORDER BY id")) for b in branches}
    assert len(states) == len(branches)


def test_deleted_branch_leaves_nothing(rung: tuple[str, Server]) -> None:
    _, server = rung
    branch = server.branch("gone")
    server.finish(server.call("DELETE", f"/branches/{branch}?hard_delete=true"))
    assert not list((server.data / "instances").glob(f"{branch}*"))
    assert not list((server.data / "logs").glob(f"{branch}*"))


def test_failed_copy_is_reported_and_can_be_deleted() -> None:
    # On a file system without snapshots, because a snapshot takes whatever is there.
    with running(Path("/dev/shm")) as server:
        main = server.main()
        trap = server.data / "instances" / main / "base" / "trap"
        trap.symlink_to("/nowhere")
        body = {"branch": {"name": "failing"}, "endpoints": [{"type": "read_write"}]}
        answer = server.call("POST", "/branches", 201, **body)
        branch = answer["branch"]["id"]
        server.call("PATCH", f"/branches/{branch}", branch={"name": "failed"})  # when nothing runs any more
        create, start = (server.get(f"/operations/{o['id']}")["operation"] for o in answer["operations"])
        assert (create["status"], start["status"]) == ("failed", "cancelled")
        assert "symbolic link" in create["error"]
        assert create["failures_count"] > 1
        assert server.get(f"/branches/{branch}")["branch"]["current_state"] == "init"
        server.finish(server.call("DELETE", f"/branches/{branch}"))
        assert not list((server.data / "instances").glob(f"{branch}*"))
        trap.unlink()
        assert server.branch("works-again", compute=False)
