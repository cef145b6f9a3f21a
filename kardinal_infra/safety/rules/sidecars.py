"""Rules about the mesh's part in every pod: without a sidecar nothing is routed, and nothing is locked.

Facts: docs/facts/mesh.md#the-callers-sidecar-routes, docs/facts/mesh.md#what-passes-the-lock-by.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from kardinal_infra.forking.workload import NATIVE_SIDECAR
from kardinal_infra.forking.workloads import find_workload
from kardinal_infra.observed.live import LiveObjects, Object, name_of, pod_template, spec_of
from kardinal_infra.safety.case import Case, ProposedFork
from kardinal_infra.safety.findings import Hit, safety_rule

PROXY_UID = 1337
"""User of Istio's proxy, whose connections are not captured."""

_WAYS_AROUND = (
    "traffic.sidecar.istio.io/excludeOutboundPorts",
    "traffic.sidecar.istio.io/excludeOutboundIPRanges",
    "traffic.sidecar.istio.io/excludeInterfaces",
    "traffic.istio.io/excludeInterfaces",
)
_NARROWED = "traffic.sidecar.istio.io/includeOutboundIPRanges"
_INTERCEPTION = "sidecar.istio.io/interceptionMode"
_PROXY_CONFIG = "proxy.istio.io/config"
_TEMPLATES = "inject.istio.io/templates"


@safety_rule("fork-without-sidecar", "error")
def fork_without_sidecar(case: Case) -> Iterator[Hit]:
    """The fork's own requests would not be routed: they reach production's services."""
    unrouted = case.fresh_services() - case.locked
    for fork in case.forks:
        if fork.service in unrouted:
            continue  # databases and the like often have none
        title = f"the fork of {fork.title}"
        if message := _uninjected(case.live_of(fork.service), title, fork.template, "passes requests on"):
            yield Hit(fork.path, message, (fork.title,))


@safety_rule("caller-without-sidecar", "error")
def caller_without_sidecar(case: Case) -> Iterator[Hit]:
    """A service calls a forked one and its pods cannot route: the flow's requests reach production."""
    topology, names = case.topology, case.forked()
    callers = {caller for name in names for caller in topology.callers(name)} - names
    for caller in sorted(callers):
        try:
            workload = find_workload(case.live, caller, topology.services[caller])
        except ValueError:
            continue  # not forked: whether it runs at all is not this flow's business
        called = ", ".join(sorted(name for name in topology.services[caller].depends_on if name in names))
        title = f"{workload['kind']} {name_of(workload)}"
        why = f"routes its requests to the forks of {called}"
        if message := _uninjected(case.live_of(caller), title, pod_template(workload), why):
            yield Hit(case.service_path(caller), message, (title,))


def _uninjected(live: LiveObjects, title: str, template: Object, why: str) -> str | None:
    if not live.injectors or live.injected(template):
        return None
    return (
        f"pods of {title} get no sidecar, which {why}; label namespace"
        f" {live.namespace} istio-injection=enabled (or istio.io/rev=<revision>) and restart them"
    )


@safety_rule("key-lost", "error")
def key_lost(case: Case) -> Iterator[Hit]:
    """A service that is known not to pass the key on stands before a forked one."""
    silent = [item for item in sorted(case.topology.services.items()) if not item[1].propagates]
    before = case.topology.upstream(case.forked()) if silent else frozenset()
    for name, service in silent:
        if name not in before:
            continue
        reached = case.topology.downstream(service.depends_on) - {name} - case.fresh_services()
        behind = sorted(reached & case.forked())
        if behind:
            yield Hit(
                case.service_path(name),
                f'service "{name}" does not pass the routing key on (`propagates: false`): requests of the'
                f" flow that go through it reach production's {', '.join(behind)}",
                (f"Service {name}",),
            )


@safety_rule("lock-bypassed", "error")
def lock_bypassed(case: Case) -> Iterator[Hit]:
    """The fork is to be locked, and its pods say something that the lock does not hold against."""
    for fork in case.forks:
        if fork.service in case.locked:
            for what in _ways_out(fork):
                yield Hit(fork.path, f"the egress lock of the fork of {fork.title} would not hold: {what}")


def _ways_out(fork: ProposedFork) -> Iterator[str]:
    annotations = (fork.template.get("metadata") or {}).get("annotations") or {}
    for name in _WAYS_AROUND:
        if annotations.get(name):
            yield f"annotation {name} leaves traffic out of the mesh"
    if annotations.get(_NARROWED, "*") != "*":
        yield f"annotation {_NARROWED} leaves traffic out of the mesh"
    if str(annotations.get(_INTERCEPTION, "")).upper() == "NONE":
        yield f"annotation {_INTERCEPTION} leaves all traffic out of the mesh"
    if _interception(annotations.get(_PROXY_CONFIG)) == "NONE":
        yield f"annotation {_PROXY_CONFIG} leaves all traffic out of the mesh (interceptionMode)"
    templates = [name.strip() for name in str(annotations.get(_TEMPLATES) or "sidecar").split(",")]
    if "sidecar" not in templates:
        yield f"annotation {_TEMPLATES} asks for another kind of sidecar, which captures nothing"
    spec = spec_of(fork.template)
    if spec.get("initContainers") and str(annotations.get(NATIVE_SIDECAR)).lower() != "true":
        yield f"init containers run before the sidecar without annotation {NATIVE_SIDECAR}"
    for container in fork.containers():
        own = {**(spec.get("securityContext") or {}), **(container.get("securityContext") or {})}
        if container["name"] != "istio-proxy" and PROXY_UID in (own.get("runAsUser"), own.get("runAsGroup")):
            yield f'container "{container["name"]}" runs as the proxy\'s own user {PROXY_UID}'


def _interception(proxy_config: object) -> str:
    """Reads the mode from the text of an annotation, which is YAML; nothing else counts to Istio."""
    try:
        read = yaml.safe_load(str(proxy_config or ""))
    except yaml.YAMLError:
        return ""  # no pod of it would be injected
    return str(read.get("interceptionMode", "")).upper() if isinstance(read, dict) else ""
