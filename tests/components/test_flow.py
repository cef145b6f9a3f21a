"""What a flow of the demonstration's application consists of."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from tests.components import recorder
from tests.components.flows import URL, container, declare, environment
from tests.components.recorder import UNKNOWN, Hidden
from tests.pure import samples


def open_text(value: Any) -> str:
    """Everything that is not marked as secret, as text."""

    def visible(item: Any) -> Any:
        if isinstance(item, Hidden):
            return "[secret]"
        if isinstance(item, dict):
            return {key: visible(inner) for key, inner in item.items()}
        return [visible(inner) for inner in item] if isinstance(item, list) else item

    return json.dumps(visible(value))


def test_it_consists_of_these_objects(preview: bool) -> None:
    stack = declare(preview=preview)

    digest = UNKNOWN if preview else "cda7091a"
    secrets = [
        item.object_name.removeprefix(f"{item.name}-") for item in stack.all(recorder.SECRET)
    ]
    assert secrets == [digest, digest]
    assert [name for kind, name in stack.objects() if kind not in {"Secret", "Job"}] == [
        "voting-app-ui-dev",
        "votes-api-dev",
        "votes-api-dev-80",
        "voting-app-ui-dev-80",
        "voting-app-ui-dev-entry",
        "votes-api-dev",
        "voting-app-ui-dev",
    ]
    assert len(stack.all(recorder.JOB)) == 1
    assert len(stack.all(recorder.BRANCH)) == 1
