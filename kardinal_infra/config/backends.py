"""Which branching backends are installed, and what config and plan have to know of one.

A backend is an entry point of the group `kardinal_infra.backends`, of this package's own distribution or of
any other. Only names are read here; `kardinal_infra.databases.branching.backend` loads what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from kardinal_infra.config.reading import did_you_mean
from kardinal_infra.errors import ConfigError, Problem

GROUP = "kardinal_infra.backends"
"""Group of the entry points; the name of one is the word in `backend:`, its object the backend's class."""


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do, and what the words of a baseline mean to it.

    Attributes:
        options: What it takes of a request's options, by their names: `ttl`, `protected`, ...
        inits: What its branches can hold at first besides the parent's data: `schema-only`, `masked`.
        rotates_credentials: Gives a branch passwords that do not open its parent.
        sidecar_port: Port that applications connect to unless their baseline says otherwise, where PgBouncer
            can stand in for the server (hand-over `sidecar`); None: it cannot.
        project_is_server: `project` is the address of the server, `host` or `host:port`, as pods reach it,
            and the branches are on the parent's server. Else it is a name that leads nowhere by itself.
        config_keys: Keys of a stack's config with credentials and addresses, which a new flow takes over from
            its baseline.
    """

    options: frozenset[str] = frozenset()
    inits: frozenset[str] = frozenset()
    rotates_credentials: bool = False
    sidecar_port: int | None = None
    project_is_server: bool = False
    config_keys: tuple[str, ...] = ()


CapabilitiesOf = Callable[[str], Capabilities]
"""Finds a backend's capabilities by its name; raises `ConfigError` when there is no such backend."""


def installed_backends() -> dict[str, list[EntryPoint]]:
    """Finds the backends that are installed, without loading any.

    Returns:
        Entry points by name, in the names' order; of a sound installation one each.
    """
    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, distribution_of(point))):
        found.setdefault(point.name, []).append(point)
    return found


def find_backend(name: str) -> EntryPoint:
    """Finds the entry point of a backend.

    Args:
        name: As in `backend:`.

    Raises:
        ConfigError: There is none of this name, or more than one.
    """
    installed = installed_backends()
    points = installed.get(name, [])
    if len(points) == 1:
        return points[0]
    if points:
        offers = " and ".join(f"{distribution_of(point)} ({point.value})" for point in points)
        message = (
            f'{"two" if len(points) == 2 else len(points)} distributions offer a branching backend "{name}":'
            f" {offers}; uninstall {'one of them' if len(points) == 2 else 'all but one'}"
        )
    else:
        message = f'there is no branching backend "{name}"; installed are {", ".join(installed) or "none"}'
        message += did_you_mean(name, installed)
    raise ConfigError([Problem("backend", message)])


def backend_problem(name: str) -> str | None:
    """Says why a name is not one of an installed backend.

    Args:
        name: As in `backend:`.
    """
    try:
        find_backend(name)
    except ConfigError as error:
        return error.problems[0].message
    return None


def distribution_of(point: EntryPoint) -> str:
    """Name of the distribution that an entry point belongs to.

    Args:
        point: The entry point.
    """
    return point.dist.name if point.dist else "an unknown distribution"
