"""The queue of orders to be shipped: a list on a Redis server, each job with the context of its request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import redis

SILENCE_SECONDS = 10.0


class JobError(Exception):
    """A job that cannot be read."""


@dataclass(frozen=True)
class Job:
    """An order to be shipped.

    Attributes:
        order: Its number.
        context: What the request that placed the order was told to hand on.
    """

    order: int
    context: Mapping[str, str]

    def to_text(self) -> str:
        """The job as it stands in the queue."""
        return json.dumps({"order": self.order, "context": dict(self.context)})

    @classmethod
    def from_text(cls, text: str) -> "Job":
        """Reads a job.

        Raises:
            JobError: It is none.
        """
        try:
            found = json.loads(text)
            job = cls(found["order"], found["context"])
        except (ValueError, TypeError, KeyError) as error:
            raise JobError(f"this is no job: {text[:100]!r}") from error
        texts = isinstance(job.context, dict) and all(isinstance(text, str) for text in job.context.values())
        if type(job.order) is not int or not texts:
            raise JobError(f"this is no job: {text[:100]!r}")
        return job


class Queue:
    """A queue; a job that was taken stays known until it is done.

    Args:
        url: The server, `redis://host:port`.
        name: The queue.
    """

    def __init__(self, url: str, name: str) -> None:
        self._server = redis.Redis.from_url(
            url, decode_responses=True, socket_timeout=SILENCE_SECONDS, socket_connect_timeout=SILENCE_SECONDS
        )
        self._waiting, self._taken = name, f"{name}:taken"

    def put(self, job: Job) -> None:
        """Adds a job.

        Raises:
            redis.RedisError: The server is out of reach.
        """
        self._server.lpush(self._waiting, job.to_text())

    def take(self, seconds: int) -> str | None:
        """Takes the oldest job.

        Args:
            seconds: How long to wait for one.

        Returns:
            The job as text, for `done`; None when there was none.

        Raises:
            redis.RedisError: The server is out of reach.
        """
        taken = self._server.blmove(self._waiting, self._taken, seconds, "RIGHT", "LEFT")
        return cast("str | None", taken)  # decoded, as the server was asked to

    def done(self, text: str) -> None:
        """Forgets a job that was taken.

        Raises:
            redis.RedisError: The server is out of reach.
        """
        self._server.lrem(self._taken, 1, text)

    def take_back(self) -> None:
        """Puts jobs back that a worker took and did not finish; they go first.

        Raises:
            redis.RedisError: The server is out of reach.
        """
        while self._server.lmove(self._taken, self._waiting, "LEFT", "RIGHT"):
            pass
