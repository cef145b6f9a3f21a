"""One run of the churn on an adopted application: load, cycles, and what they leave."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterator

import httpx

from lab.demo_cluster import differences
from tests.e2e.churn.cycles import NAMES, Cycles
from tests.e2e.churn.load import CALLERS, TIMEOUT_SECONDS, Load, Places
from tests.e2e.churn.relay import relay
from tests.e2e.churn.verdict import Verdict
from tests.e2e.production import Production, domain_of

Say = Callable[[str], None]


def churn(production: Production, *, cycles: int, untagged: int, seed: int, say: Say) -> Verdict:
    """Runs it.

    Args:
        production: The application, without a flow of one of the churn's names.
        cycles: Flows that are created and destroyed, at least.
        untagged: Requests without a key that are sent meanwhile, at least.
        seed: Of the order.
        say: Takes lines for the person who watches.
    """
    verdict = Verdict(seed, cycles, untagged)
    started = time.monotonic()
    with _nothing_left(production, verdict), relay(production.cluster, production.namespace) as inside:
        places = Places(production.page.address, domain_of(production.namespace), inside)
        asyncio.run(_run(production, places, verdict, say))
    verdict.seconds = time.monotonic() - started
    return verdict


async def _run(production: Production, places: Places, verdict: Verdict, say: Say) -> None:
    rows = production.databases.rows("main", "option", "votes")
    dice = random.Random(verdict.seed)
    # Pulumi decides in other threads: the load's dice are its own, or the order would depend on its pace.
    limits = httpx.Limits(max_keepalive_connections=None)
    async with httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_SECONDS, limits=limits) as http:
        load = Load(http, places, rows, verdict, random.Random(verdict.seed))
        callers = [
            asyncio.create_task(load.stay(kind)) for kind, number in CALLERS.items() for _ in range(number)
        ]
        work = asyncio.create_task(Cycles(production, load, verdict, dice, say).run())
        try:
            await asyncio.wait([*callers, work], return_when=asyncio.FIRST_COMPLETED)
            # A caller ends only by a mistake of its own.
            for caller in callers:
                if caller.done():
                    caller.result()
            await work
        finally:
            work.cancel()
            for caller in callers:
                caller.cancel()
            await asyncio.gather(work, *callers, return_exceptions=True)


@contextlib.contextmanager
def _nothing_left(production: Production, verdict: Verdict) -> Iterator[None]:
    """Compares cluster, branches and production's rows before and after, and removes the empty stacks."""
    before, branches = production.objects(), production.databases.branches()
    rows, options = _rows(production)
    try:
        # All at once: Pulumi cannot list the stacks of a folder while another engine writes one.
        for name in NAMES:
            production.project.ensure_stack(name)
        yield
        verdict.left += differences(before, production.objects())
        verdict.left += sorted(f"branch {name}" for name in production.databases.branches().keys() - branches)
        if _rows(production) != (rows, options):
            verdict.left.append("production's rows are not what they were")
        verdict.left += [
            f"stack {name} with {number} resources"
            for name, number in production.project.stacks().items()
            if name in NAMES and number
        ]
    finally:
        for name in NAMES:
            production.remove_flow(name)


def _rows(production: Production) -> tuple[dict[str, int], dict[str, int]]:
    databases = production.databases
    return databases.votes("main"), databases.rows("main", "name", "options")
