"""Requests and answers of the client."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.errors import NeonError, NeonNotFoundError, NeonUnexpectedAnswerError
from kardinal_infra.databases.neon.models import (
    BranchOptions,
    EndpointOptions,
    MaskingRule,
)
from kardinal_infra.databases.neon.settings import resolve_settings
from tests.neon.fake import KEY, MAIN, PROJECT, FakeNeon, FakeTime, error

Handler = Callable[[httpx.Request], httpx.Response]


def client_of(handler: Handler) -> NeonClient:
    settings = resolve_settings(environment={"NEON_API_KEY": KEY})
    return NeonClient(settings, clock=FakeTime().clock(), transport=httpx.MockTransport(handler))


def answering(*answers: dict[str, Any]) -> tuple[Handler, list[httpx.Request]]:
    """Gives these JSON answers in order and records the requests."""
    left = list(answers)
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=left.pop(0))

    return handler, seen


def test_every_request_is_authenticated_and_identified() -> None:
    handler, seen = answering({"projects": []})
    assert list(client_of(handler).projects.list()) == []
    request = seen[0]
    assert request.url.host == "console.neon.tech"
    assert request.url.path == "/api/v2/projects"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept"] == "application/json"
    assert uuid.UUID(request.headers["x-request-id"])


def branch(number: int) -> dict[str, Any]:
    return {"id": f"br-{number}", "project_id": PROJECT, "name": f"b{number}"}


def test_branches_are_read_by_next_until_a_cursor_repeats() -> None:
    handler, seen = answering(
        {"branches": [branch(1)], "pagination": {"next": "a", "sort_order": "DESC"}},
        {"branches": [branch(2)], "pagination": {"next": "b"}},
        {"branches": [branch(3)], "pagination": {"next": "b"}},
    )
    names = [found.branch.name for found in client_of(handler).branches.list(PROJECT)]
    assert names == ["b1", "b2", "b3"]
    assert [request.url.params.get("cursor") for request in seen] == [None, "a", "b"]


def test_projects_are_read_by_cursor_until_an_empty_page() -> None:
    handler, seen = answering(
        {"projects": [{"id": "p1", "name": "one"}], "pagination": {"cursor": "p1"}},
        {"projects": [], "pagination": {"cursor": "p2"}},
    )
    assert [project.id for project in client_of(handler).projects.list()] == ["p1"]
    assert len(seen) == 2


def test_a_list_without_its_field_is_not_an_empty_list() -> None:
    handler, _ = answering({"message": "hello"})
    with pytest.raises(NeonUnexpectedAnswerError, match=r"branches"):
        list(client_of(handler).branches.list(PROJECT))


def test_a_name_is_matched_exactly_although_neon_matches_parts() -> None:
    neon = FakeNeon()
    neon.page_size = 1
    for name in ("flow-12", "flow-1", "old-flow-1"):
        neon.add_branch(name, parent=MAIN)
    found = neon.client().branches.named(PROJECT, "flow-1")
    assert [item.branch.name for item in found] == ["flow-1"]


def test_annotations_come_with_lists_and_single_branches() -> None:
    neon = FakeNeon()
    id = neon.add_branch("flow", parent=MAIN, annotations={"kardinal-stack": "o/p/s"})
    client = neon.client()
    listed = {found.branch.id: found.annotations for found in client.branches.list(PROJECT)}
    assert listed == {MAIN: {}, id: {"kardinal-stack": "o/p/s"}}
    assert client.branches.get(PROJECT, id).annotations == {"kardinal-stack": "o/p/s"}


def test_projects_are_found_by_id_and_by_name() -> None:
    client = FakeNeon().client()
    assert client.projects.find(PROJECT).name == "voting"
    assert client.projects.find("voting").id == PROJECT
    with pytest.raises(NeonNotFoundError, match=rf"'nothing'.*voting \({PROJECT}\)"):
        client.projects.find("nothing")


def test_a_project_name_used_twice_is_refused() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/projects"):
            return httpx.Response(
                200, json={"projects": [{"id": "a-1", "name": "x"}, {"id": "b-2", "name": "x"}]}
            )
        return error(404, "project not found")

    with pytest.raises(NeonError, match=r"a-1, b-2"):
        client_of(handler).projects.find("x")


def test_unknown_fields_and_enum_values_are_no_error() -> None:
    handler, _ = answering({"branch": {**branch(1), "current_state": "dreaming", "new_field": {"a": 1}}})
    assert client_of(handler).branches.get(PROJECT, "br-1").branch.current_state == "dreaming"


def test_a_broken_object_names_its_fields_and_no_values() -> None:
    role = {"branch_id": "b", "password": "hush"}
    handler, _ = answering({"role": role, "operations": []})
    with pytest.raises(NeonUnexpectedAnswerError, match=r"role\.name") as caught:
        client_of(handler).roles.reset_password(PROJECT, "br-1", "owner")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("missing", ["branch_id", "database", "role"])
def test_a_connection_uri_is_never_asked_for_without_branch_database_and_role(missing: str) -> None:
    handler, seen = answering({"uri": "postgresql://u:p@h/d"})
    wanted: dict[str, Any] = {"branch_id": "br-1", "database": "votes", "role": "owner", missing: ""}
    with pytest.raises(NeonError, match=r"explicit"):
        client_of(handler).connections.uri(PROJECT, **wanted)
    assert seen == []


def test_the_connection_uri_names_everything() -> None:
    handler, seen = answering({"uri": "postgresql://u:p@h/d"})
    client_of(handler).connections.uri(
        PROJECT, branch_id="br-1", database="votes", role="owner", endpoint_id="ep-1", pooled=True
    )
    assert dict(seen[0].url.params) == {
        "branch_id": "br-1",
        "database_name": "votes",
        "role_name": "owner",
        "endpoint_id": "ep-1",
        "pooled": "true",
    }


def test_names_are_quoted_in_paths() -> None:
    handler, seen = answering({"password": "x"})
    client_of(handler).roles.reveal_password(PROJECT, "br-1", "o/../w ner?")
    assert seen[0].url.raw_path.endswith(b"/branches/br-1/roles/o%2F..%2Fw%20ner%3F/reveal_password")


def test_a_masked_branch_is_asked_for_with_its_rules() -> None:
    handler, seen = answering({"branch": branch(1), "operations": []})
    rule = MaskingRule(
        database_name="votes",
        schema_name="public",
        table_name="users",
        column_name="email",
        masking_function="anon.fake_email()",
    )
    client_of(handler).anonymized.create(
        PROJECT,
        BranchOptions(name="masked", parent_id=MAIN),
        rules=[rule],
        endpoints=[EndpointOptions()],
        annotations={"a": "b"},
    )
    assert json.loads(seen[0].read()) == {
        "branch_create": {
            "branch": {"name": "masked", "parent_id": MAIN},
            "endpoints": [{"type": "read_write"}],
        },
        "masking_rules": [rule.model_dump(exclude_none=True)],
        "start_anonymization": True,
        "annotation_value": {"a": "b"},
    }
