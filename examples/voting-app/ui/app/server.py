"""voting-app-ui: the voting app's web page.

    GET  /                 the page
    POST /vote             the form (`option=Cats`); back to the page
    GET  /api/votes        the counts as votes-api gives them, as JSON
    GET  /healthz          the process answers

Settings, all from the environment: `VOTES_API_URL` (http://votes-api), `PORT` (8000), `DRAIN_SECONDS` (1).
"""

import json
import os
import sys
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, quote, urlsplit
from urllib.request import Request, urlopen

from page import Release, render, render_error
from serving import Handler, RequestError, context_of, serve

ANSWER_SECONDS = 10  # votes-api may have to wait for its database


class PageHandler(Handler):
    """One request to the page."""

    routes = {  # noqa: RUF012  (never changed)
        ("GET", "/"): "page",
        ("POST", "/vote"): "vote",
        ("GET", "/api/votes"): "votes",
        ("GET", "/healthz"): "healthy",
    }
    release: Release
    votes_api: str

    def page(self) -> None:
        """Shows the options and their votes."""
        counts = self._call()["counts"]
        voted = parse_qs(urlsplit(self.path).query).get("voted", [""])[0]
        page = render(self.release, counts, self._flow, voted if voted in counts else None)
        self.send(page.encode(), "text/html; charset=utf-8")

    def vote(self) -> None:
        """Takes the form, then sends the browser back to the page, so that a reload does not vote again."""
        try:
            option = parse_qs(self.body.decode())["option"][0]
        except (KeyError, UnicodeDecodeError):
            raise RequestError(HTTPStatus.BAD_REQUEST, "Please choose an option.") from None
        self._call({"option": option})
        self.send(b"", "text/plain", HTTPStatus.SEE_OTHER, {"Location": f"/?voted={quote(option, safe='')}"})

    def votes(self) -> None:
        """Passes the counts on as JSON."""
        self.send_json(self._call())

    def healthy(self) -> None:
        """Answers while the process lives."""
        self.send_json({"status": "ok"})

    def refuse(self, error: RequestError) -> None:
        """Answers with an error: JSON to programs, a page to people."""
        if self.path.startswith("/api/"):
            super().refuse(error)
        else:
            page = render_error(self.release, str(error), self._flow)
            self.send(page.encode(), "text/html; charset=utf-8", error.status)

    @property
    def _flow(self) -> str | None:
        return self.headers.get("x-kardinal-flow")

    def _call(self, vote: dict[str, str] | None = None) -> dict[str, Any]:
        """Asks votes-api for the counts, or hands it a vote."""
        request = Request(  # noqa: S310  (the address is a setting)
            f"{self.votes_api}/votes",
            data=json.dumps(vote).encode() if vote else None,
            headers={**context_of(self.headers), "Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=ANSWER_SECONDS) as response:  # noqa: S310
                answer = json.load(response)
            if isinstance(answer, dict) and isinstance(answer.get("counts"), dict):
                return answer
            print("votes-api answered without counts", file=sys.stderr, flush=True)
        except HTTPError as error:
            if vote and error.code == HTTPStatus.UNPROCESSABLE_ENTITY:
                message = f"There is no option {vote['option']!r}."
                raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, message) from error
            print(f"votes-api answered {error.code}", file=sys.stderr, flush=True)
        except (OSError, ValueError) as error:
            print(f"votes-api: {error}", file=sys.stderr, flush=True)
        raise RequestError(HTTPStatus.BAD_GATEWAY, "The votes cannot be reached at the moment.")


def main() -> None:
    """Runs the service."""
    PageHandler.release = Release.load()
    PageHandler.votes_api = os.environ.get("VOTES_API_URL", "http://votes-api").rstrip("/")
    serve(PageHandler, "voting-app-ui")


if __name__ == "__main__":
    main()
