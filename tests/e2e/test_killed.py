"""`pulumi up` killed at several moments: `cancel` and `up` converge, and `destroy` leaves nothing."""

import itertools
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.demo_cluster import differences
from tests.depth import depth
from tests.e2e.production import UP, Production

pytestmark = [pytest.mark.lab, pytest.mark.engine]

MOMENTS = depth(5, 10)
SEED = 20
FLOWS_AT_ONCE = 2
PROGRESS = (" creating", " created")


def test_every_killed_up_converges(production: Production, standing: str) -> None:
    last = 2 * production.project.stacks()[standing] - 4
    moments = sorted(random.Random(SEED).sample(range(1, last), MOMENTS))
    before, branches = production.objects(), production.databases.branches()

    with ThreadPoolExecutor(FLOWS_AT_ONCE) as pool:
        problems = [
            problem for found in pool.map(lambda at: _problems(production, at), moments) for problem in found
        ]

    assert not problems, "\n".join(problems)
    assert differences(before, production.objects()) == []
    assert production.databases.branches() == branches


def _problems(production: Production, moment: int) -> Iterator[str]:
    """Kills an `up` at its n-th sign of progress, and says what did not converge after it."""
    name = f"killed-{moment}"
    production.declare_flow(name)
    signs = itertools.count(1)
    seen = production.kill_up(
        name, lambda line: any(word in line for word in PROGRESS) and next(signs) == moment
    )
    again = production.project.pulumi(*UP, "-s", name, check=False)
    problems = []
    if again.code != 0:
        problems.append(f"{name} (after {seen}): up failed:\n{again.output[-1500:]}")
    elif production.flow_page(name).look().fork != f"voting-app-ui-{name}":
        problems.append(f"{name} (after {seen}): its page is not answered by its fork")
    production.remove_flow(name)
    if left := production.left_of(name):
        problems.append(f"{name} (after {seen}): left {', '.join(left)}")
    return iter(problems)
