"""Whether anybody will still delete a branch. Pure.

Where something leaves a doubt, the branch stays:

* A stack that is missing proves nothing when this state backend holds no stack of its project at all: it is
  then more likely the wrong state backend.
* A branch that any stack's state holds is in use, whatever its mark says: renamed stacks keep their branches.
* A branch that its stack does not know may be one that an update is just making. So the stack must have no
  operation under way or interrupted, and both the branch and the stack's last change must be older than a
  grace period: self-managed state backends tell nobody that an update runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from kardinal_infra.databases.owned import OwnedBranch

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
    ids = {branch.branch_id, *branch.other_ids}
    holders = sorted(name for name, stack in stacks.items() if ids & stack.holds)
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
