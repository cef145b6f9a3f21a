"""What the dynamic providers of all backends do alike: whatever a preview calls, which asks nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from pulumi.dynamic import CheckFailure, CheckResult, DiffResult

from kardinal_infra.databases.branch_inputs import Input, replacing
from kardinal_infra.engine.dynamic import Provider, is_unknown, one_line_errors

Props = dict[str, Any]


class Inputs(Protocol):
    """A backend's module `inputs`.

    Attributes:
        INPUTS: What its resource declares.
    """

    INPUTS: dict[str, Input]

    def problems(
        self, props: Mapping[str, Any], unknown: Callable[[object], bool], now: datetime
    ) -> list[tuple[str, str]]:
        """Lists everything that is wrong with the inputs, as (property, reason)."""
        ...

    def changed(self, olds: Mapping[str, Any], news: Mapping[str, Any], now: datetime) -> list[str]:
        """Lists the properties that an update has to bring into effect."""
        ...


class BranchProvider(Provider):
    """Base of the branch providers.

    Attributes:
        inputs: What the backend says of its resource's inputs.
    """

    inputs: Inputs

    def utc_now(self) -> datetime:
        """Returns the time of day."""
        return datetime.now(UTC)

    def check(self, _olds: Props, news: Props) -> CheckResult:
        """Validates the inputs, all of them at once and offline.

        Args:
            _olds: Inputs of the last update.
            news: Wanted inputs; those that are not known yet hold a marker and pass.
        """
        problems = self.inputs.problems(news, is_unknown, self.utc_now())
        return CheckResult(news, [CheckFailure(name, reason) for name, reason in problems])

    @one_line_errors
    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """Says what an update would do. A branch name is unique, so a replacement deletes first.

        Args:
            _id: Id of the resource.
            _olds: State.
            _news: Checked inputs.
        """
        now = self.utc_now()
        changes = self.inputs.changed(_olds, _news, now)
        unknown = {name for name, value in _news.items() if is_unknown(value)}
        replaces = replacing(self.inputs.INPUTS, _olds, changes, unknown, now)
        return DiffResult(
            changes=bool(changes or replaces), replaces=replaces, delete_before_replace=bool(replaces)
        )
