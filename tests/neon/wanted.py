"""The branch that the tests ask for, and what must be true of it."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from kardinal_infra.databases.neon.spec import BranchSpec, BranchView
from tests.neon.fake import MAIN, PARENT_PASSWORD, PROJECT, FakeNeon

Item = TypeVar("Item")

OURS = {"kardinal-stack": "organization/kardinal/dev", "kardinal-flow": "dev", "kardinal-database": "votes"}
SPEC = BranchSpec(
    project=PROJECT,
    name="kardinal/voting/dev/votes",
    database="votes",
    role="votes_owner",
    annotations=OURS,
    parent="main",
    ttl="24h",
)


def replace(item: Item, **changes: Any) -> Item:
    """`dataclasses.replace`, for requests, specifications and their parts too."""
    if isinstance(item, BaseModel):
        return type(item)(**{**dict(item), **changes})
    replaced: Item = dataclasses.replace(cast(Any, item), **changes)
    return replaced


def password(view: BranchView) -> str:
    assert view.connection is not None
    return view.connection.password.get_secret_value()


def assert_exactly_one_branch_of_ours(neon: FakeNeon, view: BranchView) -> None:
    assert [branch["id"] for branch in neon.named(SPEC.name)] == [view.branch.id]
    assert len(neon.branches) == 2
    assert view.branch.parent_id == MAIN
    assert view.endpoint is not None
    assert view.connection is not None
    endpoints = [e for e in neon.endpoints.values() if e["branch_id"] == view.branch.id]
    assert [e["host"] for e in endpoints] == [view.connection.host]
    # The password is the branch's own, and production's was left alone.
    assert password(view) == neon.passwords[view.branch.id, "votes_owner"] != PARENT_PASSWORD
    assert neon.passwords[MAIN, "votes_owner"] == PARENT_PASSWORD
    assert neon.branches[view.branch.id]["expires_at"] is not None
