"""admin: what the shop's owner sees.

    GET  /                 all orders
    GET  /api/summary      {"orders": 7, "shipped": 5, "revenue": 12300}, revenue in cents

It reads the orders where everybody does, behind the shop's front. Settings, from the environment: `SHOP_URL`
(http://web), `PORT` (8000).
"""

import os
from collections.abc import Sequence
from html import escape
from typing import Any

from serving import ask, serve
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

OK = 200
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Orders</title></head>
<body><table>{rows}</table></body>
</html>
"""
COLUMNS = ("id", "item", "quantity", "price", "priced_by", "state", "carrier", "shipped_by")


class Admin:
    """What the service answers.

    Args:
        shop: URL of the shop's front.
    """

    def __init__(self, shop: str) -> None:
        self._shop = shop

    def routes(self) -> list[Route]:
        """The service's routes."""
        return [
            Route("/", self.page, methods=["GET"]),
            Route("/api/summary", self.summary, methods=["GET"]),
        ]

    def page(self, request: Request) -> Response:
        """Shows the orders."""
        return HTMLResponse(PAGE.format(rows=table(self._orders(request))))

    def summary(self, request: Request) -> Response:
        """Counts the orders."""
        return JSONResponse(summarize(self._orders(request)))

    def _orders(self, request: Request) -> list[dict[str, Any]]:
        answer = ask(request, "GET", f"{self._shop}/api/orders")
        if answer.status_code != OK:
            raise HTTPException(502, "the orders cannot be read")
        orders: list[dict[str, Any]] = answer.json()["orders"]
        return orders


def summarize(orders: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Counts orders.

    Args:
        orders: As the service `orders` gives them.

    Returns:
        How many there are, how many of them are shipped, and what all of them cost together, in cents.
    """
    return {
        "orders": len(orders),
        "shipped": sum(order["state"] == "shipped" for order in orders),
        "revenue": sum(order["price"] for order in orders),
    }


def table(orders: Sequence[dict[str, Any]]) -> str:
    """Writes orders as the rows of an HTML table.

    Args:
        orders: As the service `orders` gives them.
    """
    rows = [COLUMNS, *([order[column] for column in COLUMNS] for order in orders)]
    cells = ("".join(f"<td>{escape('' if cell is None else str(cell))}</td>" for cell in row) for row in rows)
    return "".join(f"<tr>{row}</tr>" for row in cells)


def main() -> None:
    """Runs the service."""
    serve("admin", Admin(os.environ.get("SHOP_URL", "http://web").rstrip("/")).routes())


if __name__ == "__main__":
    main()
