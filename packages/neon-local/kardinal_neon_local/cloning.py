"""Copies of data directories, as cheap as the file system allows.

Three rungs, found out by trying them: a btrfs snapshot, a copy that shares blocks (`FICLONE`: XFS,
btrfs, bcachefs), a plain copy. A snapshot is atomic, so PostgreSQL's crash recovery makes it whole. The
other two take time, so they follow PostgreSQL's low-level backup procedure ("Making a Base Backup Using
the Low Level API").
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import uuid
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import psycopg

from kardinal_neon_local.errors import LocalNeonError
from kardinal_neon_local.programs import Account

# linux/btrfs.h and linux/fs.h; the argument of the btrfs calls is {__s64 fd; char name[4088]}.
_BTRFS_SNAP_CREATE = 0x50009401
_BTRFS_SUBVOL_CREATE = 0x5000940E
_BTRFS_SNAP_DESTROY = 0x5000940F
_FICLONE = 0x40049409

# What PostgreSQL's own pg_basebackup leaves out: it is rebuilt at the start or belongs to the source.
_SKIPPED_CONTENT = {
    "pg_wal",
    "pg_dynshmem",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
}
_SKIPPED_FILES = {"postmaster.pid", "postmaster.opts", "backup_label", "tablespace_map", "pg_internal.init"}
_CONTROL = Path("global/pg_control")
_OLD_WAL = "pg_wal.old"

Connection = psycopg.Connection[tuple[Any, ...]]


class Method(StrEnum):
    """A rung of the ladder."""

    SNAPSHOT = "btrfs"
    REFLINK = "reflink"
    COPY = "copy"


def _btrfs(request: int, directory: Path, name: str, source: int = 0) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # A bytearray, because an immutable argument may have 1024 bytes only.
        fcntl.ioctl(handle, request, bytearray(struct.pack("=q4088s", source, name.encode())))
    finally:
        os.close(handle)


def _snapshot(source: Path, target: Path) -> None:
    handle = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _btrfs(_BTRFS_SNAP_CREATE, target.parent, target.name, handle)
    finally:
        os.close(handle)


def _copy_data(source: int, target: int, method: Method) -> None:
    if method is Method.REFLINK:
        fcntl.ioctl(target, _FICLONE, source)
        return
    if hasattr(os, "copy_file_range"):
        while os.copy_file_range(source, target, 1 << 30):
            pass
        return
    while block := os.read(source, 1 << 20):
        os.write(target, block)


def _copy_file(source: Path, target: Path, method: Method, account: Account) -> None:
    """Copies one file; one that has been dropped in the meantime is made right by WAL replay."""
    try:
        reader = os.open(source, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            account.own(writer)
            _copy_data(reader, writer, method)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_tree(source: Path, target: Path, method: Method, account: Account, inside: Path = Path()) -> None:
    for entry in os.scandir(source / inside):
        path = inside / entry.name
        if entry.is_symlink():
            raise LocalNeonError(
                f"{source / path} is a symbolic link: table spaces and a moved pg_wal are not supported"
            )
        if entry.is_dir():
            (target / path).mkdir(mode=0o700)
            account.own(target / path)
            if entry.name not in _SKIPPED_CONTENT:
                _copy_tree(source, target, method, account, path)
        elif entry.name not in _SKIPPED_FILES and not entry.name.startswith("pgsql_tmp") and path != _CONTROL:
            _copy_file(source / path, target / path, method, account)


def _copy_wal(source: Path, target: Path, first: str, last: str, method: Method, account: Account) -> None:
    for name in ("archive_status", "summaries"):
        if (source / "pg_wal" / name).is_dir():
            (target / "pg_wal" / name).mkdir(mode=0o700)
            account.own(target / "pg_wal" / name)
    for entry in os.scandir(source / "pg_wal"):
        segment = len(entry.name) == 24 and first <= entry.name <= last
        if entry.is_file() and (segment or entry.name.endswith(".history")):
            _copy_file(source / "pg_wal" / entry.name, target / "pg_wal" / entry.name, method, account)


def _backup(connection: Connection, source: Path, target: Path, method: Method, account: Account) -> None:
    """Copies a running instance. Closing the connection after a failure ends the backup, drops the slot."""
    # The slot keeps the WAL of a long copy from being recycled.
    connection.execute(
        "SELECT pg_create_physical_replication_slot(%s, true, true)", (f"clone_{uuid.uuid4().hex}",)
    )
    start = connection.execute("SELECT pg_walfile_name(pg_backup_start('clone', true))").fetchone()
    _copy_tree(source, target, method, account)
    _copy_file(source / _CONTROL, target / _CONTROL, method, account)
    stop = connection.execute("SELECT pg_walfile_name(lsn), labelfile FROM pg_backup_stop(false)").fetchone()
    assert start is not None
    assert stop is not None
    _copy_wal(source, target, start[0], stop[0], method, account)
    label = target / "backup_label"
    label.write_text(stop[1])
    label.chmod(0o600)
    account.own(label)


def _set_old_wal_aside(directory: Path, first: str, account: Account) -> None:
    """Takes the WAL before a segment out of the server's sight.

    A source that keeps its history has any amount of it. The server would delete it all before it answers
    for the first time; set aside in one step it can go while the branch is in use.
    """
    wal, old = directory / "pg_wal", directory / _OLD_WAL
    wal.rename(old)
    wal.mkdir(mode=0o700)
    account.own(wal)
    for entry in os.scandir(old):
        # A segment's name begins with its time line, 8 digits that are no part of the position.
        if len(entry.name) != 24 or entry.name[8:] >= first[8:]:
            (old / entry.name).rename(wal / entry.name)


def drop_old_wal(directory: Path) -> None:
    """Deletes what `clone` set aside in a data directory; there may be nothing.

    Args:
        directory: The data directory.
    """
    shutil.rmtree(directory / _OLD_WAL, ignore_errors=True)


def make_directory(path: Path, method: Method, account: Account) -> None:
    """Makes an empty data directory: a subvolume where snapshots are used.

    Args:
        path: Where; must not exist.
        method: The rung that `probe` found.
        account: Its owner.
    """
    if method is Method.SNAPSHOT:
        _btrfs(_BTRFS_SUBVOL_CREATE, path.parent, path.name)
    else:
        path.mkdir()
    path.chmod(0o700)
    account.own(path)


def remove_directory(path: Path) -> None:
    """Removes a data directory; it may be absent, half-made, a subvolume or a plain directory.

    Args:
        path: The data directory.
    """
    if not path.exists():
        return
    try:
        _btrfs(_BTRFS_SNAP_DESTROY, path.parent, path.name)
    except OSError:
        shutil.rmtree(path)


def clone(
    source: Path, target: Path, method: Method, account: Account, connect: Callable[[], Connection]
) -> None:
    """Makes `target` a copy of the running instance in `source`; `target` appears only when it is whole.

    Args:
        source: Data directory of a running instance.
        target: Data directory to be made; must not exist.
        method: The rung that `probe` found.
        account: Owner of the files.
        connect: Opens an administrator's connection to the source.

    Raises:
        LocalNeonError: If the source uses table spaces.
        OSError: If the disk fails or is full.
    """
    unfinished = target.with_name(target.name + ".unfinished")
    remove_directory(unfinished)
    try:
        with connect() as connection:
            if method is Method.SNAPSHOT:
                connection.execute("CHECKPOINT")  # keeps the replay at the clone's start short
                redo = connection.execute(
                    "SELECT pg_walfile_name(redo_lsn) FROM pg_control_checkpoint()"
                ).fetchone()
                assert redo is not None
                _snapshot(source, unfinished)
                _set_old_wal_aside(unfinished, redo[0], account)
                for name in ("postmaster.pid", "postmaster.opts"):
                    (unfinished / name).unlink(missing_ok=True)
                for slot in (unfinished / "pg_replslot").iterdir():  # would keep the copy's WAL for ever
                    shutil.rmtree(slot)
            else:
                make_directory(unfinished, method, account)
                _backup(connection, source, unfinished, method, account)
    except BaseException:
        remove_directory(unfinished)  # what a full disk needs first
        raise
    unfinished.rename(target)


def size_of(directory: Path) -> int:
    """Returns the bytes on disk of a data directory that may be changing.

    Args:
        directory: The data directory.
    """
    total = 0
    for entry in os.scandir(directory):
        with contextlib.suppress(FileNotFoundError):
            if entry.is_dir(follow_symlinks=False):
                total += size_of(Path(entry.path))
            else:
                total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


def copy_resting(source: Path, target: Path, method: Method, account: Account) -> None:
    """Copies a data directory that nothing runs on.

    Args:
        source: The data directory.
        target: The copy; must not exist.
        method: The rung that `probe` found.
        account: Owner of the files.
    """
    if method is Method.SNAPSHOT:
        _snapshot(source, target)
        return
    make_directory(target, method, account)
    for entry in os.scandir(source):
        path = target / entry.name
        if entry.is_dir():
            copy_resting(Path(entry.path), path, method, account)
        else:
            _copy_file(Path(entry.path), path, method, account)


def probe(directory: Path) -> Method:
    """Returns the best rung that works in a directory, found by doing it.

    Args:
        directory: Where data directories will be.
    """
    trial = directory / f".probe-{uuid.uuid4().hex}"
    snapshot = trial.with_name(trial.name + "-snapshot")
    try:
        _btrfs(_BTRFS_SUBVOL_CREATE, trial.parent, trial.name)
        _snapshot(trial, snapshot)
    except OSError:
        pass
    else:
        return Method.SNAPSHOT
    finally:
        remove_directory(snapshot)
        remove_directory(trial)
    trial.write_bytes(b"x" * 65536)
    try:
        _copy_file(trial, snapshot, Method.REFLINK, Account(None, None, None))
    except OSError:
        return Method.COPY
    else:
        return Method.REFLINK
    finally:
        trial.unlink()
        snapshot.unlink(missing_ok=True)
