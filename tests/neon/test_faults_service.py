"""Many seeded schedules of faults and crashes on the real service over real PostgreSQL.

`python -m tests.neon.faults --seed N` runs one of them again and tells what was done to which call.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import httpx
import pytest

from kardinal_infra.databases.neon import http
from kardinal_infra.databases.neon.branch import ensure_branch
from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.removal import remove_branch
from kardinal_infra.databases.neon.settings import resolve_settings
from kardinal_infra.databases.neon.spec import BranchSpec
from kardinal_neon_local.testing.server import KEY, PROJECT, Server
from tests.depth import depth
from tests.neon.faults.injector import BUSY, UNKNOWN, USELESS
from tests.neon.faults.schedules import schedule
from tests.neon.faults.wire import wire_to
from tests.neon.faults.workers import run_all
from tests.neon.wanted import OURS

SEEDS: Sequence[int] = depth((*range(100), 139, 178), range(500))
"""Numbers 139 and 178 meet the rarest fault, which the first hundred do not."""

WORKERS = 3
"""One more than the cores: a schedule waits half of its time."""


@pytest.mark.postgres
def test_every_schedule_ends_with_exactly_the_wanted_branches(capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    outcome = run_all(SEEDS, WORKERS)
    with capsys.disabled():
        print(f"\n{outcome} in {time.monotonic() - started:.0f} s")
    assert not outcome.failures, "\n\n".join(outcome.failures)
    assert outcome.schedules == len(SEEDS)
    # The schedules did what they are for.
    assert outcome.steps["crashed"] > len(SEEDS) / 4
    assert outcome.steps["failed"] > len(SEEDS) / 20
    assert {*BUSY, *UNKNOWN, *USELESS, "crash", "the parent's URI", "a list that lags"} <= {*outcome.hits}


def test_a_seed_says_everything_about_its_schedule() -> None:
    assert str(schedule(7, PROJECT)) == str(schedule(7, PROJECT)) != str(schedule(8, PROJECT))


@pytest.mark.postgres
@pytest.mark.parametrize("how", ["reset before", "reset after", "cut", "silence", "page"])
def test_answers_spoiled_on_the_wire_leave_one_branch(
    service: Server, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """What the schedules only raise, a real connection does as well."""
    monkeypatch.setattr(http, "TIMEOUT", httpx.Timeout(3.0))
    before = {branch["id"] for branch in service.get("/branches")["branches"]}
    spec = BranchSpec(
        project=PROJECT,
        name="kardinal/shop/wire/votes",
        database="votes",
        role="votes_owner",
        annotations=OURS,
    )
    hit = {"POST": 1, "PATCH": 1, "DELETE": 1}

    def spoil(line: str) -> str:
        method = line.partition(" ")[0]
        hit[method] = hit.get(method, 0) - 1
        return how if hit[method] == 0 else ""

    with wire_to(service.port) as wire:
        wire.spoil = spoil
        settings = resolve_settings(environment={"NEON_API_KEY": KEY, "NEON_API_HOST": wire.url})
        with NeonClient(settings) as client:
            view = ensure_branch(client, spec)
            named = service.get("/branches", search=spec.name)["branches"]
            assert [branch["id"] for branch in named] == [view.branch.id]
            assert view.adopted is False
            remove_branch(client, PROJECT, view.branch.id)
        assert [line.partition(" ")[0] for line in wire.spoiled] == ["POST", "DELETE"]
    assert {branch["id"] for branch in service.get("/branches")["branches"]} == before
