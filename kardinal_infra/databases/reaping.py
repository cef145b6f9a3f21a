"""`reap`: deletes the branches that nobody will delete any more.

`pulumi destroy` deletes what its stack made. What is left over is the branches of stacks that were removed by
force, of updates that were killed and never repeated, and those whose time is over where the backend does not
delete them itself. Three things prove that a branch is such a one: its marks, the list of stacks, and the
states of the stacks. Where one of them cannot be read, or leaves a doubt, the branch stays:

* A stack that is missing proves nothing when this state backend holds no stack of its project at all: it is
  then more likely the wrong state backend.
* A branch that any stack's state holds is in use, whatever its mark says: renamed stacks keep their branches.
* A branch that its stack does not know may be one that an update is just making. So the stack must have no
  operation under way or interrupted, and both the branch and the stack's last change must be older than a
  grace period: self-managed state backends tell nobody that an update runs.
* Before each deletion everything is read again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from kardinal_infra.databases.branching import BranchingBackend
from kardinal_infra.databases.owned import OwnedBranch
from kardinal_infra.errors import KardinalError

GRACE = timedelta(hours=1)
"""Longer than any update takes."""


@dataclass(frozen=True)
class StackView:
    """What a state backend tells about one stack.

    Attributes:
        changed_at: When its state was last written; None: never, or not known.
        busy: An update runs, or one was interrupted and left operations whose outcome its state does not
            know.
        holds: Ids of all resources in its state.
    """

    changed_at: datetime | None = None
    busy: bool = False
    holds: frozenset[str] = frozenset()


Stacks = Mapping[str, StackView]
"""All stacks of a state backend, by `organization/project/stack`."""


class StackSource(Protocol):
    """Reads the stacks of a state backend."""

    def read(self) -> Stacks:
        """Returns all stacks with their states, as they are now.

        Raises:
            KardinalError: One of them cannot be read.
        """
        ...


class Action(StrEnum):
    """What is to be done about a branch.

    Attributes:
        DELETE: Nobody will delete it any more.
        LEAVE: The same, but something speaks against its deletion that a person has to look at.
        KEEP: It is in use, or may be.
    """

    DELETE = "delete"
    LEAVE = "leave"
    KEEP = "keep"


@dataclass(frozen=True)
class Verdict:
    """A decision with its reason, a sentence without capital and full stop."""

    action: Action
    reason: str


@dataclass(frozen=True)
class Target:
    """Where branches are looked for.

    Attributes:
        backend: The branching backend.
        project: In its words; for Neon a project id or name.
    """

    backend: BranchingBackend
    project: str


@dataclass(frozen=True)
class Finding:
    """A branch and what has become of it.

    Attributes:
        backend: The branching backend.
        branch: The branch.
        verdict: What was decided.
        done: `deleted`, `gone` (it was already), `changed` (it is no longer to be deleted), or `failed`; None
            when nothing was done.
        error: Why it failed.
    """

    backend: BranchingBackend
    branch: OwnedBranch
    verdict: Verdict
    done: str | None = None
    error: str | None = None


def decide(
    branch: OwnedBranch,
    stacks: Stacks,
    now: datetime,
    *,
    grace: timedelta = GRACE,
    only_project: str | None = None,
) -> Verdict:
    """Decides about one branch. Pure.

    Args:
        branch: The branch.
        stacks: All stacks of the state backend.
        now: The present time, aware.
        grace: Age below which a branch without a stack stays.
        only_project: Pulumi project whose branches are looked at; None: all of them.
    """
    stale = _stale(branch, stacks, now, grace, only_project)
    if stale.action is not Action.DELETE:
        return stale
    if branch.default:
        return Verdict(Action.LEAVE, f"{stale.reason}, but it is the default branch")
    if branch.protected:
        return Verdict(Action.LEAVE, f"{stale.reason}, but it is protected")
    if branch.children:
        return Verdict(
            Action.LEAVE,
            f"{stale.reason}, but others were made from it: {', '.join(sorted(branch.children))}",
        )
    return stale


def _stale(
    branch: OwnedBranch, stacks: Stacks, now: datetime, grace: timedelta, only_project: str | None
) -> Verdict:
    parts = branch.stack.split("/")
    if len(parts) != 3 or not all(parts):
        return Verdict(Action.KEEP, f"{branch.stack!r} names no stack")
    if only_project is not None and parts[1] != only_project:
        return Verdict(Action.KEEP, f"of project {parts[1]}")
    own = stacks.get(branch.stack)
    holders = sorted(name for name, stack in stacks.items() if branch.branch_id in stack.holds)
    for name in holders if own is None else [branch.stack, *holders]:
        if stacks[name].busy:
            return Verdict(Action.KEEP, f"an update of {name} runs or was interrupted")
    if branch.expires_at is not None and branch.expires_at <= now:
        return Verdict(Action.DELETE, "its time is over")
    if holders:
        return Verdict(Action.KEEP, "in use" if branch.stack in holders else f"in use by {holders[0]}")
    siblings = "/".join(parts[:2]) + "/"
    if not any(name.startswith(siblings) for name in stacks):
        return Verdict(Action.KEEP, f"this state backend holds no stack of {'/'.join(parts[:2])}")
    if branch.created_at is None:
        return Verdict(Action.KEEP, "its age is not known")
    if own is None:
        if now - branch.created_at < grace:
            return Verdict(Action.KEEP, "its stack is gone, but it is young")
        return Verdict(Action.DELETE, "its stack is gone")
    if own.changed_at is None or now - max(branch.created_at, own.changed_at) < grace:
        return Verdict(Action.KEEP, "its stack does not know it, but one of them is young")
    return Verdict(Action.DELETE, "its stack does not know it")


class Reaper:
    """Finds the branches that nobody will delete any more, and deletes them.

    Args:
        targets: Where to look.
        stacks: The state backend.
        config: The configuration of a stack, by `namespace:key`, for the databases' credentials.
        now: Tells the present time, aware.
        grace: Age below which a branch without a stack stays.
        only_project: Pulumi project whose branches are looked at; None: all of them.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        stacks: StackSource,
        config: Callable[[str], str | None],
        now: Callable[[], datetime],
        *,
        grace: timedelta = GRACE,
        only_project: str | None = None,
    ) -> None:
        self._targets = targets
        self._stacks = stacks
        self._config = config
        self._now = now
        self._grace = grace
        self._only_project = only_project

    def find(self) -> list[Finding]:
        """Looks, and deletes nothing.

        Returns:
            Every branch that carries our marks, by target and name.

        Raises:
            KardinalError: The branches or the stacks cannot be read.
        """
        found = [
            (target.backend, branch)
            for target in self._targets
            for branch in sorted(
                target.backend.owned(target.project, self._config), key=lambda branch: branch.name
            )
        ]
        # Read after the branches: a branch that an update makes meanwhile cannot look forgotten.
        stacks = self._stacks.read() if found else {}
        return [Finding(backend, branch, self._judge(branch, stacks)) for backend, branch in found]

    def delete(self, finding: Finding) -> Finding:
        """Deletes a branch that `find` has condemned, unless that is no longer true.

        Args:
            finding: What `find` said; with another verdict it is handed back as it is.

        Returns:
            What was done, failures among it: one branch does not keep the others from their deletion.
        """
        if finding.verdict.action is not Action.DELETE:
            return finding
        latest = [finding.verdict]

        def still(branch: OwnedBranch) -> bool:
            latest.append(self._judge(branch, self._stacks.read()))
            return latest[-1].action is Action.DELETE

        try:
            deleted = finding.backend.remove(finding.branch, self._config, still)
        except KardinalError as error:
            return replace(finding, done="failed", error=str(error))
        if deleted:
            return replace(finding, done="deleted")
        if latest[-1].action is not Action.DELETE:
            return replace(finding, verdict=latest[-1], done="changed")
        return replace(finding, done="gone")

    def _judge(self, branch: OwnedBranch, stacks: Stacks) -> Verdict:
        return decide(branch, stacks, self._now(), grace=self._grace, only_project=self._only_project)
