"""Names: what is allowed, and how names are made from other names. Pure functions over strings.

Kubernetes object names used here (Service, Deployment, label values, the labels of a host) are DNS labels of
RFC 1123: at most 63 characters of a-z, 0-9 and "-", alphanumeric at both ends.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NewType
from urllib.parse import urlsplit

FlowId = NewType("FlowId", str)


class ServiceRef(NamedTuple):
    """A Service of the cluster.

    Attributes:
        namespace: Its namespace.
        name: Its name.
    """

    namespace: str
    name: str


MAX_LABEL = 63
"""Longest DNS label, label value and Service name."""

MAX_HOST = 253
"""Longest DNS name."""

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY = "kardinal"
LABEL_FLOW = "kardinal.dev/flow"
LABEL_SERVICE = "kardinal.dev/service"
LABEL_FORK = "kardinal.dev/fork"
"""The only label that a fork's selector uses."""

ANNOTATION_STACK = "kardinal.dev/stack"
"""Owner of an object: `organization/project/stack`."""

HEADER_FLOW = "x-kardinal-flow"
"""Request header that carries the flow id where nobody has chosen another (`kardinal_infra.routing.key`)."""

BAGGAGE_KEY = "kardinal-flow"
"""W3C baggage member with the flow id, likewise."""

ANSWER_FLOW = HEADER_FLOW
"""Response header of a flow's public host, with the flow's id; the same whatever carries the key."""

HEADER_FORK = "x-kardinal-fork"
"""Response header that names the fork that answered."""

BRANCH_ANNOTATION_STACK = "kardinal-stack"
BRANCH_ANNOTATION_FLOW = "kardinal-flow"
BRANCH_ANNOTATION_DATABASE = "kardinal-database"

DEFAULT_GATEWAY = "kardinal"
"""Name of the Gateway that the baseline stack makes when the user has none."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_HASH = 8


@dataclass(frozen=True)
class Owner:
    """Whose an object is.

    Attributes:
        stack: `organization/project/stack`.
        namespace: Namespace of the object.
        flow: Flow id; None for objects of a baseline stack.
    """

    stack: str
    namespace: str
    flow: str | None = None

    def at(self, namespace: str) -> Owner:
        """Returns the same owner, of an object in another namespace.

        Args:
            namespace: Namespace of the object.
        """
        return replace(self, namespace=namespace)

    def labels(self, service: str | None = None) -> dict[str, str]:
        """Returns the labels of every object of the owner.

        Args:
            service: The service that the object is about.
        """
        result = {LABEL_MANAGED_BY: MANAGED_BY}
        if self.flow is not None:
            result[LABEL_FLOW] = self.flow
        if service is not None:
            result[LABEL_SERVICE] = service
        return result

    def metadata(
        self, name: str, service: str | None = None, annotations: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Returns an object's metadata.

        Args:
            name: Its name.
            service: The service that it is about.
            annotations: More annotations.
        """
        return {
            "name": name,
            "namespace": self.namespace,
            "labels": self.labels(service),
            "annotations": {**(annotations or {}), ANNOTATION_STACK: self.stack},
        }


def label_problem(text: str) -> str | None:
    """Says why a text is not a DNS label.

    Args:
        text: The candidate.

    Returns:
        A sentence, or None when it is one.
    """
    if not text:
        return "must not be empty"
    if len(text) > MAX_LABEL:
        return f"has {len(text)} characters, at most {MAX_LABEL} are allowed"
    if not _LABEL.fullmatch(text):
        return f'"{text}" must consist of a-z, 0-9 and "-", and start and end with a letter or digit'
    return None


def host_problem(text: str) -> str | None:
    """Says why a text is not a DNS host name of labels joined by dots.

    Args:
        text: The candidate, without port and trailing dot.

    Returns:
        A sentence, or None when it is one.
    """
    if len(text) > MAX_HOST:
        return f'host "{text}" has {len(text)} characters, at most {MAX_HOST} are allowed'
    for label in text.split("."):
        if problem := label_problem(label):
            named = problem if problem.startswith('"') else f'"{label}" {problem}'
            return f'in host "{text}", {named}'
    return None


def alias_problem(host: str) -> str | None:
    """Says why an entry in a pod's host file cannot lead a host elsewhere.

    Args:
        host: The candidate.

    Returns:
        A sentence, or None when it can.
    """
    # Nobody looks an address up; the last label of a name is never a number.
    if host == "localhost" or host.rpartition(".")[2].isdigit():
        return f'"{host}" is not looked up, so nothing can lead it to a branch; a host name is needed'
    return host_problem(host)


def address_problem(text: str) -> str | None:
    """Says why a text is not an address to connect to.

    Args:
        text: The candidate, `host:port`; an IPv6 address stands in brackets.

    Returns:
        A sentence, or None when it is one.
    """
    try:
        parts = urlsplit(f"//{text}")
        usable = parts.netloc == text and not set(text) & set("@ ") and bool(parts.hostname and parts.port)
    except ValueError:
        usable = False
    return None if usable else f'"{text}" is not an address of the form host:port'


def flow_id(text: str) -> FlowId:
    """Checks a flow id. It becomes a header value, a label value and part of hosts and object names.

    Args:
        text: The candidate.

    Returns:
        The same text.

    Raises:
        ValueError: It is not a DNS label; the message says why.
    """
    problem = label_problem(text)
    if problem:
        raise ValueError(problem)
    return FlowId(text)


def shorten(text: str, limit: int = MAX_LABEL) -> str:
    """Fits a name into a length, deterministically.

    Args:
        text: A name of a-z, 0-9, "-".
        limit: Longest allowed result, at least 10.

    Returns:
        The text, or its beginning and 8 hexadecimal digits of the SHA-256 of the whole.
    """
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_HASH]
    return f"{text[: limit - _HASH - 1].rstrip('-')}-{digest}"


def fork_name(service: str, flow: str) -> str:
    """Name of a fork's Deployment and Service, and the value of its selector label.

    Args:
        service: Name of the baseline Service.
        flow: Flow id.

    Returns:
        `<service>-<flow>`, hashed when longer than a DNS label. Within one flow no two services share one;
        across flows they can (`a` + `b-c`, `a-b` + `c`), which the plan notices on the cluster and refuses.
    """
    return shorten(f"{service}-{flow}")


def route_name(service: str, flow: str, port: int, part: int = 1) -> str:
    """Name of a flow's HTTPRoute on one port of one Service.

    Args:
        service: Name of the Service that is the route's parent.
        flow: Flow id.
        port: Port of that Service.
        part: Counted from 1; a route that is too large for one object has several, whose names sort in order.

    Returns:
        `<service>-<flow>-<port>`, with `-02` and so on for further parts.
    """
    suffix = "" if part == 1 else f"-{part:02d}"
    return shorten(f"{service}-{flow}-{port}", MAX_LABEL - len(suffix)) + suffix


def entry_route_name(service: str, flow: str, part: int = 1) -> str:
    """Name of the HTTPRoute of a flow's public host.

    Args:
        service: Service of the entry.
        flow: Flow id.
        part: Counted from 1 among the entries of one service.
    """
    suffix = "" if part == 1 else f"-{part:02d}"
    return shorten(f"{service}-{flow}-entry", MAX_LABEL - len(suffix)) + suffix


def catch_all_name(service: str, port: int) -> str:
    """Name of the baseline stack's catch-all HTTPRoute.

    Args:
        service: Name of the Service.
        port: Port of that Service.
    """
    return shorten(f"{service}-{port}-kardinal-baseline")


def production_route_name(service: str, part: int = 1) -> str:
    """Name of the baseline stack's HTTPRoute for the production host of an entry.

    Args:
        service: Service of the entry.
        part: Counted from 1 among the entries of one service.
    """
    suffix = "" if part == 1 else f"-{part:02d}"
    return shorten(f"{service}-kardinal-production", MAX_LABEL - len(suffix)) + suffix


def branch_name(application: str, flow: str, database: str) -> str:
    """Name of a flow's database branch; branch names are unique in a project of a backend.

    Args:
        application: Name of the baseline's application.
        flow: Flow id.
        database: Name of the database in the baseline's config.

    Returns:
        `kardinal/<application>/<flow>/<database>`: the slashes keep different flows apart for certain.
    """
    return f"kardinal/{application}/{flow}/{database}"
