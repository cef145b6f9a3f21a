"""Copies of SQLite files: made, found by their marks, and removed."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote

from kardinal_infra.errors import BranchingError, OwnershipError
from kardinal_infra.model.base import ConfigReader

VARIABLE = "KARDINAL_FOLDERS_ROOT"
CONFIG = "kardinal:foldersRoot"


@dataclass(frozen=True)
class Folder:
    """A folder with databases and, below `branches`, their copies.

    Attributes:
        path: Where it is.
    """

    path: Path

    @classmethod
    def of(cls, project: str, config: ConfigReader) -> Folder:
        """Finds the folder of a project below the root, which the environment or the stack's config names."""
        root = os.environ.get(VARIABLE) or config(CONFIG)
        if not root:
            raise BranchingError(
                f"no folder of databases: set {VARIABLE} or `pulumi config set --secret {CONFIG}`"
            )
        return cls(Path(root) / project)

    def file(self, name: str) -> Path:
        """The file of a branch."""
        return self.path / "branches" / f"{quote(name, safe='')}.db"

    def make(self, name: str, parent: str, annotations: Mapping[str, str]) -> bool:
        """Copies a database or a branch, or adopts the copy that an earlier run left; says which."""
        file = self.file(name)
        if self.owned_by(name, annotations):
            return True
        source = self.file(parent) if self.file(parent).exists() else self.path / f"{parent}.db"
        if not source.is_file():
            raise BranchingError(f"there is no database and no branch {parent!r} in {self.path}")
        file.parent.mkdir(exist_ok=True)
        # Under its own name only when it is whole and marked: whatever has that name is somebody's branch.
        begun = file.with_suffix(f".{os.getpid()}")
        with closing(_opened(source)) as data, closing(sqlite3.connect(begun)) as copy:
            data.backup(copy)
            copy.execute("DROP TABLE IF EXISTS kardinal")
            copy.execute("CREATE TABLE kardinal (marks TEXT NOT NULL)")
            copy.execute("INSERT INTO kardinal VALUES (?)", [json.dumps(dict(annotations))])
            copy.commit()
        begun.rename(file)
        return False

    def marks(self, name: str) -> dict[str, str] | None:
        """The marks of a branch; None when there is none of this name."""
        file = self.file(name)
        if not file.exists():
            return None
        with closing(_opened(file)) as copy:
            return dict(json.loads(copy.execute("SELECT marks FROM kardinal").fetchone()[0]))

    def owned_by(self, name: str, annotations: Mapping[str, str]) -> bool:
        """Says whether there is such a branch of this owner; somebody else's is an error."""
        marks = self.marks(name)
        if marks is not None and marks != annotations:
            owner = ", ".join(f"{key}={value}" for key, value in sorted(marks.items()))
            raise OwnershipError(f"the branch {name!r} exists and belongs to {owner}: choose another name")
        return marks is not None

    def remove(self, name: str, annotations: Mapping[str, str]) -> bool:
        """Removes a branch of this owner; says whether there was one."""
        if self.marks(name) != annotations:
            return False
        self.file(name).unlink()
        return True

    def branches(self) -> Iterator[tuple[str, dict[str, str], datetime]]:
        """All branches: name, marks, and when they were made."""
        for file in sorted(self.path.glob("branches/*.db")):
            name = unquote(file.stem)
            if marks := self.marks(name):
                yield name, marks, datetime.fromtimestamp(file.stat().st_mtime, UTC)


def _opened(file: Path) -> sqlite3.Connection:
    """Opens a database to read it, and makes none where there is none."""
    return sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)
