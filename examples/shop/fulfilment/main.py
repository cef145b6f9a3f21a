"""fulfilment: takes orders from the queue and ships them. It listens on no port.

Settings, from the environment: `DATABASE_URL`, `QUEUE_URL` and `QUEUE_NAME` (all required), `CATALOG_ADDRESS`
(catalog:80). Who brings which kind of parcel comes with the image, in `fulfilment.json`.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import psycopg2
import redis
from catalog import Catalog, CatalogError, NotSoldError
from jobs import Job, JobError, Queue
from store import Store

RELEASE = Path(__file__).parent / "fulfilment.json"
WAIT_SECONDS = 1


class Worker:
    """Ships orders.

    Args:
        release: Name of the release.
        carriers: Carrier by kind of parcel.
        store: The orders.
        catalog: Says how things are packed.
    """

    def __init__(self, release: str, carriers: Mapping[str, str], store: Store, catalog: Catalog) -> None:
        self._release, self._carriers = release, carriers
        self._store, self._catalog = store, catalog

    def ship(self, text: str) -> str:
        """Does one job.

        Args:
            text: The job.

        Returns:
            What to say about it.

        Raises:
            CatalogError: The catalog does not answer; the job is to be tried again.
            psycopg2.Error: The database is out of reach; the job is to be tried again.
        """
        try:
            job = Job.from_text(text)
        except JobError as error:
            return str(error)
        order = self._store.find(job.order)
        if order is None:
            return f"order {job.order} is not in the database"
        try:
            # The job says whose request it was: a flow's is answered by the flow's catalog.
            _, item = self._catalog.find(order["item"], job.context)
        except NotSoldError as error:
            return f"order {job.order}: {error}"
        carrier = self._carriers[item.parcel]
        shipped = self._store.ship(job.order, carrier, self._release)
        return f"order {job.order} {f'goes by {carrier}' if shipped else 'was shipped before'}"


def work(worker: Worker, queue: Queue, stopping: threading.Event) -> None:
    """Takes jobs one after the other until it is told to stop; one that fails is tried again.

    Args:
        worker: Does them.
        queue: Where they come from.
        stopping: Set to end it.
    """
    queue_read, job = False, None
    while not stopping.is_set():
        try:
            if not queue_read:
                queue.take_back()  # what a worker that was killed had taken
                queue_read = True
            job = job or queue.take(WAIT_SECONDS)
            if job is not None:
                _say(worker.ship(job))
                queue.done(job)
                job = None
        except (redis.RedisError, psycopg2.Error, CatalogError) as error:
            _say(str(error).strip())
            stopping.wait(WAIT_SECONDS)


def _say(text: str) -> None:
    print(f"fulfilment: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Runs the worker."""
    missing = [name for name in ("DATABASE_URL", "QUEUE_URL", "QUEUE_NAME") if not os.environ.get(name)]
    if missing:
        sys.exit(f"fulfilment: set {', '.join(missing)}")
    release = json.loads(RELEASE.read_text())
    worker = Worker(
        release["release"],
        release["carriers"],
        Store(os.environ["DATABASE_URL"], "fulfilment"),
        Catalog(os.environ.get("CATALOG_ADDRESS", "catalog:80")),
    )
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    _say(f"release {release['release']} takes work from {os.environ['QUEUE_NAME']}")
    work(worker, Queue(os.environ["QUEUE_URL"], os.environ["QUEUE_NAME"]), stopping)
    _say("stopped")


if __name__ == "__main__":
    main()
