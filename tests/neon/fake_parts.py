"""Roles, databases and computes of the Neon in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

Json = dict[str, Any]


class FakeParts:
    """What a branch consists of. `roles` and `databases` are on every branch, what was added on one only."""

    ids: Iterator[int]
    roles: list[str]
    databases: list[str]
    added_roles: dict[str, list[str]]
    added_databases: dict[str, dict[str, str]]
    endpoints: dict[str, Json]
    passwords: dict[tuple[str, str], str]

    def _start(self, action: str, branch_id: str) -> Json:
        raise NotImplementedError

    def roles_of(self, branch_id: str) -> list[str]:
        return [*self.roles, *self.added_roles[branch_id]]

    def owners(self, branch_id: str) -> dict[str, str]:
        return {**dict.fromkeys(self.databases, self.roles[0]), **self.added_databases[branch_id]}

    def _part(self, method: str, branch_id: str, kind: str, names: list[str], body: Json) -> httpx.Response:
        match method, kind, names:
            case "GET", "roles", []:
                roles = [_role(branch_id, name) for name in self.roles_of(branch_id)]
                return httpx.Response(200, json={"roles": roles})
            case "GET", "roles", [name, "reveal_password"]:
                return httpx.Response(200, json={"password": self.passwords[branch_id, name]})
            case "POST", "roles", []:
                return self._new_role(branch_id, body["role"]["name"])
            case "POST", "roles", [name, "reset_password"]:
                self.passwords[branch_id, name] = f"new/pass@{next(self.ids)}"
                return self._answer_role(200, branch_id, name)
            case "DELETE", "roles", [name]:
                return self._drop_role(branch_id, name)
            case "GET", "databases", []:
                owners = self.owners(branch_id)
                found = [_database(branch_id, name, owner) for name, owner in owners.items()]
                return httpx.Response(200, json={"databases": found})
            case "POST", "databases", []:
                return self._new_database(branch_id, body["database"])
            case "PATCH", "databases", [name]:
                self.added_databases[branch_id][name] = body["database"]["owner_name"]
                return self._answer_database(200, branch_id, name)
            case "DELETE", "databases", [name]:
                if self.added_databases[branch_id].pop(name, None) is None:
                    return httpx.Response(204)
                return httpx.Response(
                    200,
                    json={"database": _database(branch_id, name, "-"), "operations": self._ran(branch_id)},
                )
        return httpx.Response(404, json={"code": "", "message": f"no such path {kind}"})

    def _new_role(self, branch_id: str, name: str) -> httpx.Response:
        if name in self.roles_of(branch_id):
            return httpx.Response(409, json={"code": "", "message": f"role already exists: {name}"})
        self.added_roles[branch_id].append(name)
        self.passwords[branch_id, name] = f"made-{next(self.ids)}"
        return self._answer_role(201, branch_id, name)

    def _drop_role(self, branch_id: str, name: str) -> httpx.Response:
        if name not in self.added_roles[branch_id]:
            return httpx.Response(204)
        if name in self.owners(branch_id).values():
            return httpx.Response(422, json={"code": "", "message": f"role {name} owns objects"})
        self.added_roles[branch_id].remove(name)
        return self._answer_role(200, branch_id, name)

    def _new_database(self, branch_id: str, wanted: Json) -> httpx.Response:
        name, owner = wanted["name"], wanted["owner_name"]
        if name in self.owners(branch_id):
            return httpx.Response(409, json={"code": "", "message": f"database already exists: {name}"})
        if owner not in self.roles_of(branch_id):
            return httpx.Response(404, json={"code": "", "message": f"role not found: {owner}"})
        self.added_databases[branch_id][name] = owner
        return self._answer_database(201, branch_id, name)

    def _resize(self, endpoint_id: str, changes: Json) -> httpx.Response:
        endpoint = self.endpoints[endpoint_id]
        endpoint.update(changes)
        started = [self._start("apply_config", endpoint["branch_id"])]
        return httpx.Response(200, json={"endpoint": endpoint, "operations": started})

    def _ran(self, branch_id: str) -> list[Json]:
        return [self._start("apply_config", branch_id)]

    def _answer_role(self, status: int, branch_id: str, name: str) -> httpx.Response:
        role = {**_role(branch_id, name), "password": self.passwords[branch_id, name]}
        return httpx.Response(status, json={"role": role, "operations": self._ran(branch_id)})

    def _answer_database(self, status: int, branch_id: str, name: str) -> httpx.Response:
        found = _database(branch_id, name, self.owners(branch_id)[name])
        return httpx.Response(status, json={"database": found, "operations": self._ran(branch_id)})


def _role(branch_id: str, name: str) -> Json:
    return {"branch_id": branch_id, "name": name}


def _database(branch_id: str, name: str, owner: str) -> Json:
    return {"id": abs(hash(name)) % 10**6, "branch_id": branch_id, "name": name, "owner_name": owner}
