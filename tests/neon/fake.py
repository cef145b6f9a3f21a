"""A Neon in memory, for error paths and crash schedules; the local service gives the real answers."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import httpx

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.clock import Clock
from kardinal_infra.databases.neon.settings import resolve_settings
from tests.neon.fake_masking import FakeMasking
from tests.neon.fake_parts import FakeParts

KEY = "napi_0123456789abcdefghijklmnop"
PROJECT = "quiet-sea-12345678"
MAIN = "br-main-sea-a1b2c3d4"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
PARENT_PASSWORD = "production-secret"

Json = dict[str, Any]


class Crash(BaseException):
    """The process dies here: nothing that catches exceptions may run."""


@dataclass
class FakeTime:
    """Time that passes only when somebody sleeps; without a jitter of its own it is the same in every run."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)
    jitter: Callable[[float, float], float] | None = None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def clock(self) -> Clock:
        return Clock(
            monotonic=lambda: self.seconds,
            sleep=self.sleep,
            utc_now=lambda: NOW + timedelta(seconds=self.seconds),
            jitter=self.jitter or random.Random(7).uniform,
        )


@dataclass
class Request:
    """One request as the fake saw it."""

    method: str
    path: str
    params: dict[str, str]
    body: Json
    headers: httpx.Headers

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


Fault = Callable[[Request, int, str], httpx.Response | None]
"""Called with the request, its number and "before" or "after" its execution; may answer instead or raise."""


def error(status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(
        status, json={"code": code, "message": message, "request_id": "r-1"}, headers=headers
    )


class FakeNeon(FakeParts):
    """Projects, branches, endpoints, roles and operations, with faults on demand."""

    def __init__(self) -> None:
        self.reset()

    # Setting up and looking.

    def reset(self) -> None:
        """Goes back to one project with its main branch."""
        self.ids = itertools.count(1)
        self.branches: dict[str, Json] = {}
        self.annotations: dict[str, dict[str, str]] = {}
        self.endpoints: dict[str, Json] = {}
        self.passwords: dict[tuple[str, str], str] = {}
        self.operations: list[Json] = []
        self.requests: list[Request] = []
        self.fault: Fault | None = None
        self.store_passwords = True
        self.page_size = 1000
        self.polls_until_done = 1
        self.databases = ["votes"]
        self.roles = ["votes_owner"]
        self.added_databases: dict[str, dict[str, str]] = {}
        self.added_roles: dict[str, list[str]] = {}
        self.tables: list[Json] = []
        self.masking: dict[str, FakeMasking] = {}
        self.masking_failure: str | None = None
        self.masks_by_itself = True
        self.most_branches = 1000
        self.history_seconds: int | None = 86400
        self.add_branch("main", id=MAIN, default=True)

    def client(self, time: FakeTime | None = None) -> NeonClient:
        return NeonClient(
            resolve_settings(environment={"NEON_API_KEY": KEY}),
            clock=(time or FakeTime()).clock(),
            transport=httpx.MockTransport(self.handle),
        )

    def add_branch(
        self,
        name: str,
        *,
        id: str | None = None,
        parent: str | None = None,
        annotations: dict[str, str] | None = None,
        endpoint: bool = True,
        **fields: Any,
    ) -> str:
        number = next(self.ids)
        branch_id = id or f"br-test-branch-{number:08d}"
        self.branches[branch_id] = {
            "id": branch_id,
            "project_id": PROJECT,
            "name": name,
            "parent_id": parent,
            "parent_lsn": f"0/{number:X}" if parent else None,
            "current_state": "ready",
            "default": False,
            "protected": False,
            **fields,
        }
        self.annotations[branch_id] = annotations or {}
        for role in self.roles:
            inherited = self.passwords.get((parent or "", role), PARENT_PASSWORD)
            if parent and self.branches[parent]["protected"]:
                inherited = f"generated-{number}"
            self.passwords[branch_id, role] = inherited
        self.added_databases[branch_id], self.added_roles[branch_id] = {}, []
        if endpoint:
            self.add_endpoint(branch_id)
        return branch_id

    def add_endpoint(self, branch_id: str, options: Json | None = None) -> Json:
        endpoint_id = f"ep-test-{next(self.ids):08d}"
        self.endpoints[endpoint_id] = {
            "id": endpoint_id,
            "project_id": PROJECT,
            "branch_id": branch_id,
            "host": f"{endpoint_id}.eu-1.test",
            "type": "read_write",
            "current_state": "active",
            "autoscaling_limit_min_cu": 0.25,
            "autoscaling_limit_max_cu": 0.25,
            "suspend_timeout_seconds": 0,
            **(options or {}),
        }
        return self.endpoints[endpoint_id]

    def named(self, name: str) -> list[Json]:
        return [branch for branch in self.branches.values() if branch["name"] == name]

    def sent(self, method: str, part: str = "") -> list[Request]:
        return [request for request in self.requests if request.method == method and part in request.path]

    # Answering.

    def handle(self, raw: httpx.Request) -> httpx.Response:
        request = Request(
            raw.method,
            unquote(raw.url.raw_path.decode().partition("?")[0]).removeprefix("/api/v2"),
            dict(raw.url.params),
            json.loads(raw.content) if raw.content else {},
            raw.headers,
        )
        self.requests.append(request)
        number = len(self.requests)
        if self.fault and (answer := self.fault(request, number, "before")) is not None:
            return answer
        answer = self._answer(request)
        if self.fault and (instead := self.fault(request, number, "after")) is not None:
            return instead
        return answer

    def _answer(self, request: Request) -> httpx.Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return error(401, "This request is not authorized")
        match request.path.strip("/").split("/"):
            case ["projects"]:
                return httpx.Response(
                    200, json={"projects": [self._project()], "pagination": {"cursor": "c"}}
                )
            case ["projects", project, *_] if project != PROJECT:
                return error(404, "project not found")
            case ["projects", _]:
                return httpx.Response(200, json={"project": self._project()})
            case ["projects", _, "branches"]:
                return self._list(request) if request.method == "GET" else self._create(request)
            case ["projects", _, "branches", branch_id, *rest]:
                return self._branch(request, branch_id, rest)
            case ["projects", _, "branch_anonymized"]:
                return self._create(request, masked=True)
            case ["projects", _, "endpoints"]:
                return self._create_endpoint(request.body["endpoint"]["branch_id"])
            case ["projects", _, "endpoints", endpoint_id]:
                return self._resize(endpoint_id, request.body["endpoint"])
            case ["projects", _, "operations"]:
                found = list(reversed(self.operations))
                return httpx.Response(200, json={"operations": found, "pagination": {"cursor": "x"}})
            case ["projects", _, "operations", operation_id]:
                return self._operation(operation_id)
            case ["projects", _, "connection_uri"]:
                return self._uri(request.params)
        return error(404, f"no such path {request.path}")

    def _project(self) -> Json:
        return {
            "id": PROJECT,
            "name": "voting",
            "store_passwords": self.store_passwords,
            "history_retention_seconds": self.history_seconds,
            "default_endpoint_settings": {"autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": 0.5},
        }

    def _list(self, request: Request) -> httpx.Response:
        wanted = request.params.get("search", "")
        found = [b for b in self.branches.values() if wanted in b["name"] or wanted in b["id"]]
        start = int(request.params.get("cursor", "0"))
        page = found[start : start + self.page_size]
        marks = {b["id"]: self._annotation(b["id"]) for b in page if self.annotations[b["id"]]}
        # A cursor on the last page as well, as Neon has been seen to do.
        pagination = {"next": str(min(start + self.page_size, len(found))), "sort_order": "DESC"}
        return httpx.Response(200, json={"branches": page, "annotations": marks, "pagination": pagination})

    def _annotation(self, branch_id: str) -> Json:
        return {"object": {"type": "console/branch", "id": branch_id}, "value": self.annotations[branch_id]}

    def _create(self, request: Request, *, masked: bool = False) -> httpx.Response:
        whole = request.body["branch_create"] if masked else request.body
        wanted = whole["branch"]
        if self.named(wanted["name"]):
            return error(409, f'branch already exists; branch_name:"{wanted["name"]}"')
        if wanted["parent_id"] not in self.branches:
            return error(404, "parent branch not found")
        if len(self.branches) >= self.most_branches:
            return error(422, "branches limit exceeded", "BRANCHES_LIMIT_EXCEEDED")
        rooted = wanted.get("init_source") == "schema-only"
        branch_id = self.add_branch(
            wanted["name"],
            parent=None if rooted else wanted["parent_id"],
            annotations=request.body.get("annotation_value"),
            endpoint=False,
            **{
                name: wanted[name]
                for name in ("expires_at", "init_source", "parent_lsn", "parent_timestamp")
                if name in wanted and not (rooted and name.startswith("parent_"))
            },
        )
        for options in whole.get("endpoints") or ():
            self.add_endpoint(branch_id, options)
        if masked:
            start = request.body["start_anonymization"] and self.masks_by_itself
            self.masking[branch_id] = FakeMasking(
                request.body["masking_rules"], start=start, failure=self.masking_failure
            )
        started = [self._start("create_branch", branch_id), self._start("start_compute", branch_id)]
        return httpx.Response(201, json={"branch": self.branches[branch_id], "operations": started})

    def _branch(self, request: Request, branch_id: str, rest: list[str]) -> httpx.Response:
        if branch_id not in self.branches:
            return httpx.Response(204) if request.method == "DELETE" else error(404, "branch not found")
        branch = self.branches[branch_id]
        match request.method, rest:
            case "GET", []:
                return httpx.Response(200, json={"branch": branch, "annotation": self._annotation(branch_id)})
            case "PATCH", []:
                return self._patch(branch, request.body["branch"])
            case "DELETE", []:
                return self._delete(branch)
            case "GET", ["endpoints"]:
                found = [e for e in self.endpoints.values() if e["branch_id"] == branch_id]
                return httpx.Response(200, json={"endpoints": found})
            case "GET", ["schema"] if request.params["format"] == "json":
                return httpx.Response(200, json={"json": {"tables": self.tables}})
            case _, ["roles" | "databases" as kind, *names]:
                return self._part(request.method, branch_id, kind, names, request.body)
            case method, [what] if branch_id in self.masking:
                answer = self.masking[branch_id].call(method, what, request.body, (PROJECT, branch_id))
                if answer is not None:
                    return answer
        return error(404, f"no such path {request}")

    def _patch(self, branch: Json, changes: Json) -> httpx.Response:
        name = changes.get("name")
        if name and any(other is not branch for other in self.named(name)):
            return error(409, f'branch already exists; branch_name:"{name}"')
        if changes.get("expires_at") and any(b["parent_id"] == branch["id"] for b in self.branches.values()):
            return error(422, "a branch with children cannot expire")
        branch.update(changes)
        return httpx.Response(200, json={"branch": branch, "operations": []})

    def _delete(self, branch: Json) -> httpx.Response:
        children = [b for b in self.branches.values() if b["parent_id"] == branch["id"]]
        if branch["default"] or branch["protected"] or children:
            return error(422, "cannot delete this branch")
        del self.branches[branch["id"]]
        for endpoint in [e for e in self.endpoints.values() if e["branch_id"] == branch["id"]]:
            del self.endpoints[endpoint["id"]]
        return httpx.Response(
            200, json={"branch": branch, "operations": [self._start("delete_timeline", branch["id"])]}
        )

    def _create_endpoint(self, branch_id: str) -> httpx.Response:
        if any(e["branch_id"] == branch_id for e in self.endpoints.values()):
            return error(409, "read_write endpoint already exists")
        return httpx.Response(
            201,
            json={
                "endpoint": self.add_endpoint(branch_id),
                "operations": [self._start("start_compute", branch_id)],
            },
        )

    def _start(self, action: str, branch_id: str) -> Json:
        number = next(self.ids)
        operation = {
            "id": f"00000000-0000-0000-0000-{number:012d}",
            "project_id": PROJECT,
            "branch_id": branch_id,
            "action": action,
            "status": "running",
            "failures_count": 0,
            "updated_at": NOW.isoformat(),
            "polls": 0,
        }
        self.operations.append(operation)
        return dict(operation)

    def _operation(self, operation_id: str) -> httpx.Response:
        for operation in self.operations:
            if operation["id"] == operation_id:
                operation["polls"] += 1
                if operation["polls"] >= self.polls_until_done and operation["status"] == "running":
                    operation["status"] = "finished"
                return httpx.Response(200, json={"operation": operation})
        return error(404, "operation not found")

    def _uri(self, params: dict[str, str]) -> httpx.Response:
        branch_id = params.get("branch_id", MAIN)
        role, database = params["role_name"], params["database_name"]
        if (
            branch_id not in self.branches
            or role not in self.roles_of(branch_id)
            or database not in self.owners(branch_id)
        ):
            return error(404, "not found")
        if not self.store_passwords:
            return error(412, "password storage is disabled")
        endpoint = next(e for e in self.endpoints.values() if e["branch_id"] == branch_id)
        host = endpoint["host"]
        if params.get("pooled") == "true":
            host = host.replace(endpoint["id"], endpoint["id"] + "-pooler")
        password = httpx.QueryParams({"p": self.passwords[branch_id, role]})
        quoted = str(password).removeprefix("p=")
        return httpx.Response(
            200, json={"uri": f"postgresql://{role}:{quoted}@{host}/{database}?sslmode=require"}
        )
