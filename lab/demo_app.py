"""The voting app from outside: its page over HTTP, its rows by SQL, its branches by the Neon API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape

import httpx
import psycopg
from psycopg import sql

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.settings import resolve_settings
from kardinal_infra.errors import BranchingError
from lab.settings import LabError

_OPTION = re.compile(r'data-option="([^"]*)" data-votes="(\d+)"')


@dataclass(frozen=True)
class Answer:
    """One answer of the page.

    Attributes:
        status: HTTP status.
        counts: Votes per option as the page shows them.
        fork: Which fork answered, by the response header; None in production.
    """

    status: int
    counts: dict[str, int]
    fork: str | None


@dataclass(frozen=True)
class Page:
    """The voting app at one public host.

    Attributes:
        url: As a browser opens it.
        address: `host:port` to connect to instead of the URL's host.
    """

    url: str
    address: str

    def look(self) -> Answer:
        """Opens the page."""
        answer = self.ask("GET", "/")
        counts = {unescape(name): int(votes) for name, votes in _OPTION.findall(answer.text)}
        return Answer(answer.status_code, counts, answer.headers.get("x-kardinal-fork"))

    def vote(self, option: str, times: int = 1) -> None:
        """Votes by the page's form.

        Raises:
            LabError: The page did not take a vote.
        """
        for _ in range(times):
            answer = self.ask("POST", "/vote", {"option": option})
            if answer.status_code != httpx.codes.SEE_OTHER:
                raise LabError(f"{self.url}/vote answered {answer.status_code} to a vote for {option}")

    def ask(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        *,
        document: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Asks the host for something else than its page.

        Args:
            method: HTTP method.
            path: Path and query.
            form: Sent as a form.
            document: Sent as JSON.
            headers: Besides `Host`.

        Raises:
            LabError: There is no answer.
        """
        url = httpx.URL(self.url)
        host = url.host if url.port is None else f"{url.host}:{url.port}"
        target = f"{url.scheme}://{self.address or host}{path}"
        try:
            with httpx.Client(trust_env=False, timeout=15) as client:
                return client.request(
                    method,
                    target,
                    data=form,
                    json=document,
                    headers={**(headers or {}), "Host": host},
                    extensions={"sni_hostname": url.host},
                )
        except httpx.HTTPError as error:
            raise LabError(f"{target} (host {host}) does not answer: {error}") from error


@dataclass(frozen=True)
class Databases:
    """A Neon project as its owner sees it.

    Attributes:
        project: Its id.
        database: The database in every branch.
        role: The role that applications use.
        host: Address of the API.
        key: Its key; no repr shows it.
    """

    project: str
    database: str
    role: str
    host: str
    key: str

    def __repr__(self) -> str:
        """Names the project only."""
        return f"Databases({self.project!r})"

    def branches(self) -> dict[str, str]:
        """Branch ids by name."""
        with self._client() as client:
            return {found.branch.name: found.branch.id for found in client.branches.list(self.project)}

    def operations(self) -> list[str]:
        """Ids of all operations so far: every write of the API makes one."""
        with self._client() as client:
            return [operation.id for operation in client.operations.list(self.project)]

    def uri(self, branch: str) -> str:
        """The connection URI of a branch, with the password.

        Raises:
            LabError: There is no such branch, or the API refuses.
        """
        try:
            with self._client() as client:
                project = client.projects.find(self.project)
                found = client.branches.named(project.id, branch)
                if not found:
                    raise LabError(f"Neon project {self.project} has no branch {branch!r}")
                uri = client.connections.uri(
                    project.id, branch_id=found[0].branch.id, database=self.database, role=self.role
                )
                return uri.get_secret_value()
        except BranchingError as error:
            raise LabError(str(error)) from error

    def votes(self, branch: str) -> dict[str, int]:
        """Rows per option in a branch, by SQL."""
        return self.rows(branch, "option", "votes")

    def rows(self, branch: str, column: str, table: str) -> dict[str, int]:
        """Counts a table's rows by the values of a column."""
        query = sql.SQL("SELECT {column}, count(*) FROM {table} GROUP BY 1 ORDER BY 1").format(
            column=sql.Identifier(column), table=sql.Identifier(table)
        )
        with psycopg.connect(self.uri(branch)) as connection:
            return {str(value): int(count) for value, count in connection.execute(query).fetchall()}

    def delete(self, branch: str) -> None:
        """Deletes a branch, as a person would by hand."""
        with self._client() as client:
            change = client.branches.delete(self.project, self.branches()[branch])
            client.operations.wait(change.operations if change else [])

    def _client(self) -> NeonClient:
        variables = {"NEON_API_KEY": self.key, "NEON_API_HOST": self.host}
        return NeonClient(resolve_settings(environment=variables))
