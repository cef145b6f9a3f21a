"""The shop's HTTP services, each with stand-ins for what it calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest
import redis
from starlette.testclient import TestClient

from tests.loopback import Answer, Request, serving
from tests.shop.conftest import Load

ORDER = {
    "id": 1,
    "item": "<tea>",
    "quantity": 2,
    "price": 900,
    "priced_by": "1.0",
    "state": "shipped",
    "carrier": "post",
    "shipped_by": "1.0",
}
KEY = {"x-kardinal-flow": "dev", "baggage": "kardinal-flow=dev"}


class Store:
    """Stands for the database."""

    def __init__(self) -> None:
        self.orders: dict[int, dict[str, Any]] = {}
        self.down = False

    def place(self, item: str, quantity: int, price: int, priced_by: str) -> dict[str, Any]:
        number = len(self.orders) + 1
        self.orders[number] = {"id": number, "item": item, "quantity": quantity, "price": price}
        return self.orders[number]

    def cancel(self, order: int) -> None:
        del self.orders[order]

    def find(self, order: int) -> dict[str, Any] | None:
        return self.orders.get(order)

    def latest(self) -> list[dict[str, Any]]:
        if self.down:
            raise psycopg2.OperationalError("no route to db")
        return [*self.orders.values()]


class Queue:
    """Stands for the queue."""

    def __init__(self) -> None:
        self.jobs: list[Any] = []
        self.down = False

    def put(self, job: Any) -> None:
        if self.down:
            raise redis.ConnectionError("no route to queue")
        self.jobs.append(job)


class Catalog:
    """Stands for the catalog."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def find(self, item: str, context: dict[str, str]) -> tuple[str, Any]:
        if item != "tea":
            raise self.module.NotSoldError(f"{item!r} is not sold")
        return "1.0", self.module.Item("tea", 450, "letter")


@pytest.fixture
def orders(load: Load) -> Iterator[SimpleNamespace]:
    program = load("shop-orders:1.0")
    store, queue = Store(), Queue()
    made = program.Orders(store, queue, Catalog(load("shop-orders:1.0", "catalog")))
    with TestClient(load("shop-orders:1.0", "serving").application(made.routes())) as client:
        yield SimpleNamespace(client=client, store=store, queue=queue)


def test_an_order_is_priced_kept_and_queued_with_the_key_of_its_request(orders: SimpleNamespace) -> None:
    answer = orders.client.post("/api/orders", json={"item": "tea", "quantity": 3}, headers=KEY)

    assert (answer.status_code, answer.json()["order"]["price"]) == (201, 1350)
    [job] = orders.queue.jobs
    assert (job.order, job.context) == (1, KEY)
    assert orders.client.get("/api/orders/1").json() == answer.json()
    assert orders.client.get("/api/orders/2").status_code == 404


def test_an_order_that_nobody_would_ship_is_not_taken(orders: SimpleNamespace) -> None:
    orders.queue.down = True

    answer = orders.client.post("/api/orders", json={"item": "tea"})

    assert (answer.status_code, answer.json()) == (503, {"error": "the queue is not available"})
    assert orders.store.orders == {}


def test_it_is_ready_when_its_database_answers(orders: SimpleNamespace) -> None:
    assert orders.client.get("/readyz").status_code == 200
    orders.store.down = True
    assert orders.client.get("/readyz").status_code == 503
    assert orders.client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("[]", 400),
        ('{"item": 7}', 400),
        ('{"item": "tea", "quantity": 0}', 400),
        ('{"item": "tea", "quantity": 100}', 400),
        ('{"item": "tea", "quantity": true}', 400),
        ('{"item": "matcha"}', 422),
    ],
)
def test_what_is_no_order_is_refused(orders: SimpleNamespace, body: str, status: int) -> None:
    answer = orders.client.post("/api/orders", content=body)

    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert (orders.store.orders, orders.queue.jobs) == ({}, [])


def test_the_owner_sees_orders_by_the_shops_front_and_the_key_goes_along(load: Load) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Answer:
        seen.append(request)
        return Answer(
            200, json.dumps({"orders": [ORDER, {**ORDER, "state": "new", "carrier": None}]}).encode()
        )

    program = load("shop-admin:1.0")
    with serving(answer) as address:
        routes = program.Admin(address).routes()
        with TestClient(load("shop-admin:1.0", "serving").application(routes)) as client:
            summary = client.get("/api/summary", headers=KEY)
            page = client.get("/").text

    assert summary.json() == {"orders": 2, "shipped": 1, "revenue": 1800}
    assert "<td>&lt;tea&gt;</td>" in page
    assert "<td>new</td><td></td>" in page
    assert [request.path for request in seen] == ["/api/orders"] * 2
    assert [request.headers.get("x-kardinal-flow") for request in seen] == ["dev", None]


def test_a_front_that_is_away_is_said(load: Load, capfd: pytest.CaptureFixture[str]) -> None:
    routes = load("shop-admin:1.0").Admin("http://127.0.0.1:1").routes()
    with TestClient(load("shop-admin:1.0", "serving").application(routes)) as client:
        answer = client.get("/api/summary")

    assert (answer.status_code, answer.json()) == (502, {"error": "a part of the shop does not answer"})
    assert "http://127.0.0.1:1/api/orders: " in capfd.readouterr().err


def test_the_form_is_an_order_with_the_key_of_its_request(load: Load) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Answer:
        seen.append(request)
        if b"tea" in request.body:
            return Answer(201, b'{"order": {"id": 7}}')
        return Answer(422, json.dumps({"error": "'x' is not sold"}).encode())

    with serving(answer) as address:
        routes = load("shop-web:1.0").Web(None, address).routes()
        application = load("shop-web:1.0", "serving").application(routes)
        with TestClient(application, follow_redirects=False) as client:
            taken = client.post("/order", data={"item": "tea"}, headers=KEY)
            refused = client.post("/order", content=b"\xff")

    assert (taken.status_code, taken.headers["location"]) == (303, "/api/orders/7")
    assert (seen[0].method, seen[0].path, json.loads(seen[0].body)) == (
        "POST",
        "/api/orders",
        {"item": "tea"},
    )
    assert seen[0].headers["x-kardinal-flow"] == "dev"
    assert (refused.status_code, refused.json()) == (422, {"error": "'x' is not sold"})
