"""Every error of this package, in one tree, so that `except KardinalError` catches all of them.

* KardinalError
  x ConfigError                 what the user wrote, or what is on the cluster, cannot work; all problems
  x ClusterError                the cluster cannot be read
  x OutputsError                another stack cannot be read, exports too little, or is too old
  x ProbeError                  a finished flow does not answer as it should
  x BranchingError              a database branch cannot be made, read or removed
    - OwnershipError            a branch with our name belongs to somebody else
    - ...                       those of a backend, in `kardinal_infra.databases.<backend>.errors`

A backend's own errors stand beside it, because only it knows them: whoever deals with a failed branch catches
`BranchingError`, and needs a backend's classes only to tell its failures apart.

No message holds a secret: the raisers remove keys and passwords before they build one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field


class KardinalError(Exception):
    """Base of all errors; its text is one clear message for the user."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: Where, e.g. `kardinal:flow.services.web.image`.
        message: What, and what to do about it.
        unread: The value there could not be read; whatever later checks say of it is said of a stand-in.
    """

    path: str
    message: str
    unread: bool = field(default=False, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message

    def places(self) -> Iterator[str]:
        """Yields its path, and that of every value which it is in."""
        yield self.path
        yield from (self.path[: found.start()] for found in re.finditer(r"[.\[]", self.path))


class ConfigError(KardinalError):
    """Bad input: all problems at once, sorted, one per line.

    Args:
        problems: At least one; duplicates are dropped, and what is said of a value that could not be read
            beside that it could not.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(_told_once(set(problems))))
        if not self.problems:
            raise ValueError("a ConfigError needs at least one problem")
        super().__init__("\n".join(map(str, self.problems)))


def _told_once(problems: Collection[Problem]) -> Iterator[Problem]:
    unread = {problem.path for problem in problems if problem.unread}
    for problem in problems:
        if problem.unread or unread.isdisjoint(problem.places()):
            yield problem


class ClusterError(KardinalError):
    """The cluster cannot be reached or may not be read."""


class OutputsError(KardinalError):
    """Another stack does not exist, exports no such output, or exports one of another version."""


class ProbeError(KardinalError):
    """A URL did not answer as it must, within its time."""


class BranchingError(KardinalError):
    """A database branch could not be made, read or removed."""


class OwnershipError(BranchingError):
    """A branch with the wanted name exists and was not made by this stack."""
