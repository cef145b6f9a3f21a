"""pg_dump of a live database into pg_restore of a branch: online and consistent."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kardinal_infra.databases.postgres.errors import PostgresError
from kardinal_infra.databases.postgres.settings import URI_VARIABLE, PostgresSettings

LOCK_WAIT = "60s"
"""How long the dump waits for a table that somebody has locked."""

_NEWER = 17
"""pg_restore of 17 and later begins with a parameter that earlier servers refuse."""

_DEBIAN = Path("/usr/lib/postgresql")
_MESSAGE = 500


def dump_and_restore(
    settings: PostgresSettings, major: int, source: str, target: str, *, schema_only: bool
) -> None:
    """Copies the content of one database into another, empty one on the same server.

    Owners and grants stay behind: on the branch everything is its role's. Publications and subscriptions do
    as well: a branch takes no part in replication.

    Args:
        settings: The administrator.
        major: The server's major version.
        source: Database to dump.
        target: Database to fill.
        schema_only: Without data.

    Raises:
        PostgresError: The programs are missing or failed.
    """
    programs = find_programs(major)
    dump = [
        str(programs / "pg_dump"), "--format=custom", "--compress=0", "--no-password",
        f"--lock-wait-timeout={LOCK_WAIT}",
        "--no-publications", "--no-subscriptions", f"--dbname={_conninfo(settings, source)}",
    ]  # fmt: skip
    restore = [
        str(programs / "pg_restore"), "--exit-on-error", "--no-password", "--no-owner", "--no-privileges",
        f"--dbname={_conninfo(settings, target)}",
    ]  # fmt: skip
    if schema_only:
        dump.append("--schema-only")
    environment = _environment(settings)
    with tempfile.TemporaryFile() as dump_said, tempfile.TemporaryFile() as restore_said:
        with subprocess.Popen(dump, stdout=subprocess.PIPE, stderr=dump_said, env=environment) as dumping:
            restored = subprocess.run(
                restore, stdin=dumping.stdout, stderr=restore_said, env=environment, check=False
            )
            assert dumping.stdout is not None
            dumping.stdout.close()
            dumped = dumping.wait()
        # A restore that fails breaks the pipe, and a dump that fails leaves an archive without an end.
        for program, code, said in (
            ("pg_restore", restored.returncode, restore_said),
            ("pg_dump", dumped, dump_said),
        ):
            said.seek(0)
            text = said.read().decode(errors="replace").strip()
            if code and (text or program == "pg_dump") and not (program == "pg_restore" and dumped > 0):
                raise PostgresError(settings.redacted(f"{program} failed ({code}): {text[-_MESSAGE:]}"))
        if restored.returncode:
            raise PostgresError(f"pg_restore failed ({restored.returncode})")


def find_programs(major: int) -> Path:
    """Finds pg_dump and pg_restore that suit a server: of its version, else of the next later one.

    Args:
        major: The server's major version.

    Returns:
        Their directory.

    Raises:
        PostgresError: There are none; says what was found.
    """
    found: dict[int, Path] = {}
    for directory in _directories():
        done = subprocess.run(
            [str(directory / "pg_dump"), "--version"], capture_output=True, text=True, check=False
        )
        if match := re.search(r"\(PostgreSQL\) (\d+)", done.stdout):
            found.setdefault(int(match[1]), directory)
    suitable = [version for version in found if version >= major and (version < _NEWER) == (major < _NEWER)]
    if suitable:
        return found[min(suitable)]
    seen = ", ".join(f"{version} in {directory}" for version, directory in sorted(found.items()))
    raise PostgresError(
        f"pg_dump and pg_restore of PostgreSQL {major} are needed on PATH to copy a live database (found:"
        f" {seen or 'none'}); or name a golden copy as `parent`, which the server copies by itself"
    )


def _directories() -> Iterator[Path]:
    candidates = [Path(folder) for folder in os.get_exec_path()]
    # Debian keeps several versions side by side, not on PATH.
    for directory in [*candidates, *sorted(_DEBIAN.glob("*/bin"))]:
        if all(os.access(directory / program, os.X_OK) for program in ("pg_dump", "pg_restore")):
            yield directory


def _conninfo(settings: PostgresSettings, database: str) -> str:
    """The connection without its password: everybody can read a command line."""
    options = conninfo_to_dict(settings.uri.get_secret_value())
    options.pop("password", None)
    present = {name: str(value) for name, value in options.items() if value is not None}
    return make_conninfo("", **{**present, "dbname": database})


def _environment(settings: PostgresSettings) -> dict[str, str]:
    password = conninfo_to_dict(settings.uri.get_secret_value()).get("password")
    inherited = {name: value for name, value in os.environ.items() if name != URI_VARIABLE}
    return {**inherited, "PGPASSWORD": str(password)} if password else inherited
