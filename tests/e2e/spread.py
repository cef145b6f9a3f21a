"""An application of two services in two namespaces that call each other and use one database."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from kardinal_infra.model.names import HEADER_FLOW
from lab.demo_app import Page
from lab.demo_cluster import Cluster, Object, differences
from lab.demo_images import load_demo_images
from lab.settings import Lab
from tests.e2e.bringup import NeonService, eventually, own_project, remove_namespace
from tests.e2e.production import NEON_PROJECT, Production

FRONT, BACK = "spread-front", "spread-back"
"""The namespaces; `front` is in the first, which is the application's own, `back` in the second."""

DOMAIN = "spread.localhost"
IMAGE = "votes-api:1.0"  # for its Python with psycopg2 alone
HOSTS = {"front": f"back.{BACK}", "back": f"front.{FRONT}.svc.cluster.local"}
"""Whom each service calls, by the two ways of naming a Service of another namespace."""

SERVER = f"""
import http.client, json, os, socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import psycopg2
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        with psycopg2.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('port')::int, to_regclass('spread_notes') IS NOT NULL")
            port, migrated = cursor.fetchone()
        connection.close()
        seen = [{{"pod": socket.gethostname(), "database": port, "migrated": migrated}}]
        if self.path == "/call":
            client = http.client.HTTPConnection(os.environ["OTHER"], 80, timeout=10)
            kept = {{k: v for k, v in self.headers.items() if k.lower() == "{HEADER_FLOW}"}}
            client.request("GET", "/", headers=kept)
            seen += json.load(client.getresponse())
            client.close()
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments): pass
ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""

# Pulumi's `config set-all` takes no text of several lines.
MIGRATE = (
    "import os, psycopg2; made = psycopg2.connect(os.environ['DATABASE_URL']); made.autocommit = True;"
    " made.cursor().execute('CREATE TABLE spread_notes (note text)')"
)

Seen = list[dict[str, Any]]


@dataclass(frozen=True)
class Spread:
    """The application, adopted.

    Attributes:
        production: Its project, and the way to its Gateway.
        before: Every object of both namespaces, as they were without any flow.
    """

    production: Production
    before: dict[str, Object]

    def ask(self, host: str, path: str = "/call") -> Seen:
        """Asks a public host: who answered, and for `/call` also who answered him, each with its database."""
        url = f"http://{self.production.page.address}{path}"
        answer = httpx.get(url, headers={"Host": f"{host}.{DOMAIN}"}, trust_env=False, timeout=20)
        assert answer.status_code == httpx.codes.OK, answer.text
        seen: Seen = answer.json()
        return seen

    def changed(self) -> list[str]:
        """What differs from the time without any flow, branches included."""
        branches = [name for name in self.production.databases.branches() if "/spread/" in name]
        return differences(self.before, objects(self.production.cluster)) + branches


def objects(cluster: Cluster) -> dict[str, Object]:
    """Every object of both namespaces."""
    return {
        f"{namespace}/{name}": item
        for namespace in (FRONT, BACK)
        for name, item in cluster.snapshot(namespace).items()
    }


@contextlib.contextmanager
def adopted(lab: Lab, variables: dict[str, str], neon: NeonService, folder: Path) -> Iterator[Spread]:
    """The application with its baseline, removed at the end.

    Args:
        lab: The lab.
        variables: Those by which programs use it.
        neon: The service of its database.
        folder: A new folder for the project and its state.
    """
    load_demo_images(lab)
    cluster = Cluster(str(lab.kubeconfig))
    databases = neon.databases
    try:
        remove(cluster)
        for namespace, service in ((FRONT, "front"), (BACK, "back")):
            deploy(cluster, namespace, service, databases.uri("main"))
        open_back(cluster)
        folder.mkdir()
        project = own_project(folder, {**variables, **neon.variables})
        project.ensure_stack("baseline")
        project.configure("baseline", baseline(None))
        project.pulumi("up", "--yes", "--skip-preview", "-s", "baseline")
        eventually(lambda: cluster.gateway_address(FRONT, "kardinal"), "an address for the Gateway", 60)
        address = f"{cluster.gateway_address(FRONT, 'kardinal')}:80"
        project.configure("baseline", baseline(address))
        project.pulumi("up", "--yes", "--skip-preview", "-s", "baseline")
        production = Production(project, cluster, databases, Page(f"http://{DOMAIN}", address), FRONT)
        yield Spread(production, objects(cluster))
    finally:
        remove(cluster)
        cluster.close()


def open_back(cluster: Cluster) -> None:
    """The owner's own route of a public host, a part of which leads to the other namespace."""
    root = "/apis/gateway.networking.k8s.io"
    backends = {"/back": {"name": "back", "namespace": BACK}, "/": {"name": "front"}}
    removed = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": [HEADER_FLOW]}}
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "own"},
        "spec": {
            "parentRefs": [{"name": "kardinal"}],
            "hostnames": [f"front.{DOMAIN}"],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": path}}],
                    "filters": [removed],
                    "backendRefs": [{"port": 80, **backend}],
                }
                for path, backend in backends.items()
            ],
        },
    }
    # It lets the Gateway to this Service alone: a fork needs leave of its own.
    grant = {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": "own"},
        "spec": {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": FRONT}],
            "to": [{"group": "", "kind": "Service", "name": "back"}],
        },
    }
    cluster.create(f"{root}/v1/namespaces/{FRONT}/httproutes", route)
    cluster.create(f"{root}/v1beta1/namespaces/{BACK}/referencegrants", grant)


def remove(cluster: Cluster) -> None:
    """Removes both namespaces at once."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda namespace: remove_namespace(cluster, namespace), (FRONT, BACK)))


def baseline(address: str | None) -> dict[str, Any]:
    """The baseline's configuration; without an address, without entries."""
    common = {
        "ports": [{"port": 80}],
        "uses": [{"database": "votes", "environment": {"DATABASE_URL": "uri"}}],
    }
    migrations = {
        "service": "back",
        "command": ["python3", "-c", MIGRATE],
        "environment": {"DATABASE_URL": "uri"},
    }
    config = {
        "application": "spread",
        "namespace": FRONT,
        "domain": DOMAIN,
        "gateway": {"port": 80, **({"address": address} if address else {})},
        "services": {
            "front": {**common, "dependsOn": ["back"]},
            "back": {**common, "dependsOn": ["front"], "namespace": BACK},
        },
        "entries": [{"service": name, "host": f"{name}.{DOMAIN}"} for name in HOSTS] if address else [],
        "databases": {
            "votes": {
                "project": NEON_PROJECT,
                "parent": "main",
                "database": "votes",
                "role": "votes_owner",
                "migrations": migrations,
            }
        },
    }
    return {"kardinal:stack": "baseline", "kardinal:baseline": config}


def deploy(cluster: Cluster, namespace: str, service: str, uri: str) -> None:
    """Makes a namespace with a service, as its owner would."""
    labels = {"app": service}
    source = {"secretKeyRef": {"name": "database", "key": "uri"}}
    container = {
        "name": service,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", SERVER],
        "env": [{"name": "DATABASE_URL", "valueFrom": source}, {"name": "OTHER", "value": HOSTS[service]}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    pod = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    made = {
        "/api/v1/namespaces": {
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {"istio-injection": "enabled"}},
        },
        f"/api/v1/namespaces/{namespace}/secrets": {"kind": "Secret", "stringData": {"uri": uri}},
        f"/api/v1/namespaces/{namespace}/services": {
            "kind": "Service",
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        },
        f"/apis/apps/v1/namespaces/{namespace}/deployments": {
            "kind": "Deployment",
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    }
    names = {"Secret": "database"}
    for path, body in made.items():
        version = "apps/v1" if body["kind"] == "Deployment" else "v1"
        named = {"metadata": {"name": names.get(str(body["kind"]), service)}, **body}
        cluster.create(path, {"apiVersion": version, **json.loads(json.dumps(named))})
