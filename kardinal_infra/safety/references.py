"""What a container is told, and where that stands: literal texts, and keys of Secrets and ConfigMaps."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kardinal_infra.observed.live import LiveObjects, Object, spec_of

END = r"(?![\w-])"
"""A host's name ends here."""

_REFERENCES = {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}
_SOURCES = {"secretRef": "Secret", "configMapRef": "ConfigMap"}

Key = tuple[str, str, str, str]
"""Where a value stands: namespace, kind, name and key."""


def texts(container: Object) -> Iterator[tuple[str, str]]:
    """Yields literal values with the names of their variables, and parts of the command without any.

    Args:
        container: Of a pod template.
    """
    for entry in container.get("env") or ():
        if "value" in entry:
            # The text itself: a value may be of a class that does not show it.
            yield entry["name"], str.__str__(entry["value"] or "")
    for text in (*(container.get("command") or ()), *(container.get("args") or ())):
        yield "", text


def as_address(host: str, port: str) -> list[str]:
    """Makes expressions for a host of one word where it can only be an address.

    Args:
        host: Name of a Service, or what a resolver's search list completes.
        port: Expression for its port.
    """
    return [
        rf"(?<![\w-]){re.escape(host)}:({port}){END}",
        rf"(://|@)([^/\s@]*@)?{re.escape(host)}(?=[:/?#,;\s]|$)",
    ]


def references(live: LiveObjects, container: Object) -> dict[str, Key]:
    """Says where the variables of a container stand, of those that stand in a Secret or a ConfigMap.

    Args:
        live: The cluster in the container's namespace.
        container: Of a pod template.

    Returns:
        Key by variable. What comes by `envFrom` is only known where the keys may be read.
    """
    home = live.namespace
    found: dict[str, Key] = {}
    for source in container.get("envFrom") or ():
        for field, kind in _SOURCES.items():
            name = (source.get(field) or {}).get("name", "")
            for key in _keys(live, kind).get(name, ()):
                found[(source.get("prefix") or "") + key] = (home, kind, name, key)
    for entry in container.get("env") or ():
        found.pop(entry["name"], None)
        for field, kind in _REFERENCES.items():
            reference = (entry.get("valueFrom") or {}).get(field)
            if reference:
                found[entry["name"]] = (home, kind, reference.get("name", ""), reference["key"])
    return found


def taken_whole(container: Object) -> list[str]:
    """Names the Secrets of which a container gets every key.

    Args:
        container: Of a pod template.
    """
    sources = container.get("envFrom") or ()
    return [source["secretRef"].get("name", "") for source in sources if source.get("secretRef")]


def origins(live: LiveObjects, container: Object) -> dict[str, str | Key]:
    """Says what the variables of a container hold: a text, or where the text stands.

    Args:
        live: The cluster in the container's namespace.
        container: Of a pod template.
    """
    literal = {
        entry["name"]: str.__str__(entry.get("value") or "")
        for entry in container.get("env") or ()
        if not entry.get("valueFrom")
    }
    return {**references(live, container), **literal}


def shared_queues(
    queues: Collection[str], live: LiveObjects, baseline: Object, fork: Object
) -> frozenset[str]:
    """Names the variables by which a fork would take work from where production's pods do.

    Args:
        queues: Variables that name queues, topics or consumer groups.
        live: The cluster in the fork's namespace.
        baseline: Production's pod template.
        fork: The fork's pod template.

    Returns:
        Those that hold the same text in both, or the same key of the same Secret or ConfigMap.
    """
    before, after = (
        {
            (name, origin)
            # What starts before the worker takes none of its work, and often has the same variables.
            for container in spec_of(template).get("containers") or ()
            for name, origin in origins(live, container).items()
        }
        for template in (baseline, fork)
    )
    return frozenset(name for name, _ in before & after if name in queues)


def _keys(live: LiveObjects, kind: str) -> Mapping[str, Any]:
    return (live.secret_keys if kind == "Secret" else live.config_map_keys) or {}
