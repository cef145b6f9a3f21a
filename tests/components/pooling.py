"""A fork's pooler outside of a pod: its own start script, run by a shell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kardinal_infra.databases.sidecar import add_pooler

RUN_FOLDER = "/run/kardinal-pgbouncer"

BRANCH = {
    "host": "ep-1.example.test",
    "port": "5433",
    "database": "votes",
    "user": "votes_owner",
    "password": "secret",
    "sslmode": "verify-full",
}


def deployment(**pod: Any) -> dict[str, Any]:
    """A fork's Deployment with one container."""
    spec = {"containers": [{"name": "web", "image": "web:1"}], **pod}
    return {"metadata": {"name": "web-dev"}, "spec": {"template": {"spec": spec}}}


def with_pooler(manifest: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    options: dict[str, Any] = {
        "secret_name": "branch",
        "client_host": "votes-db",
        "client_port": 5432,
        "client_database": "votes",
        **changes,
    }
    return add_pooler(manifest or deployment(), **options)


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    return dict(manifest["spec"]["template"]["spec"])


def command(manifest: dict[str, Any], folder: Path, number: int = 0) -> list[str]:
    """The pooler's command, with a folder in place of the pod's volume."""
    words = pod_of(manifest)["initContainers"][number]["command"]
    return [word.replace(RUN_FOLDER, str(folder)) for word in words]


def variables(manifest: dict[str, Any], branch: dict[str, str], path: str, number: int = 0) -> dict[str, str]:
    """The pooler's environment, the Secret's values in place of the references to them."""
    result = {"PATH": path}
    for entry in pod_of(manifest)["initContainers"][number]["env"]:
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        result[entry["name"]] = branch[reference["key"]] if reference else entry["value"]
    return result


def programs(folder: Path, **scripts: str) -> str:
    """A PATH of the base system's programs and these shell scripts."""
    folder.mkdir(exist_ok=True)
    for name in ("sh", "sed", "cat", "grep"):
        found = next(
            place for part in os.defpath.split(os.pathsep) if (place := Path(part or ".") / name).exists()
        )
        (folder / name).symlink_to(found)
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return str(folder)
