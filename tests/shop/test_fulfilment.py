"""The worker: which jobs it does, which it drops, and which it tries again."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest

from tests.shop.conftest import Load

IMAGE = "shop-fulfilment:1.0"
JOB = '{"order": 7, "context": {"x-kardinal-flow": "dev"}}'


class Orders:
    """Stands for the database."""

    def __init__(self, **order: Any) -> None:
        self.order = {"item": "tea", **order} if order.get("id", 7) else None
        self.shipped: list[tuple[int, str, str]] = []

    def find(self, order: int) -> dict[str, Any] | None:
        return self.order

    def ship(self, order: int, carrier: str, shipped_by: str) -> bool:
        self.shipped.append((order, carrier, shipped_by))
        return len(self.shipped) == 1


class Catalog:
    """Stands for the catalog; fails as often as it is told."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked: list[tuple[str, dict[str, str]]] = []

    def find(self, item: str, context: dict[str, str]) -> tuple[str, SimpleNamespace]:
        self.asked.append((item, context))
        if self.errors:
            raise self.errors.pop(0)
        return "dev", SimpleNamespace(parcel="box")


class Jobs:
    """Stands for the queue; when it is empty, the worker is told to stop."""

    def __init__(self, stopping: threading.Event, *jobs: str) -> None:
        self.finished: list[Any] = []
        self.jobs, self.stopping = list(jobs), stopping

    def take_back(self) -> None:
        pass

    def take(self, seconds: int) -> str | None:
        if self.jobs:
            return self.jobs.pop(0)
        self.stopping.set()
        return None

    def done(self, text: str) -> None:
        self.finished.append(text)


def test_an_order_goes_by_the_carrier_of_its_parcel_and_the_key_of_its_job_goes_along(load: Load) -> None:
    orders, catalog = Orders(), Catalog()
    worker = load(IMAGE).Worker("1.0", {"box": "van"}, orders, catalog)

    assert worker.ship(JOB) == "order 7 goes by van"
    assert orders.shipped == [(7, "van", "1.0")]
    assert catalog.asked == [("tea", {"x-kardinal-flow": "dev"})]
    assert worker.ship(JOB) == "order 7 was shipped before"


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"order": 7}', '{"order": "7", "context": {}}', '{"order": 7, "context": {"baggage": 1}}'],
)
def test_what_is_no_job_is_dropped(load: Load, text: str) -> None:
    catalog = Catalog()
    worker = load(IMAGE).Worker("1.0", {}, Orders(), catalog)

    assert worker.ship(text).startswith("this is no job: ")
    assert catalog.asked == []


def test_a_job_whose_order_is_not_there_is_dropped(load: Load) -> None:
    worker = load(IMAGE).Worker("1.0", {}, Orders(id=0), Catalog())

    assert worker.ship(JOB) == "order 7 is not in the database"


def test_a_job_stays_with_the_worker_until_it_is_done(
    load: Load, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program = load(IMAGE)
    monkeypatch.setattr(program, "WAIT_SECONDS", 0)
    down = load(IMAGE, "catalog").CatalogError("UNAVAILABLE: away")
    stopping = threading.Event()
    orders, queue = Orders(), Jobs(stopping, "nonsense", JOB)
    worker = program.Worker("1.0", {"box": "van"}, orders, Catalog(down, psycopg2.OperationalError("gone")))

    program.work(worker, queue, stopping)

    assert queue.finished == ["nonsense", JOB]
    assert orders.shipped == [(7, "van", "1.0")]
    said = capfd.readouterr().err
    assert [word in said for word in ("UNAVAILABLE: away", "gone", "goes by van")] == [True] * 3


def test_a_job_reads_as_it_was_written(load: Load) -> None:
    job = load(IMAGE, "jobs").Job
    written = job(7, {"baggage": "kardinal-flow=dev"})

    assert job.from_text(written.to_text()) == written
