"""The catalog over gRPC: its server and its client, on the loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.shop.conftest import Load


@pytest.fixture
def start(load: Load, folders: dict[str, Path]) -> Iterator[Callable[[str], Any]]:
    """Starts the server of an image; a client of it."""
    servers = []

    def run(image: str) -> Any:
        program = load(image)
        server = program.make_server(program.Shelf(json.loads((folders[image] / "catalog.json").read_text())))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return load(image, "catalog").Catalog(f"127.0.0.1:{port}")

    yield run
    for server in servers:
        server.stop(None).wait()


@pytest.mark.parametrize(
    ("release", "prices"),
    [
        ("1.0", {"tea": 450, "teapot": 2900}),
        ("dev", {"tea": 390, "teapot": 2900, "matcha": 1200}),
    ],
)
def test_each_release_sells_its_own(
    start: Callable[[str], Any], release: str, prices: dict[str, int]
) -> None:
    catalog = start(f"shop-catalog:{release}")

    told, items = catalog.list({})

    assert told == release
    assert {item.item: item.price for item in items} == prices
    assert catalog.find("tea", {})[1] == items[0]


def test_the_key_arrives_as_metadata(start: Callable[[str], Any], capfd: pytest.CaptureFixture[str]) -> None:
    start("shop-catalog:1.0").find("tea", {"x-kardinal-flow": "dev"})

    assert "catalog: Find 'tea' flow='dev'" in capfd.readouterr().err


def test_what_is_not_sold_and_who_does_not_answer(start: Callable[[str], Any], load: Load) -> None:
    client = load("shop-catalog:1.0", "catalog")

    with pytest.raises(client.NotSoldError, match="'matcha' is not sold"):
        start("shop-catalog:1.0").find("matcha", {})
    with pytest.raises(client.CatalogError, match="UNAVAILABLE"):
        client.Catalog("127.0.0.1:1").list({})


def test_kubernetes_probe_is_answered(load: Load) -> None:
    program = load("shop-catalog:1.0")
    server = program.make_server(program.Shelf({"release": "x", "items": []}))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            # The first field of a HealthCheckResponse, its number and type in one byte, then SERVING.
            check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert check(b"", timeout=10) == bytes([1 << 3, 1])
    finally:
        server.stop(None).wait()
