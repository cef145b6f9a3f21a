"""One production for all end-to-end tests: the voting app in a namespace of its own, adopted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.settings import Lab
from tests.e2e import bringup
from tests.e2e.bringup import NeonService
from tests.e2e.production import NAMESPACE, Production


@pytest.fixture(scope="session")
def workplace() -> Iterator[Path]:
    """A folder that PostgreSQL's unprivileged user can enter."""
    with bringup.workplace() as folder:
        yield folder


@pytest.fixture(scope="session")
def neon(lab: Lab, workplace: Path) -> Iterator[NeonService]:
    """The Neon service of the tests' own."""
    with bringup.neon_service(lab, workplace) as service:
        yield service


@pytest.fixture(scope="session")
def production(
    lab: Lab, lab_environment: dict[str, str], neon: NeonService, workplace: Path
) -> Iterator[Production]:
    """The adopted application."""
    with bringup.adopted(lab, lab_environment, neon, workplace, NAMESPACE) as found:
        yield found


@pytest.fixture
def flow(production: Production) -> Iterator[Callable[..., str]]:
    """Makes the stack of a flow, not yet up; after the test it is destroyed and removed."""
    made: list[str] = []

    def make(name: str, **config: Any) -> str:
        made.append(name)
        production.declare_flow(name, **config)
        return name

    yield make
    for name in made:
        production.remove_flow(name)


@pytest.fixture(scope="session")
def standing(production: Production) -> Iterator[str]:
    """A flow that is up while the tests look at it; they leave it as it is."""
    name = "standing"
    production.declare_flow(name)
    production.up(name)
    yield name
    production.remove_flow(name)
