"""web: the shop's page.

    GET  /                 the page
    POST /order            the form (`item=tea`); back to the page
    GET  /api/items        what is sold, as JSON

Settings, from the environment: `CATALOG_ADDRESS` (catalog:80), `ORDERS_URL` (http://orders), `PORT` (8000).
"""

import os
import sys
from html import escape
from typing import Any
from urllib.parse import parse_qs

from catalog import Catalog, CatalogError
from context import context_of
from serving import ask, serve
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CREATED, SEE_OTHER = 201, 303

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>The tea shop</title></head>
<body>
<h1>The tea shop</h1>
<form method="post" action="/order"><table>{rows}</table></form>
<p>Catalog {release}. <a href="/api/orders">Orders</a></p>
</body>
</html>
"""
ROW = '<tr><td>{item}</td><td>{price}</td><td><button name="item" value="{item}">Order</button></td></tr>'


class Web:
    """What the service answers.

    Args:
        catalog: What is sold.
        orders: URL of the service that takes orders.
    """

    def __init__(self, catalog: Catalog, orders: str) -> None:
        self._catalog, self._orders = catalog, orders

    def routes(self) -> list[Route]:
        """The service's routes."""
        return [
            Route("/", self.page, methods=["GET"]),
            Route("/order", self.order, methods=["POST"]),
            Route("/api/items", self.items, methods=["GET"]),
        ]

    def page(self, request: Request) -> Response:
        """Shows what is sold."""
        sold = self._sold(request)
        rows = "".join(
            ROW.format(item=escape(item["item"]), price=f"{item['price'] / 100:.2f}")
            for item in sold["items"]
        )
        return HTMLResponse(PAGE.format(rows=rows, release=escape(sold["release"])))

    def items(self, request: Request) -> Response:
        """Tells what is sold."""
        return JSONResponse(self._sold(request))

    async def order(self, request: Request) -> Response:
        """Takes the form, then sends the browser on to the order."""
        item = parse_qs((await request.body()).decode(errors="replace")).get("item", [""])[0]
        answer = await run_in_threadpool(ask, request, "POST", f"{self._orders}/api/orders", {"item": item})
        if answer.status_code != CREATED:
            raise HTTPException(answer.status_code, answer.json().get("error", "the order was not taken"))
        return RedirectResponse(f"/api/orders/{answer.json()['order']['id']}", SEE_OTHER)

    def _sold(self, request: Request) -> dict[str, Any]:
        try:
            release, items = self._catalog.list(context_of(request.headers.items()))
        except CatalogError as error:
            print(f"catalog: {error}", file=sys.stderr, flush=True)
            raise HTTPException(503, "the catalog is not available") from error
        return {"release": release, "items": [vars(item) for item in items]}


def main() -> None:
    """Runs the service."""
    catalog = Catalog(os.environ.get("CATALOG_ADDRESS", "catalog:80"))
    serve("web", Web(catalog, os.environ.get("ORDERS_URL", "http://orders").rstrip("/")).routes())


if __name__ == "__main__":
    main()
