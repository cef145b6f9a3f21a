"""What can be wrong with the stores of a baseline, and with what its services say of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from kardinal_infra.config.reading import did_you_mean, dotted, unknown_names
from kardinal_infra.errors import Problem
from kardinal_infra.model.names import label_problem
from kardinal_infra.model.service import Service
from kardinal_infra.model.store import PLACEHOLDERS, Store, StoreUse

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def store_problems(
    stores: Mapping[str, Store], names: Collection[str], services: Mapping[str, Service], key: str
) -> Iterator[Problem]:
    """Checks the stores of a baseline.

    Args:
        stores: By name.
        names: Of all services.
        services: By name; of a service that is left out nothing is concluded.
        key: Config key for paths.
    """
    taken: dict[str, str] = {}
    references: list[tuple[str, str]] = []
    for name, store in stores.items():
        path = dotted(key, ["stores", name])
        if problem := label_problem(name):
            yield Problem(path, f"the name {problem}")
        service = store.service or name
        if service in taken:
            message = f'service "{service}" is already store "{taken[service]}"'
            yield Problem(f"{path}.service", message)
        taken.setdefault(service, name)
        references.append((f"{path}.service", service))
        if service in services:
            yield from _port_problems(store, service, services[service], path)
    yield from unknown_names("service", references, names)
    for name, service_of in services.items():
        yield from _undeclared_uses(service_of, taken, dotted(key, ["services", name]))
    yield from _circle(services, taken, f"{key}.stores")


def template_problems(use: StoreUse, path: str) -> Iterator[Problem]:
    """Checks the templates by which a service gets to a fresh store.

    Args:
        use: What the service says.
        path: Where.
    """
    for variable, text in use.environment.items():
        for name in _PLACEHOLDER.findall(text):
            if name not in PLACEHOLDERS:
                message = f"unknown placeholder {{{name}}}; there are {{host}} and {{port}}"
                yield Problem(f"{path}.environment.{variable}", message + did_you_mean(name, PLACEHOLDERS))
    if use.environment and not any("{host}" in text for text in use.environment.values()):
        yield Problem(f"{path}.environment", "no variable has {host}, so nothing leads to a fresh store")


def _port_problems(store: Store, name: str, service: Service, path: str) -> Iterator[Problem]:
    protocols = {port.port: port.protocol for port in service.ports}
    if store.port is None and len(protocols) != 1:
        listed = ", ".join(map(str, protocols)) or "none"
        message = f'required: service "{name}" has not exactly one port (it has: {listed})'
        yield Problem(f"{path}.port", message)
        return
    port = store.port or next(iter(protocols))
    if port not in protocols:
        yield Problem(f"{path}.port", f'service "{name}" has no port {port}')
    elif protocols[port] != "tcp":
        message = (
            f'port {port} of service "{name}" is declared as {protocols[port]}; declare a store\'s port as'
            " tcp"
        )
        yield Problem(f"{path}.port", message)


def _undeclared_uses(service: Service, store_of: Mapping[str, str], path: str) -> Iterator[Problem]:
    used = {use.store for use in service.stores}
    for index, other in enumerate(service.depends_on):
        if other in store_of and store_of[other] not in used:
            message = f'service "{other}" is store "{store_of[other]}": say so in `uses` instead'
            yield Problem(f"{path}.dependsOn[{index}]", message)


def _circle(services: Mapping[str, Service], store_of: Mapping[str, str], path: str) -> Iterator[Problem]:
    """Finds stores that wait for each other: a fresh one starts after those that it uses itself."""
    graph = {
        store: {use.store for use in services[name].stores} - {store}
        for name, store in store_of.items()
        if name in services
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield Problem(path, f"stores use each other in a circle: {' -> '.join(error.args[1])}")
