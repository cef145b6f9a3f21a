"""Questions about the containers of a pod template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kardinal_infra.observed.live import Object, containers, spec_of

SIDECARS = frozenset({"istio-proxy", "linkerd-proxy", "cloud-sql-proxy", "pgbouncer", "vault-agent", "daprd"})
"""Names of containers that are never the application."""

INJECTED = frozenset({"istio-proxy", "istio-init", "istio-validation"})
INJECTED_STATUS = "sidecar.istio.io/status"
"""Annotation that istioctl's and the webhook's injection leaves behind."""

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def is_injected(template: Object) -> bool:
    """Says whether a template holds Istio's injected containers (by `istioctl kube-inject`)."""
    return INJECTED_STATUS in ((template.get("metadata") or {}).get("annotations") or {})


def pick_container(template: Object, wanted: str | None, service: str) -> str:
    """Picks the container that is the application.

    The named one; else the only one; else the one of kubectl's annotation; else the one named like the
    service; else the only one that is not a known sidecar.

    Args:
        template: Pod template.
        wanted: The user's choice.
        service: Name of the service.

    Returns:
        Name of the container.

    Raises:
        ValueError: There is no such container, or the choice is not clear; the message says what to do.
    """
    dropped = INJECTED if is_injected(template) else frozenset[str]()
    names = [
        item["name"] for item in spec_of(template).get("containers") or () if item["name"] not in dropped
    ]
    listed = ", ".join(names) or "none"
    if wanted is not None:
        if wanted not in names:
            raise ValueError(f'there is no container "{wanted}" (there is: {listed})')
        return wanted
    annotated = ((template.get("metadata") or {}).get("annotations") or {}).get(_DEFAULT_CONTAINER)
    applications = [name for name in names if name not in SIDECARS]
    for choice in (
        names,
        [annotated] if annotated in names else [],
        [n for n in names if n == service],
        applications,
    ):
        if len(choice) == 1:
            return str(choice[0])
    raise ValueError(f"it is not clear which container is the application ({listed}): set `container`")


def env_names(template: Object) -> frozenset[str]:
    """Names of the variables that containers and init containers set themselves (`env`)."""
    return frozenset(entry["name"] for item in containers(template) for entry in item.get("env") or ())


def env_from_names(
    container: Mapping[str, Any],
    config_map_keys: Mapping[str, frozenset[str]] | None,
    secret_keys: Mapping[str, frozenset[str]] | None,
) -> frozenset[str] | None:
    """Names of the variables that a container takes from ConfigMaps and Secrets (`envFrom`).

    Args:
        container: The container.
        config_map_keys: Keys by ConfigMap; None when unknown.
        secret_keys: Keys by Secret; None when unknown.

    Returns:
        The names; None when a source's keys are not known.
    """
    names: set[str] = set()
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix") or ""
        for kind, keys in (("configMapRef", config_map_keys), ("secretRef", secret_keys)):
            if kind not in source:
                continue
            if keys is None:
                return None
            names |= {prefix + key for key in keys.get(source[kind].get("name", ""), frozenset())}
    return frozenset(names)


def all_containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the init containers, then the containers of a pod specification of one's own, to be changed.

    Args:
        pod: A pod specification.
    """
    return [*(pod.get("initContainers") or ()), *(pod.get("containers") or ())]
