"""The real service with one project in it: production, other people's branches, and what must be true."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg

from kardinal_infra.databases.request import BranchRequest
from kardinal_infra.model.durations import parse_ttl
from kardinal_neon_local.testing.server import Server, running
from tests.neon.faults.engine import Known, Props, Stack
from tests.neon.faults.schedules import FOLDER

ROWS = 300
SPARE = 2 << 30
"""Bytes that a file system in memory must have left to be used."""

OTHERS: dict[str, dict[str, str]] = {
    f"{FOLDER}/dev/votes2": {},
    f"{FOLDER}/dev/vote": {"kardinal-stack": "organization/kardinal/dev-2", "kardinal-flow": "dev"},
    f"{FOLDER}/dev": {"kardinal-flow": "dev", "kardinal-database": "votes"},
    f"old {FOLDER}/dev/votes-b": {"kardinal-stack": "organization/other/dev"},
}
"""Other people's branches, with names and annotations like ours."""


def memory() -> Path | None:
    """A file system in memory with room for the instances, or None: they are thrown away anyway."""
    place = Path("/dev/shm")
    with contextlib.suppress(OSError):
        if shutil.disk_usage(place).free > SPARE:
            return place
    return None


class World:
    """A service that has been filled, and its state before anything happened."""

    def __init__(self, server: Server) -> None:
        self.server = server
        # The answers are checked against the contract in tests of their own; here there are too many.
        server.http.event_hooks["response"].clear()
        self.main = server.main()
        server.sql(self.main, "CREATE TABLE vote (id serial PRIMARY KEY, choice text NOT NULL)")
        server.sql(self.main, f"INSERT INTO vote (choice) SELECT 'cat' FROM generate_series(1, {ROWS})")
        self.staging = server.branch("staging")
        for name, marks in OTHERS.items():
            server.branch(name, compute=False, annotations=marks)
        self.uris = [server.uri(branch) for branch in (self.main, self.staging)]
        self.passwords = {self._password(branch) for branch in (self.main, self.staging)}
        self.before = self.state()

    def state(self) -> dict[str, Any]:
        """Everything about every branch that nobody but its owner may change, by id."""
        listed = self.server.get("/branches", limit=10000)
        computes = self.server.get("/endpoints")["endpoints"]
        return {
            branch["id"]: self._state(
                branch, listed["annotations"].get(branch["id"], {}).get("value"), computes
            )
            for branch in listed["branches"]
        }

    def _state(self, branch: Props, annotations: Any, computes: list[Props]) -> dict[str, Any]:
        fields = ("name", "parent_id", "protected", "default", "expires_at", "created_at", "updated_at")
        endpoints = [compute for compute in computes if compute["branch_id"] == branch["id"]]
        return {
            **{name: branch.get(name) for name in fields},
            "annotations": annotations,
            "endpoints": [(e["id"], e["host"], e.get("port")) for e in endpoints],
            "sizes": [
                (e["autoscaling_limit_min_cu"], e["autoscaling_limit_max_cu"], e["suspend_timeout_seconds"])
                for e in endpoints
            ],
            "roles": self._parts(branch["id"], "roles", "updated_at"),
            "databases": self._parts(branch["id"], "databases", "owner_name"),
        }

    def _parts(self, branch_id: str, kind: str, field: str) -> dict[str, str]:
        return {part["name"]: part[field] for part in self.server.get(f"/branches/{branch_id}/{kind}")[kind]}

    def _password(self, branch_id: str) -> str:
        return str(self.server.get(f"/branches/{branch_id}/roles/votes_owner/reveal_password")["password"])

    # Other people at work.

    def squat(self, name: str) -> str | None:
        """Somebody else takes a name; None when it is taken already."""
        if any(branch["name"] == name for branch in self.state().values()):
            return None
        return self.server.branch(name, compute=False, annotations={"kardinal-flow": "dev"})

    def fork(self, branch_id: str) -> str | None:
        """Somebody else makes a branch from ours; None when that expires or is gone."""
        ours = self.state().get(branch_id)
        if ours is None or ours["expires_at"] is not None:
            return None
        return self.server.branch(f"{ours['name']}/experiment", compute=False, parent_id=branch_id)

    def remove(self, branches: Iterable[str]) -> None:
        """Deletes branches, protected ones too, the youngest first."""
        listed = {branch["id"]: branch for branch in self.server.get("/branches", limit=10000)["branches"]}
        for branch_id in sorted(branches, key=lambda branch: listed[branch]["created_at"], reverse=True):
            if listed[branch_id]["protected"]:
                self.server.call("PATCH", f"/branches/{branch_id}", branch={"protected": False})
            self.server.finish(self.server.call("DELETE", f"/branches/{branch_id}"))

    def restore(self) -> None:
        """Removes whatever a schedule that failed has left."""
        listed = self.server.get("/branches", limit=10000)["branches"]
        self.remove({branch["id"] for branch in listed} - {*self.before})

    # What must be true.

    def require_own(self, outs: Props, *, rotated: bool) -> None:
        """What a provider hands out never leads to, nor opens, a branch that others use."""
        theirs = {(urlsplit(uri).hostname, urlsplit(uri).port) for uri in self.uris}
        for name in ("uri", "pooled_uri"):
            if outs.get(name):
                parts = urlsplit(outs[name])
                assert (parts.hostname, parts.port) not in theirs, f"{name} leads to a branch of others"
                assert not rotated or unquote(parts.password or "") not in self.passwords, f"{name} opens it"
        assert (outs.get("host"), outs.get("port")) not in theirs
        assert not rotated or outs.get("password") not in self.passwords, "the password opens the parent"

    def require_wanted(
        self, stacks: Mapping[Stack, Mapping[str, BranchRequest]], keep: set[str]
    ) -> dict[str, Any]:
        """After the last `up`: the wanted branches, as wanted; nothing else but what the guard will remove.

        Args:
            stacks: What each wants.
            keep: Ids of further branches that others have made.

        Returns:
            The state.
        """
        state = self.state()
        known = {k.id.partition("/")[2]: k for stack in stacks for k in stack.branches.values()}
        expected = {*self.before, *keep, *known}
        guarded = {name for stack in stacks for name in stack.guarded()}
        left = {branch for branch in {*state} - expected if state[branch]["name"] in guarded}
        assert {*state} - left == expected, _difference(state, expected)
        for stack, program in stacks.items():
            assert {*stack.branches} == {*program}
            for name, request in program.items():
                known_branch = stack.branches[name]
                self._require_branch(state[known_branch.id.partition("/")[2]], known_branch, request)
        self._require_untouched(state)
        return state

    def _require_branch(self, found: dict[str, Any], known: Known, wanted: BranchRequest) -> None:
        outs = known.outs
        parent = self.staging if wanted.parent == "staging" else self.main
        assert found["name"] == wanted.name == outs["branch_name"]
        assert found["parent_id"] == (None if wanted.init == "schema-only" else parent)
        assert found["protected"] is bool(wanted.protected)
        assert {**found["annotations"], **wanted.annotations} == found["annotations"]
        assert found["expires_at"] == outs["expires_at"]
        assert (found["expires_at"] is None) is (wanted.ttl is None)
        if wanted.ttl is not None:
            assert parse_ttl(wanted.ttl).total_seconds() == 3600 * int(wanted.ttl.removesuffix("h"))
        assert [e[1:] for e in found["endpoints"]] == [(outs["host"], outs["port"])]
        if wanted.compute is not None:
            size = (wanted.compute.min_units, wanted.compute.max_units)
            assert all(w is None or w == s for w, s in zip(size, found["sizes"][0], strict=False)), found
        assert {"votes": "votes_owner", **(wanted.databases or {})}.items() <= found["databases"].items()
        assert {"votes_owner", *(wanted.roles or ())} <= found["roles"].keys()
        assert {*(outs.get("role_passwords") or {})} == {*(wanted.roles or ())}
        self.require_own(outs, rotated=wanted.rotate_password)
        self._require_login(outs, 0 if wanted.init == "schema-only" else ROWS)

    def _require_login(self, outs: Props, rows: int) -> None:
        with psycopg.connect(outs["uri"], connect_timeout=30) as connection:
            answer = connection.execute("SELECT count(*) FROM vote").fetchone()
        assert answer == (rows,)
        for role, password in (outs.get("role_passwords") or {}).items():
            with psycopg.connect(outs["uri"], user=role, password=password, connect_timeout=30) as connection:
                assert connection.execute("SELECT current_user").fetchone() == (role,)

    def _require_untouched(self, state: Mapping[str, Any]) -> None:
        for branch_id, before in self.before.items():
            assert state.get(branch_id) == before, f"{before['name']}: {before} became {state.get(branch_id)}"
        assert {self._password(branch) for branch in (self.main, self.staging)} == self.passwords

    def require_nothing_left(self) -> None:
        """After the last `destroy`: as it was in the beginning."""
        state = self.state()
        assert {*state} == {*self.before}, _difference(state, {*self.before})
        self._require_untouched(state)


def _difference(state: Mapping[str, Any], wanted: set[str]) -> str:
    more = [(state[branch_id]["name"], branch_id) for branch_id in {*state} - wanted]
    return f"too many: {more}; missing: {wanted - {*state}}"


@contextlib.contextmanager
def world() -> Iterator[World]:
    """A filled service of its own."""
    with running(memory(), recovery_window=0, no_fsync_default=True) as server:
        yield World(server)
