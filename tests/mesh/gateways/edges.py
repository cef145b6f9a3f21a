"""Gateways as users run them, in a namespace of their own, and clients outside that ask them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx

from kardinal_infra.cluster.probe import trusted
from tests.mesh.conftest import EFFECT_SECONDS, Manifest, Mesh

GATEWAY_API = "gateway.networking.k8s.io/v1"
ISTIO_API = "networking.istio.io/v1"
INGRESS = "ingress"
"""Name of the gateway pods' Deployment and Service."""

PORTS = {"http": (80, 8080), "https": (443, 8443)}
"""Port of the Service, and of the proxy's container."""


def selector(namespace: str) -> dict[str, str]:
    """Labels of a namespace's gateway pods: Istio Gateways select pods of all namespaces."""
    return {"istio": f"{INGRESS}-{namespace}"}


def ingress_gateway(namespace: str) -> list[Manifest]:
    """What the Helm chart `istio/gateway` makes: an injected proxy that may read its certificates."""
    labels = selector(namespace)
    account = {"kind": "ServiceAccount", "name": INGRESS}
    reads = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "watch", "list"]}
    pod = {
        "metadata": {
            "labels": {**labels, "sidecar.istio.io/inject": "true"},
            "annotations": {"inject.istio.io/templates": "gateway"},
        },
        "spec": {
            "serviceAccountName": INGRESS,
            # "auto" has the tag "latest", which would be pulled.
            "containers": [{"name": "istio-proxy", "image": "auto", "imagePullPolicy": "IfNotPresent"}],
            "terminationGracePeriodSeconds": 1,
        },
    }
    ports = [{"name": name, "port": port, "targetPort": target} for name, (port, target) in PORTS.items()]
    rbac = "rbac.authorization.k8s.io"
    metadata = {"name": INGRESS}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": [reads]},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "subjects": [account],
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": INGRESS},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"selector": {"matchLabels": labels}, "template": pod},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": ports},
        },
    ]


def istio_gateway(namespace: str, name: str, *servers: Manifest) -> Manifest:
    """An Istio Gateway on the ingress gateway's pods of a namespace."""
    return {
        "apiVersion": ISTIO_API,
        "kind": "Gateway",
        "metadata": {"name": name},
        "spec": {"selector": selector(namespace), "servers": list(servers)},
    }


def server(scheme: str, *hosts: str, **more: Any) -> Manifest:
    """A server of an Istio Gateway."""
    port = {"number": PORTS[scheme][1], "name": f"{scheme}-{len(hosts)}", "protocol": scheme.upper()}
    return {"port": port, "hosts": list(hosts), **more}


def api_gateway(name: str, *listeners: Manifest) -> Manifest:
    """A Gateway of the Gateway API; inside the cluster only, so that it takes no load balancer."""
    return {
        "apiVersion": GATEWAY_API,
        "kind": "Gateway",
        "metadata": {"name": name, "annotations": {"networking.istio.io/service-type": "ClusterIP"}},
        "spec": {"gatewayClassName": "istio", "listeners": list(listeners)},
    }


def listener(name: str, scheme: str, namespace: str, **more: Any) -> Manifest:
    """A listener that takes routes of one other namespace."""
    labels = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    allowed = {"namespaces": {"from": "Selector", "selector": labels}}
    return {
        "name": name,
        "port": PORTS[scheme][0],
        "protocol": scheme.upper(),
        "allowedRoutes": allowed,
        **more,
    }


def tls_secret(name: str, pair: tuple[str, str]) -> Manifest:
    """A certificate as gateways read it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": pair[0], "tls.key": pair[1]},
    }


_trusted = cache(trusted)


@dataclass(frozen=True)
class Page:
    """What one request from outside got.

    Attributes:
        by: The Service that answered, or the Gateway's status; a text for no answer at all.
        received: Headers that the application was sent, by name in small letters.
        headers: Those of the answer.
    """

    by: str
    received: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outside:
    """A client outside the cluster.

    Attributes:
        mesh: Whose Services answer.
        address: The Gateway's IP address.
        authority: PEM text of the CA that it trusts besides.
    """

    mesh: Mesh
    address: str
    authority: str = ""

    def ask(self, url: str, headers: Mapping[str, str] | None = None) -> Page:
        """Sends one GET."""
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme][0]
        target = parts._replace(netloc=f"{self.address}:{port}").geturl()
        with httpx.Client(verify=_trusted(self.authority), trust_env=False, timeout=10) as client:
            try:
                answer = client.get(
                    target,
                    headers={"host": parts.netloc, **(headers or {})},
                    extensions={"sni_hostname": parts.hostname},
                )
            except httpx.TransportError as error:
                return Page(type(error).__name__)
        if answer.status_code != httpx.codes.OK:
            return Page(str(answer.status_code), headers=answer.headers)
        number, _, received = json.loads(answer.text)
        [by] = [name for (name, _), target in self.mesh.ports.items() if target == number]
        return Page(by, {name.lower(): value for name, value in received.items()}, answer.headers)

    def settles(self, url: str, wanted: str) -> Page:
        """Asks until the wanted Service answers, or the time is over; what was answered last."""
        deadline = time.monotonic() + EFFECT_SECONDS
        while (page := self.ask(url)).by != wanted and time.monotonic() < deadline:
            time.sleep(0.3)
        return page
