"""Points in time: the default branch's past, kept as base copies and all WAL since the oldest of them.

PostgreSQL's own way ("Point-in-Time Recovery"): a copy of an older base is started with the WAL of the branch
up to the moment that is asked for. A replication slot keeps that WAL where it is, so no archiver runs. The
price is one copy of the data for each base, nothing where copies share blocks, and the disk of the WAL.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from kardinal_neon_local import sql
from kardinal_neon_local.cloning import Method
from kardinal_neon_local.errors import ApiError
from kardinal_neon_local.identifiers import now, rfc3339
from kardinal_neon_local.records import Base, Branch
from kardinal_neon_local.service import Service

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_BASES_PER_WINDOW = 4
DEFAULT_WINDOW = 86400.0
"""Seconds: as in a new project of Neon's."""


@dataclass(frozen=True)
class Moment:
    """A point in the past; exactly one of the fields is set."""

    lsn: str | None = None
    timestamp: datetime | None = None

    @classmethod
    def of(cls, lsn: str | None, timestamp: datetime | str | None, prefix: str = "") -> Moment | None:
        """Reads the moment that a caller asks for; None is the present.

        Args:
            lsn: Such as `0/1DE2850`.
            timestamp: A moment; as text in RFC 3339.
            prefix: Of the parameters' names in messages.

        Raises:
            ApiError: 400 if both are given, or one is malformed.
        """
        if lsn is not None and timestamp is not None:
            raise ApiError(400, f"{prefix}lsn and {prefix}timestamp cannot be given together")
        if lsn is not None and _LSN.fullmatch(lsn) is None:
            raise ApiError(400, f"{prefix}lsn must look like 0/1DE2850: {lsn}")
        if isinstance(timestamp, str):
            try:
                timestamp = datetime.fromisoformat(timestamp)
            except ValueError:
                raise ApiError(400, f"{prefix}timestamp is no RFC 3339 timestamp: {timestamp}") from None
        if timestamp is not None and timestamp.tzinfo is None:
            raise ApiError(400, f"{prefix}timestamp needs a time zone: {timestamp.isoformat()}")
        return None if lsn is None and timestamp is None else cls(lsn, timestamp)

    @classmethod
    def load(cls, arguments: dict[str, str]) -> Moment | None:
        """Reads what `save` has written into an operation's arguments.

        Args:
            arguments: The arguments.
        """
        return cls.of(arguments.get("at_lsn"), arguments.get("at_timestamp"))

    def save(self) -> dict[str, str]:
        """Returns it as arguments of an operation."""
        if self.timestamp is not None:
            return {"at_timestamp": self.timestamp.isoformat()}
        return {"at_lsn": self.lsn or ""}

    def options(self) -> dict[str, str]:
        """Returns PostgreSQL's recovery target: everything before this moment and nothing after it."""
        if self.timestamp is not None:
            return {"recovery_target_time": self.timestamp.isoformat(sep=" ")}
        return {"recovery_target_lsn": self.lsn or "", "recovery_target_inclusive": "off"}

    def follows(self, base: Base) -> bool:
        """Says whether it can be reached from a base.

        Args:
            base: The base.
        """
        if self.timestamp is not None:
            return base.finished_at <= self.timestamp
        return number(base.finished_lsn) <= number(self.lsn or "")


def number(lsn: str) -> int:
    """Returns an LSN as a count of bytes.

    Args:
        lsn: Such as `0/1DE2850`.
    """
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def window(service: Service) -> float:
    """Returns the seconds that are kept; 0 means no history.

    Args:
        service: The service.
    """
    if service.settings.history is not None:
        return service.settings.history
    return 0 if service.method is Method.COPY else DEFAULT_WINDOW


def bases(service: Service, branch: Branch) -> list[Base]:
    """Lists the base copies of a branch's present data directory, oldest first.

    Args:
        service: The service.
        branch: The branch.
    """
    return [base for base in service.store.every(Base) if base.source == branch.directory]


async def require(service: Service, branch: Branch, moment: Moment) -> Base:
    """Finds the base from which a moment of a branch can be reached.

    Args:
        service: The service.
        branch: The branch.
        moment: The moment.

    Raises:
        ApiError: 422 if it is not kept; says what is.
    """
    found = bases(service, branch)
    if not found:
        reason = "only default branches keep history" if window(service) else "history is off: see --history"
        raise ApiError(422, f"branch {branch.id} keeps no history ({reason}): ask for its present state")
    position = await service.instances.execute(branch, sql.position)
    future = (
        moment.timestamp > now()
        if moment.timestamp is not None
        else number(moment.lsn or "") > number(position)
    )
    if future:
        raise ApiError(422, f"the moment is in the future of branch {branch.id}, which is at LSN {position}")
    reachable = [base for base in found if moment.follows(base)]
    if not reachable:
        first = found[0]
        # Whole seconds upwards, so that what the message names can be asked for.
        since = rfc3339(first.finished_at + timedelta(seconds=1))
        raise ApiError(
            422,
            f"branch {branch.id} keeps history since {since} (LSN {first.finished_lsn}), not further back",
        )
    return reachable[-1]


async def clone_at(service: Service, source: Branch, target: Branch, moment: Moment | None) -> str | None:
    """Copies a branch's data directory as it is or as it was; the source stays online.

    Args:
        service: The service.
        source: The branch that is copied.
        target: The branch to be made.
        moment: Of the past; None for the present.

    Returns:
        The LSN of a moment in the past; None for the present.

    Raises:
        ApiError: 422 if the moment is not kept.
        LocalNeonError: If PostgreSQL cannot reach it.
    """
    if moment is None:
        await service.instances.clone(source, target)
        return None
    base = await require(service, source, moment)
    await service.instances.execute(source, sql.close_segment)
    await service.instances.rewind(source, service.history / base.id, target, moment.options())
    return service.instances.fork_position(target)


@contextlib.asynccontextmanager
async def visiting(service: Service, branch: Branch, moment: Moment | None) -> AsyncIterator[Branch]:
    """Gives a branch as it was, for as long as the block lasts; for the present the branch itself.

    Args:
        service: The service.
        branch: The branch.
        moment: Of the past; None for the present.
    """
    if moment is None:
        yield branch
        return
    slot = service.next_slot()
    visited = branch.model_copy(update={"directory": f"{branch.id}.visit-{slot}", "slot": slot})
    try:
        await clone_at(service, branch, visited, moment)
        yield visited
    finally:
        await service.instances.remove(visited.directory)


async def tend(service: Service) -> None:
    """Takes new bases, and gives up those that are over or whose branch is no default branch any more.

    Args:
        service: The service.
    """
    keepers = {}
    for branch in service.store.every(Branch):
        if branch.default and branch.deleted_at is None and window(service):
            keepers[branch.directory] = branch
    for base in [*service.store.every(Base)]:
        if base.source not in keepers:
            await _give_up(service, base)
    for branch in keepers.values():
        if branch.current_state == "ready" and service.instances.running(branch):
            await _tend_branch(service, branch)


async def _tend_branch(service: Service, branch: Branch) -> None:
    kept = bases(service, branch)
    period = timedelta(seconds=window(service) / _BASES_PER_WINDOW)
    if not kept or kept[-1].finished_at + period < now():
        position = await service.instances.execute(branch, sql.position)
        if not kept or position != kept[-1].finished_lsn:
            await _take(service, branch)
            kept = bases(service, branch)
    begin = now() - timedelta(seconds=window(service))
    old = [base for base, later in pairwise(kept) if later.finished_at <= begin]
    for base in old:
        await _remove(service, base)
    if old:
        start = kept[len(old)].start_lsn
        await service.instances.execute(branch, lambda c: sql.keep_wal(c, start))


async def _take(service: Service, branch: Branch) -> None:
    start = await service.instances.execute(branch, sql.reserve_wal)
    identifier = f"{branch.directory}.{service.store.next_number('base', 1)}"
    await service.instances.copy_to(branch, service.history / identifier)
    position, moment = await service.instances.execute(branch, sql.position_and_time)
    base = Base(
        id=identifier,
        branch_id=branch.id,
        source=branch.directory,
        start_lsn=start,
        finished_lsn=position,
        finished_at=moment,
    )
    service.store.change(base)


async def _give_up(service: Service, base: Base) -> None:
    for branch in service.store.every(Branch):
        if branch.directory == base.source:  # it lives on, for example under another name
            await service.instances.execute(branch, sql.release_wal)
    await _remove(service, base)


async def _remove(service: Service, base: Base) -> None:
    await service.instances.remove_copy(service.history / base.id)
    service.store.change(remove=(base,))
