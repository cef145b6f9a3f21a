"""`reap`: deletes the branches that nobody will delete any more.

`pulumi destroy` deletes what its stack made. What is left over is the branches of stacks that were removed by
force, of updates that were killed and never repeated, and those whose time is over where the backend does not
delete them itself. Three things prove that a branch is such a one: its marks, the list of stacks, and the
states of the stacks. Where one of them cannot be read nothing is deleted, and before each deletion everything
is read again. `kardinal_infra.databases.staleness` decides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from kardinal_infra.databases.owned import OwnedBranch
from kardinal_infra.databases.staleness import GRACE, Action, Stacks, Verdict, decide
from kardinal_infra.errors import KardinalError
from kardinal_infra.model.base import ConfigReader


class StackSource(Protocol):
    """Reads the stacks of a state backend."""

    def read(self) -> Stacks:
        """Returns all stacks with their states, as they are now.

        Raises:
            KardinalError: One of them cannot be read.
        """
        ...


class Reapable(Protocol):
    """What is looked through: a `BranchingBackend`, or anything else whose objects name their stack."""

    @property
    def name(self) -> str:
        """Name in reports."""
        ...

    def owned(self, project: str, config: ConfigReader) -> list[OwnedBranch]:
        """As in `BranchingBackend`."""
        ...

    def remove(
        self,
        branch: OwnedBranch,
        config: ConfigReader,
        still: Callable[[OwnedBranch], bool],
    ) -> bool:
        """As in `BranchingBackend`."""
        ...


@dataclass(frozen=True)
class Target:
    """Where branches are looked for.

    Attributes:
        backend: Who is asked.
        project: In its words; for Neon a project id or name.
    """

    backend: Reapable
    project: str


@dataclass(frozen=True)
class Finding:
    """A branch and what has become of it.

    Attributes:
        backend: Who listed it.
        branch: The branch.
        verdict: What was decided.
        done: `deleted`, `gone` (it was already), `changed` (it is no longer to be deleted), or `failed`; None
            when nothing was done.
        error: Why it failed.
    """

    backend: Reapable
    branch: OwnedBranch
    verdict: Verdict
    done: str | None = None
    error: str | None = None


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
        config: ConfigReader,
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
        found: dict[tuple[str, str, str], tuple[Reapable, OwnedBranch]] = {}
        for target in self._targets:
            listed = target.backend.owned(target.project, self._config)
            for branch in sorted(listed, key=lambda branch: branch.name):
                # Once, even if its project is named both by name and by id.
                found.setdefault(
                    (target.backend.name, branch.project, branch.branch_id), (target.backend, branch)
                )
        # Read after the branches: a branch that an update makes meanwhile cannot look forgotten.
        stacks = self._stacks.read() if found else {}
        return [Finding(backend, branch, self._judge(branch, stacks)) for backend, branch in found.values()]

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


def reap(
    targets: Sequence[Target],
    stacks: StackSource,
    config: ConfigReader,
    *,
    agree: Callable[[Sequence[Finding]], bool] | None = None,
    grace: timedelta = GRACE,
    only_project: str | None = None,
) -> list[Finding]:
    """Finds the branches that nobody will delete any more, and deletes them when somebody agrees.

    Args:
        targets: Where to look.
        stacks: The state backend.
        config: The configuration of a stack, by `namespace:key`, for the databases' credentials.
        agree: Gets everything that was found and says whether to delete what is condemned. Default: no.
        grace: Age below which a branch without a stack stays.
        only_project: Pulumi project whose branches are looked at; None: all of them.

    Returns:
        Every branch that carries our marks, by target and name, with what was done.

    Raises:
        KardinalError: The branches or the stacks cannot be read; nothing was deleted.
    """
    reaper = Reaper(
        targets, stacks, config, lambda: datetime.now(UTC), grace=grace, only_project=only_project
    )
    findings = reaper.find()
    condemned = any(finding.verdict.action is Action.DELETE for finding in findings)
    if not (condemned and agree is not None and agree(findings)):
        return findings
    return [reaper.delete(finding) for finding in findings]
