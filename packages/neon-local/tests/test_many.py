"""Hundreds of branches, on a file system where each costs no copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kardinal_neon_local.testing.server import PATIENCE_SECONDS, Server, running

pytestmark = pytest.mark.postgres

MANY, WITH_COMPUTE = 200, 12


@pytest.fixture
def small_disk(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of the kind and the size in MiB that the test asks for."""
    kind, size = request.param
    if os.geteuid() != 0 or (kind == "btrfs" and shutil.which("mkfs.btrfs") is None):
        pytest.skip(f"needs root and the means to make a {kind} file system")
    base = Path(tempfile.mkdtemp(prefix="neon-local-disk-"))
    base.chmod(0o755)
    mounted = base / "mounted"
    mounted.mkdir()
    if kind == "btrfs":
        image = base / "image"
        with image.open("wb") as file:
            file.truncate(size << 20)
        subprocess.run(["mkfs.btrfs", "-q", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=True)
    else:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(mounted)], check=True)
    try:
        yield mounted
    finally:
        subprocess.run(["umount", str(mounted)], check=True)
        shutil.rmtree(base)


def processes(server: Server) -> list[str]:
    """All processes that work in a data directory of the service."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                place = (entry / "cwd").readlink()
            except OSError:
                continue
            if place.is_relative_to(server.data.resolve() / "instances"):
                found.append(entry.name)
    return found


@pytest.mark.parametrize("small_disk", [("btrfs", 4096)], indirect=True)
def test_hundreds_of_idle_branches_cost_no_process_and_are_all_listed(small_disk: Path) -> None:
    with running(small_disk, idle_timeout=1) as server:
        server.sql(server.main(), "CREATE TABLE vote AS SELECT generate_series(1, 50) AS id")

        def create(number: int) -> str:
            return server.branch(f"many-{number:03}", compute=number < WITH_COMPUTE)

        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(create, range(MANY)))
        assert server.get("/branches/count", search="many-")["count"] == MANY
        listed: list[str] = []
        page = server.get("/branches", limit=30, search="many-", sort_by="name", sort_order="asc")
        while page["branches"]:
            listed += [branch["id"] for branch in page["branches"]]
            cursor = page["pagination"]["next"]
            page = server.get(
                "/branches", limit=30, search="many-", sort_by="name", sort_order="asc", cursor=cursor
            )
        assert listed == made
        deadline = time.monotonic() + PATIENCE_SECONDS
        while left := processes(server):
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
        for branch in (made[0], made[WITH_COMPUTE - 1]):
            assert server.sql(branch, "SELECT count(*) FROM vote") == [(50,)]
        assert set(server.postmasters()) <= {made[0], made[WITH_COMPUTE - 1]}


@pytest.mark.parametrize("small_disk", [("tmpfs", 250)], indirect=True)
def test_full_disk_refuses_a_branch_in_words_and_leaves_no_half_of_one(small_disk: Path) -> None:
    with running(small_disk) as server:
        ballast = small_disk / "ballast"
        with ballast.open("wb") as file:
            free = shutil.disk_usage(small_disk).free
            os.posix_fallocate(file.fileno(), 0, free - (48 << 20))
        files = set((server.data / "instances").iterdir())
        refusal = server.call("POST", "/branches", 422, branch={"name": "no-room"})
        assert "not enough disk space" in refusal["message"]
        assert server.get("/branches/count")["count"] == 1
        assert set((server.data / "instances").iterdir()) == files
        assert server.sql(server.main(), "SELECT 1") == [(1,)]
        ballast.unlink()
        assert server.branch("room-again", compute=False)
