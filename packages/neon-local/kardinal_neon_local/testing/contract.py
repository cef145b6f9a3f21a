"""Neon's published OpenAPI document, and whether a call keeps to it.

The document ships inside an npm package. It is not ours to distribute, so it is downloaded when tests run.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import tarfile
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import yaml
from openapi_schema_validator import OAS30Validator

PACKAGE = "@neondatabase/api-client@2.7.3"
"""The npm package with the document."""
CACHE = Path(tempfile.gettempdir()) / "kardinal-neon-local-npm"
"""Where downloaded npm packages are kept."""


def npm_pack(package: str) -> Path:
    """Returns the archive of an npm package, downloaded once.

    Args:
        package: Name and version.
    """
    CACHE.mkdir(exist_ok=True)
    name = re.sub(r"^@", "", package).replace("/", "-").replace("@", "-") + ".tgz"
    if not (CACHE / name).exists():
        subprocess.run(["npm", "pack", package], cwd=CACHE, check=True, capture_output=True, timeout=300)
    return CACHE / name


class Contract:
    """What the document says about calls.

    Args:
        document: The decoded document.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        # A literal part wins over a parameter: /branches/count is not a branch.
        paths = sorted(document["paths"].items(), key=lambda item: item[0].count("{"))
        self._paths = [(re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path) + "$"), item) for path, item in paths]

    def problems(self, method: str, path: str, request: Any, status: int, answer: Any) -> list[str]:
        """Says what is wrong with a call and its answer.

        Args:
            method: Such as `GET`.
            path: Below `/api/v2`.
            request: The decoded body, or None; looked at only when the call succeeded.
            status: The answer's.
            answer: The decoded body, or None.
        """
        item = next((item for pattern, item in self._paths if pattern.match(path)), None)
        if item is None or method.lower() not in item:
            known_not = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
            return [] if status in known_not else [f"{method} {path} is not in the document"]
        operation = item[method.lower()]
        succeeded = status < HTTPStatus.BAD_REQUEST
        found = []
        if request is not None and succeeded:
            found += self._check("request", request, self._resolve(operation["requestBody"]))
        known = {str(number): response for number, response in operation["responses"].items()}
        if str(status) not in known and (succeeded or "default" not in known):
            return [*found, f"status {status} is not one of {', '.join(known)}"]
        content = self._resolve(known.get(str(status)) or known["default"])
        if "content" in content:
            found += self._check("answer", answer, content)
        elif answer is not None:
            found.append("answer: a body where none is expected")
        return found

    def _resolve(self, node: Any) -> dict[str, Any]:
        while "$ref" in node:
            target: Any = self._document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return dict(node)

    def _check(self, what: str, value: Any, body: dict[str, Any]) -> list[str]:
        schema = {
            "allOf": [body["content"]["application/json"]["schema"]],
            "components": self._document["components"],
        }
        validator = OAS30Validator(schema, format_checker=OAS30Validator.FORMAT_CHECKER)
        return [f"{what}: {error.json_path}: {error.message}" for error in validator.iter_errors(value)]


@functools.cache
def contract() -> Contract:
    """Returns Neon's document, downloaded once."""
    with tarfile.open(npm_pack(PACKAGE)) as archive:
        file = archive.extractfile("package/public-v2-for-users.gen.yaml")
        assert file is not None
        return Contract(yaml.load(file.read(), Loader=yaml.CSafeLoader))


def require_contract(response: httpx.Response) -> None:
    """Fails unless a call and its answer keep to Neon's document: an event hook for httpx.

    Args:
        response: The answer, with its request.
    """
    response.read()
    request = response.request
    path = request.url.path.removeprefix("/api/v2")
    sent = json.loads(request.content) if request.content else None
    received = response.json() if response.content else None
    assert contract().problems(request.method, path, sent, response.status_code, received) == []
