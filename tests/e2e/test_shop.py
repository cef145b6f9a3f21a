"""A flow over several services of the tea shop: paths, gRPC, a worker and its queue, two entries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.demo_cluster import Object, differences
from lab.demo_images import SHOP
from lab.settings import Lab
from tests.e2e.bringup import NeonService
from tests.e2e.shop import NAMESPACE, Shop, adopted_shop, flow_config

pytestmark = [pytest.mark.lab, pytest.mark.engine]

FLOW = "dev"
PRODUCTION = {"tea": 450, "teapot": 2900}
DEV = {"tea": 390, "teapot": 2900, "matcha": 1200}


README = (SHOP / "README.md").read_text()


@dataclass(frozen=True)
class Before:
    """The shop before its flow.

    Attributes:
        objects: Of the namespace.
        branches: Of the database.
        order: One of production's orders, shipped.
    """

    objects: dict[str, Object]
    branches: dict[str, str]
    order: int


@pytest.fixture(scope="module")
def shop(lab: Lab, lab_environment: dict[str, str], neon: NeonService, workplace: Path) -> Iterator[Shop]:
    with adopted_shop(lab, lab_environment, neon, workplace / "shop") as found:
        yield found


@pytest.fixture(scope="module")
def before(shop: Shop) -> Before:
    placed = shop.place(shop.front(), "tea", 2)
    order = shop.shipped(shop.front(), placed["id"])
    assert (order["price"], order["priced_by"]) == (900, "1.0")
    assert (order["carrier"], order["shipped_by"]) == ("post", "1.0")
    return Before(shop.objects(), shop.databases.branches(), order["id"])


@pytest.fixture(scope="module")
def flow(shop: Shop, before: Before) -> Iterator[str]:
    """The flow of the example: it requests another catalog and another worker."""
    shop.declare_flow(FLOW, **flow_config(FLOW))
    told = " ".join(shop.project.pulumi("preview", "-s", FLOW).output.split())
    shop.up(FLOW)
    # The README's plan is the one of the example's own namespace and Neon project.
    shown = " ".join(README.partition(f'Flow "{FLOW}" beside')[2].partition("```")[0].split())
    assert shown in told.replace(NAMESPACE, "shop").replace(shop.databases.project, "shop")
    yield FLOW
    shop.remove_flow(FLOW)


def sold(shop: Shop, flow: str = "", **headers: str) -> dict[str, int]:
    """Prices as the shop's front tells them."""
    answer = shop.front(flow).ask("GET", "/api/items", headers=headers)
    assert answer.status_code == 200, answer.text
    return {item["item"]: item["price"] for item in answer.json()["items"]}


def test_what_they_share_with_others_is_forked_with_the_requested_services(shop: Shop, flow: str) -> None:
    outputs = shop.project.outputs(flow)
    assert {name: item["reason"] for name, item in outputs["services"].items()} == {
        "catalog": "requested",
        "fulfilment": "requested",
        "orders": "uses-database",
        "queue": "fresh-store",
    }
    shop.up(flow, "--expect-no-changes")


def test_the_page_is_productions_and_shows_the_flows_catalog_by_grpc(shop: Shop, flow: str) -> None:
    assert sold(shop, flow) == DEV
    assert sold(shop) == PRODUCTION
    page = shop.front(flow).ask("GET", "/")
    assert "matcha" in page.text
    assert page.headers["x-kardinal-flow"] == flow
    assert "x-kardinal-fork" not in page.headers
    assert "matcha" not in shop.front().ask("GET", "/").text


def test_an_order_of_the_flow_stays_in_it_from_the_path_rule_to_the_workers_row(
    shop: Shop, before: Before, flow: str
) -> None:
    rows, queued = shop.rows("main"), shop.queued()

    listed = shop.front(flow).ask("GET", "/api/orders")
    by_path = shop.place(shop.front(flow), "tea")
    by_form = shop.front(flow).ask("POST", "/order", {"item": "matcha"})

    assert listed.headers["x-kardinal-fork"] == f"orders-{flow}"
    assert before.order in {order["id"] for order in listed.json()["orders"]}
    assert by_form.status_code == 303, by_form.text
    number = int(by_form.headers["location"].rpartition("/")[2])
    for order, price, carrier in ((by_path["id"], 390, "drone"), (number, 1200, "bicycle")):
        shipped = shop.shipped(shop.front(flow), order)
        assert (shipped["price"], shipped["priced_by"]) == (price, "dev")
        # The kind of parcel is the flow's catalog's: its worker asked with the key that the job carried.
        assert (shipped["carrier"], shipped["shipped_by"]) == (carrier, "dev")
    assert [row["id"] for row in shop.rows(shop.branch(flow))][-2:] == [by_path["id"], number]
    assert shop.rows("main") == rows
    assert (shop.queued(), shop.queued(f"queue-{flow}-0")) == (queued, 2)


def test_the_second_entry_shows_the_flows_orders_through_the_mesh(shop: Shop, flow: str) -> None:
    placed = shop.place(shop.front(flow), "matcha", 3)

    seen, others = (shop.admin(name).ask("GET", "/").text for name in (flow, ""))

    assert f"<td>{placed['id']}</td><td>matcha</td><td>3</td><td>3600</td><td>dev</td>" in seen
    assert "matcha" not in others
    summaries = [shop.admin(name).ask("GET", "/api/summary").json() for name in (flow, "")]
    assert summaries[1]["orders"] == len(shop.rows("main"))
    assert summaries[0]["orders"] == len(shop.rows(shop.branch(flow)))


@pytest.mark.parametrize("headers", [{}, {"x-kardinal-flow": FLOW}], ids=["untagged", "forged"])
def test_production_answers_production_in_every_hop(shop: Shop, flow: str, headers: dict[str, str]) -> None:
    branch, queued = shop.rows(shop.branch(flow)), shop.queued(f"queue-{flow}-0")

    assert sold(shop, **headers) == PRODUCTION
    order = {"item": "teapot", "quantity": 1}
    answer = shop.front().ask("POST", "/api/orders", document=order, headers=headers)
    refused = shop.front().ask("POST", "/api/orders", document={"item": "matcha"}, headers=headers)
    seen = shop.admin().ask("GET", "/api/summary", headers=headers)

    shipped = shop.shipped(shop.front(), answer.json()["order"]["id"])
    assert (shipped["priced_by"], shipped["carrier"], shipped["shipped_by"]) == ("1.0", "van", "1.0")
    assert shop.rows("main")[-1] == shipped
    assert (refused.status_code, refused.json()) == (422, {"error": "'matcha' is not sold"})
    assert seen.json()["orders"] == len(shop.rows("main"))
    for given in (answer, refused, seen):
        assert not {"x-kardinal-flow", "x-kardinal-fork"} & given.headers.keys()
    assert shop.rows(shop.branch(flow)) == branch
    assert shop.queued(f"queue-{flow}-0") == queued


def test_the_analyzer_has_nothing_to_say_with_the_flow(shop: Shop, flow: str) -> None:
    assert shop.analyze() == ["✔ No validation issues found when analyzing namespace: NAMESPACE."], flow


def test_the_flows_queue_is_a_stateful_set_with_a_claim_and_a_service_of_its_own(
    shop: Shop, flow: str
) -> None:
    claims = json.loads(shop.kubectl("get", "pvc", "-o", "json"))["items"]
    volumes = {item["metadata"]["name"]: item["spec"]["volumeName"] for item in claims}
    assert volumes.keys() == {"data-queue-0", f"data-queue-{flow}-0"}
    assert len(set(volumes.values())) == 2
    service = shop.cluster.get(shop.path("services", f"queue-{flow}"))
    assert service is not None
    assert service["spec"]["clusterIP"] != "None"


def test_destroy_leaves_nothing(shop: Shop, before: Before, flow: str) -> None:
    shop.destroy(flow)

    assert differences(before.objects, shop.objects()) == []
    assert shop.databases.branches() == before.branches
    assert shop.left_of(flow) == []
    assert shop.kubectl("exec", "queue-0", "-c", "queue", "--", "redis-cli", "dbsize").strip() == "0"
    again = shop.shipped(shop.front(), shop.place(shop.front(), "tea")["id"])
    assert (again["priced_by"], again["shipped_by"]) == ("1.0", "1.0")
