"""`pulumi up` killed at ten moments: `cancel` and `up` converge, and `destroy` leaves nothing."""

import random
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.demo_cluster import differences
from tests.e2e.production import UP, Production

pytestmark = [pytest.mark.lab, pytest.mark.engine]

MOMENTS = 10
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
    seen = _kill(production, name, moment)
    production.project.settle(name)
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


def _kill(production: Production, name: str, moment: int) -> str:
    """Starts an `up` and ends its engine without warning; returns the last line that it printed."""
    signs = 0
    line = ""
    with subprocess.Popen(
        ["pulumi", *UP, "-s", name, "--non-interactive", "--color", "never"],
        cwd=production.project.folder,
        env=production.project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        for line in process.stdout or ():
            signs += any(word in line for word in PROGRESS)
            if signs == moment:
                process.kill()
                break
        else:
            raise AssertionError(f"{name}: up ended after {signs} signs of progress, before the {moment}th")
    return " ".join(line.split())
