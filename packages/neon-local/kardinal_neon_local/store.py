"""The service's memory: everything in dictionaries, written through to one SQLite file.

Used from the event loop only, so a change and its write are one step for everybody else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from kardinal_neon_local.records import (
    Base,
    Branch,
    Database,
    Endpoint,
    Masking,
    Operation,
    Project,
    Record,
    Role,
)

_KINDS: tuple[type[Record], ...] = (
    Project,
    Branch,
    Endpoint,
    Role,
    Database,
    Masking,
    Base,
    Operation,
)
_SCHEMA_VERSION = "1"
_KEPT_OPERATIONS = 2000

R = TypeVar("R", bound=Record)


class Store:
    """All records by kind and key.

    Args:
        path: The SQLite file; created with mode 0600 because it holds role passwords.
    """

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        path.chmod(0o600)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS records"
            " (kind TEXT, key TEXT, document TEXT NOT NULL, PRIMARY KEY (kind, key))"
        )
        self.meta("schema", _SCHEMA_VERSION)
        self._records: dict[str, dict[str, Record]] = {kind.kind: {} for kind in _KINDS}
        for kind in _KINDS:
            rows = self._db.execute(
                "SELECT document FROM records WHERE kind = ? ORDER BY rowid", (kind.kind,)
            )
            for (document,) in rows.fetchall():
                record = kind.model_validate_json(document)
                self._records[kind.kind][record.key] = record

    def meta(self, name: str, default: str) -> str:
        """Returns a setting of the store itself, written when it is asked for the first time.

        Args:
            name: Its name.
            default: Its first value.
        """
        self._db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, default))
        value: str = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0]
        return value

    def next_number(self, name: str, first: int) -> int:
        """Returns the next value of a counter that never goes back.

        Args:
            name: Its name.
            first: Where it starts.
        """
        value = int(self.meta(name, str(first)))
        self._db.execute("UPDATE meta SET value = ? WHERE name = ?", (str(value + 1), name))
        return value

    def change(self, *save: Record, remove: tuple[Record, ...] = ()) -> None:
        """Removes and then saves records in one transaction.

        Args:
            save: Records that are new or have changed.
            remove: Records that go.
        """
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for record in remove:
                self._db.execute("DELETE FROM records WHERE kind = ? AND key = ?", (record.kind, record.key))
            for record in save:
                self._db.execute(
                    "INSERT INTO records VALUES (?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET document = excluded.document",
                    (record.kind, record.key, record.model_dump_json()),
                )
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        for record in remove:
            self._records[record.kind].pop(record.key, None)
        for record in save:
            self._records[record.kind][record.key] = record

    def get(self, kind: type[R], key: str) -> R | None:
        """Returns the record with this key, or None.

        Args:
            kind: Its kind.
            key: Its key.
        """
        record = self._records[kind.kind].get(key)
        return record if isinstance(record, kind) else None

    def every(self, kind: type[R]) -> Iterator[R]:
        """Gives all records of a kind in the order of their creation; safe against changes on the way.

        Args:
            kind: The kind.
        """
        for record in list(self._records[kind.kind].values()):
            if isinstance(record, kind):
                yield record

    def branches(self, project_id: str, *, deleted: bool = False) -> list[Branch]:
        """Lists the branches of a project.

        Args:
            project_id: Id of the project.
            deleted: Whether those that can still be recovered are among them.
        """
        return [
            b for b in self.every(Branch) if b.project_id == project_id and (deleted or b.deleted_at is None)
        ]

    def endpoints(self, branch_id: str) -> list[Endpoint]:
        """Lists the endpoints of a branch.

        Args:
            branch_id: Id of the branch.
        """
        return [e for e in self.every(Endpoint) if e.branch_id == branch_id]

    def roles(self, branch_id: str) -> list[Role]:
        """Lists the roles of a branch.

        Args:
            branch_id: Id of the branch.
        """
        return [r for r in self.every(Role) if r.branch_id == branch_id]

    def databases(self, branch_id: str) -> list[Database]:
        """Lists the databases of a branch.

        Args:
            branch_id: Id of the branch.
        """
        return [d for d in self.every(Database) if d.branch_id == branch_id]

    def operations(self, project_id: str) -> list[Operation]:
        """Lists the operations of a project, oldest first.

        Args:
            project_id: Id of the project.
        """
        return [o for o in self.every(Operation) if o.project_id == project_id]

    def forget_old_operations(self, project_id: str) -> None:
        """Keeps the list of finished operations bounded.

        Args:
            project_id: Id of the project.
        """
        done = [o for o in self.operations(project_id) if not o.pending]
        if len(done) > _KEPT_OPERATIONS:
            self.change(remove=tuple(done[: len(done) - _KEPT_OPERATIONS // 2]))

    def close(self) -> None:
        """Closes the file."""
        self._db.close()
