"""The egress lock, from an application that tries: by host, by address, and with an old connection string."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from tests.e2e.production import Production

pytestmark = [pytest.mark.lab, pytest.mark.engine]

ALIAS = "parent-database"
"""A Service that leads to the parent, as in clusters that give their database a name."""

TRY = """
import os, sys
import psycopg2
uri = sys.argv[1] or os.environ["DATABASE_URL"]
try:
    connection = psycopg2.connect(uri, connect_timeout=10)
except psycopg2.OperationalError:
    print("closed")
else:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM options")
        print("open", cursor.fetchone()[0])
"""


def connects(production: Production, deployment: str, uri: str = "") -> str:
    """What an application's container finds behind a connection string, its own when there is none."""
    return production.python(deployment, TRY, uri)


@pytest.fixture
def parent(production: Production) -> Iterator[tuple[str, str]]:
    """Connection strings of production's database: by its address, and by a name in the cluster."""
    encoded = production.kubectl(
        "get",
        "secret",
        "votes-database",
        "-o",
        "go-template={{.data.DATABASE_URL | base64decode}}",
    )
    uri = urlsplit(encoded)
    objects = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": ALIAS},
            "spec": {"ports": [{"name": "tcp", "port": 5432, "targetPort": uri.port}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": ALIAS, "labels": {"kubernetes.io/service-name": ALIAS}},
            "addressType": "IPv4",
            "ports": [{"name": "tcp", "port": uri.port}],
            "endpoints": [{"addresses": [uri.hostname]}],
        },
    ]
    production.kubectl(
        "apply",
        "-f",
        "-",
        text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}),
    )
    credentials = uri.netloc.rpartition("@")[0]
    yield encoded, uri._replace(netloc=f"{credentials}@{ALIAS}:5432").geturl()
    production.kubectl("delete", "service/" + ALIAS, "endpointslice/" + ALIAS, "--ignore-not-found")


def test_a_locked_fork_reaches_its_branch_and_never_the_parent(
    production: Production, flow: Callable[..., str], parent: tuple[str, str]
) -> None:
    name = flow("locked", egress="locked")
    open_to_baseline = [connects(production, "votes-api", uri) for uri in parent]
    assert all(answer.startswith("open") for answer in open_to_baseline), open_to_baseline

    production.up(name)

    fork = f"votes-api-{name}"
    assert [connects(production, fork, uri) for uri in parent] == ["closed", "closed"]
    assert connects(production, fork).startswith("open")
    assert [connects(production, "votes-api", uri) for uri in parent] == open_to_baseline
    # Everything that the flow needs goes on working, and lands on the branch.
    page, counts = production.flow_page(name), production.page.look().counts
    before = page.look().counts
    page.vote("Parrots", 2)
    assert page.look().counts["Parrots"] == before["Parrots"] + 2
    assert production.page.look().counts == counts

    production.destroy(name)
    assert production.left_of(name) == []
