"""orders: takes orders and keeps them in PostgreSQL.

    GET  /api/orders       {"orders": [...]}, the newest first
    GET  /api/orders/7     {"order": {...}}
    POST /api/orders       {"item": "tea", "quantity": 2}; 201 {"order": {...}}, which the worker ships soon
    GET  /readyz           the database answers

Settings, from the environment: `DATABASE_URL`, `QUEUE_URL` and `QUEUE_NAME` (all required), `CATALOG_ADDRESS`
(catalog:80), `PORT` (8000).
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import psycopg2
import redis
from catalog import Catalog, CatalogError, NotSoldError
from context import context_of
from jobs import Job, Queue
from serving import serve
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from store import Store

MOST = 99
EXPECTED = f'expected a JSON object {{"item": "<name>", "quantity": <1 to {MOST}>}}'


class Orders:
    """What the service answers.

    Args:
        store: The orders.
        queue: The work of the worker.
        catalog: Says what things cost.
    """

    def __init__(self, store: Store, queue: Queue, catalog: Catalog) -> None:
        self._store, self._queue, self._catalog = store, queue, catalog

    def routes(self) -> list[Route]:
        """The service's routes."""
        return [
            Route("/api/orders", self.latest, methods=["GET"]),
            Route("/api/orders", self.place, methods=["POST"]),
            Route("/api/orders/{order:int}", self.show, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
        ]

    def latest(self, _: Request) -> Response:
        """Answers with the newest orders."""
        return JSONResponse({"orders": _stored(self._store.latest)})

    def show(self, request: Request) -> Response:
        """Answers with one order."""
        order = _stored(lambda: self._store.find(request.path_params["order"]))
        if order is None:
            raise HTTPException(404, "there is no such order")
        return JSONResponse({"order": order})

    async def place(self, request: Request) -> Response:
        """Takes an order."""
        item, quantity = read_order(await request.body())
        order = await run_in_threadpool(self._place, item, quantity, context_of(request.headers.items()))
        return JSONResponse({"order": order}, 201)

    def ready(self, _: Request) -> Response:
        """Answers 200 once the database can be used."""
        _stored(self._store.latest)
        return JSONResponse({"status": "ok"})

    def _place(self, name: str, quantity: int, context: dict[str, str]) -> dict[str, Any]:
        try:
            release, item = self._catalog.find(name, context)
        except NotSoldError as error:
            raise HTTPException(422, str(error)) from error
        except CatalogError as error:
            raise _unavailable("catalog", error) from error
        order: dict[str, Any] = _stored(
            lambda: self._store.place(item.item, quantity, quantity * item.price, release)
        )
        try:
            self._queue.put(Job(order["id"], context))
        except redis.RedisError as error:
            _stored(lambda: self._store.cancel(order["id"]))
            raise _unavailable("queue", error) from error
        return order


def read_order(body: bytes) -> tuple[str, int]:
    """Reads the body of an order.

    Args:
        body: JSON.

    Returns:
        Item and quantity.

    Raises:
        HTTPException: 400, if it is no order.
    """
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    item = found.get("item") if isinstance(found, dict) else None
    quantity = found.get("quantity", 1) if isinstance(found, dict) else None
    if not isinstance(item, str) or type(quantity) is not int or not 1 <= quantity <= MOST:
        raise HTTPException(400, EXPECTED)
    return item, quantity


def _stored(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except psycopg2.Error as error:
        raise _unavailable("database", error) from error


def _unavailable(part: str, error: Exception) -> HTTPException:
    # The clients name host and user in their messages, never a password.
    print(f"{part}: {str(error).strip()}", file=sys.stderr, flush=True)
    return HTTPException(503, f"the {part} is not available")


def main() -> None:
    """Runs the service."""
    missing = [name for name in ("DATABASE_URL", "QUEUE_URL", "QUEUE_NAME") if not os.environ.get(name)]
    if missing:
        sys.exit(f"orders: set {', '.join(missing)}")
    store = Store(os.environ["DATABASE_URL"], "orders")
    queue = Queue(os.environ["QUEUE_URL"], os.environ["QUEUE_NAME"])
    catalog = Catalog(os.environ.get("CATALOG_ADDRESS", "catalog:80"))
    serve("orders", Orders(store, queue, catalog).routes())


if __name__ == "__main__":
    main()
