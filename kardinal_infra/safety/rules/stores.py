"""Rules about stores: who has a fresh one must not go on using production's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from kardinal_infra.forking.workloads import find_workload
from kardinal_infra.observed.live import Object, containers, pod_template, spec_of
from kardinal_infra.safety.case import Case, ProposedFork
from kardinal_infra.safety.findings import Hit, safety_rule
from kardinal_infra.safety.references import END, Key, as_address, references, texts


@safety_rule("production-store", "error")
def production_store(case: Case) -> Iterator[Hit]:
    """A fork of a flow with a fresh store still gets what leads to production's."""
    for store in sorted(case.fresh()):
        sources = {key for fork in case.forks for key in _gave(case, fork, store)}
        leads = _leading(case, store)
        for fork in case.forks:
            for container in fork.containers():
                found = [
                    *_named(case, fork, store, container, leads),
                    *_taken(case, fork, container, sources),
                ]
                for what in found:
                    yield Hit(
                        fork.path,
                        f'{what} of container "{container["name"]}" in the fork of {fork.title} still leads'
                        f' to production\'s store "{store}": name it in `uses[].environment` of the baseline',
                        (f"Service {case.topology.store_service(store)}",),
                    )


@safety_rule("undeclared-store-user", "warning")
def undeclared_store_user(case: Case) -> Iterator[Hit]:
    """A service that is not forked uses a store that is fresh in the flow, and does not declare it."""
    for store in sorted(case.fresh()):
        leads = _leading(case, store)
        for name in sorted(case.topology.services.keys() - case.forked()):
            try:
                workload = find_workload(case.live, name, case.topology.services[name])
            except ValueError:
                continue  # not forked: whether it runs at all is not this flow's business
            told = [text for item in containers(pod_template(workload)) for _, text in texts(item)]
            if any(map(leads[case.home(name)].search, told)):
                yield Hit(
                    case.service_path(name),
                    f'service "{name}" names the host of store "{store}" and does not declare it in `uses`:'
                    " for the flow's requests it uses production's",
                    (f"Service {name}",),
                )


def _named(
    case: Case, fork: ProposedFork, store: str, container: Object, leads: Mapping[str, re.Pattern[str]]
) -> Iterator[str]:
    """Texts of a container in which production's store is named."""
    service = case.topology.services[fork.service]
    leading = leads[case.home(fork.service)]
    host = case.topology.store_service(store)
    # A bare name is taken for a host, unless it is known to be something else.
    bare = case.home(fork.service) == case.home(host) and fork.service != host
    for variable, text in texts(container):
        is_host = bare and text == host and variable not in {"", *(service.queues or ())}
        if is_host or leading.search(text):
            yield f"variable {variable}" if variable else "the command"


def _leading(case: Case, store: str) -> dict[str, re.Pattern[str]]:
    """Matches a text that names production's store as an address.

    Args:
        case: The cluster and the flow.
        store: The store.

    Returns:
        Expression by the namespace of whose pods read the text: names without a namespace are of theirs.
    """
    return {home: _leading_from(case, home, store) for home in case.topology.namespaces}


def _leading_from(case: Case, reader: str, store: str) -> re.Pattern[str]:
    name = case.topology.store_service(store)
    home = case.home(name)
    service = case.live.of(home).service(name) or {}
    ports = "|".join(str(port["port"]) for port in spec_of(service).get("ports") or ())
    host = rf"(?<![\w-]){re.escape(name)}"
    forms = [rf"{host}\.{re.escape(home)}{END}"]
    if reader == home:
        links = name.upper().replace("-", "_")
        forms += as_address(name, ports)
        forms.append(rf"\$\({re.escape(links)}_(SERVICE_|PORT)")
    address = spec_of(service).get("clusterIP") or "None"
    if address != "None":
        forms.append(rf"(?<![\w.:]){re.escape(address)}(?![\w.]*\w)")
    return re.compile("|".join(forms))


def _gave(case: Case, fork: ProposedFork, store: str) -> Iterator[Key]:
    """Keys of Secrets and ConfigMaps that gave the baseline what the fresh store gives the fork."""
    wanted = {name for use in fork.stores if use.store == store for name in use.environment}
    for container in containers(pod_template(fork.baseline)) if wanted else ():
        yield from (
            key for name, key in references(case.live_of(fork.service), container).items() if name in wanted
        )


def _taken(case: Case, fork: ProposedFork, container: Object, sources: set[Key]) -> Iterator[str]:
    if not sources:
        return
    for name, key in references(case.live_of(fork.service), container).items():
        if key in sources:
            yield f"variable {name} (key {key[3]} of {key[1]} {key[2]})"
