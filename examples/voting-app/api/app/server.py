"""votes-api: counts votes over HTTP and keeps them in PostgreSQL.

    GET  /votes                        {"options": ["Cats", ...], "counts": {"Cats": 312, ...}, "total": 600}
    POST /votes   {"option": "Cats"}   201 and the new counts
    GET  /healthz                      the process answers
    GET  /readyz                       the database answers too

Settings, all from the environment: `DATABASE_URL` (required), `SEED_VOTES` ("Cats=312,Dogs=288": votes of a
new database), `PORT` (8000), `DRAIN_SECONDS` (1).
"""

import json
import os
import sys
from http import HTTPStatus

import psycopg2
from serving import Handler, RequestError, serve
from store import Store, UnknownOptionError


class VotesHandler(Handler):
    """One request to votes-api."""

    routes = {  # noqa: RUF012  (never changed)
        ("GET", "/votes"): "show",
        ("POST", "/votes"): "vote",
        ("GET", "/healthz"): "healthy",
        ("GET", "/readyz"): "ready",
    }
    store: Store

    def show(self) -> None:
        """Answers with the counts."""
        self._send_counts(HTTPStatus.OK)

    def vote(self) -> None:
        """Takes one vote."""
        try:
            request = json.loads(self.body)
        except ValueError:
            request = None
        if not isinstance(request, dict) or not isinstance(request.get("option"), str):
            raise RequestError(HTTPStatus.BAD_REQUEST, 'expected a JSON object {"option": "<name>"}')
        try:
            self.store.vote(request["option"])
        except UnknownOptionError as error:
            raise RequestError(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"there is no option {str(error)!r}"
            ) from error
        except psycopg2.Error as error:
            raise self._unavailable(error) from error
        self._send_counts(HTTPStatus.CREATED)

    def healthy(self) -> None:
        """Answers while the process lives."""
        self.send_json({"status": "ok"})

    def ready(self) -> None:
        """Answers 200 once the database can be used."""
        try:
            self.store.ping()
        except psycopg2.Error as error:
            raise self._unavailable(error) from error
        self.send_json({"status": "ok"})

    def _send_counts(self, status: HTTPStatus) -> None:
        try:
            counts = self.store.counts()
        except psycopg2.Error as error:
            raise self._unavailable(error) from error
        self.send_json({"options": list(counts), "counts": counts, "total": sum(counts.values())}, status)

    def _unavailable(self, error: psycopg2.Error) -> RequestError:
        # libpq names host, user and database in its messages, never the password.
        print(f"database: {str(error).strip()}", file=sys.stderr, flush=True)
        return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "the database is not available")


def parse_seed(text: str) -> dict[str, int]:
    """Reads `SEED_VOTES`.

    Args:
        text: Options and votes, e.g. "Cats=312,Dogs=288"; may be empty.

    Returns:
        Votes per option.

    Raises:
        ValueError: Lists every part that is not `<option>=<number>`.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    pairs = [part.rpartition("=") for part in parts]
    wrong = [
        part for part, (name, _, votes) in zip(parts, pairs, strict=True) if not name or not votes.isdigit()
    ]
    if wrong:
        raise ValueError("SEED_VOTES: expected <option>=<number>, got " + ", ".join(map(repr, wrong)))
    return {name.strip(): int(votes) for name, _, votes in pairs}


def main() -> None:
    """Runs the service."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit("votes-api: set DATABASE_URL to the PostgreSQL database, e.g. postgresql://user@host/votes")
    try:
        VotesHandler.store = Store(url, parse_seed(os.environ.get("SEED_VOTES", "")))
    except ValueError as error:
        sys.exit(f"votes-api: {error}")
    serve(VotesHandler, "votes-api")


if __name__ == "__main__":
    main()
