"""Requests and answers of the client."""

import json
import logging
import traceback
import uuid

import httpx
import pytest

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.models import (
    BranchOptions,
    EndpointOptions,
    MaskingRule,
    Operation,
)
from kardinal_infra.databases.neon.operations import OperationWaiter
from kardinal_infra.databases.neon.settings import NeonSettings, normal_host, resolve_settings
from kardinal_infra.errors import (
    NeonAuthError,
    NeonError,
    NeonKeyError,
    NeonNotFoundError,
    NeonOperationError,
    NeonSettingsError,
    NeonTimeoutError,
    NeonUnexpectedAnswerError,
)
from tests.neon.fake import KEY, MAIN, PROJECT, FakeNeon, FakeTime, Request, error


def client_of(handler) -> NeonClient:
    settings = resolve_settings(environment={"NEON_API_KEY": KEY})
    return NeonClient(settings, clock=FakeTime().clock(), transport=httpx.MockTransport(handler))


def answering(*answers: dict):
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


def branch(number: int) -> dict:
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
    wanted = {"branch_id": "br-1", "database": "votes", "role": "owner", missing: ""}
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


def test_the_restore_of_a_branch_names_its_source() -> None:
    handler, seen = answering({"branch": branch(1), "operations": []})
    client_of(handler).branches.restore(PROJECT, "br-1", source_branch_id=MAIN, preserve_under_name="old")
    assert seen[0].url.path.endswith("/branches/br-1/restore")
    assert seen[0].read() == f'{{"source_branch_id":"{MAIN}","preserve_under_name":"old"}}'.encode()


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


# Errors.


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (httpx.Response(404, text=""), "Not Found"),
        (httpx.Response(400, html="<html><h1>Bad  thing</h1></html>"), "Bad thing"),
        (httpx.Response(400, json={"message": "no", "code": ""}), "no"),
        (httpx.Response(400, json=["x"]), '"x"'),
        (httpx.Response(400, content=b"\xff\xfe", headers={"content-type": "application/json"}), "HTTP 400"),
    ],
)
def test_any_body_becomes_one_short_line(response: httpx.Response, message: str) -> None:
    with pytest.raises(NeonError) as caught:
        client_of(lambda _: response).projects.get(PROJECT)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.status == response.status_code


def test_long_bodies_are_cut() -> None:
    with pytest.raises(NeonError) as caught:
        client_of(lambda _: httpx.Response(400, text="x" * 10_000)).projects.get(PROJECT)
    assert len(str(caught.value)) < 500


def test_the_request_id_of_neon_is_shown() -> None:
    with pytest.raises(NeonError, match=r"request r-1") as caught:
        client_of(lambda _: error(400, "no")).projects.get(PROJECT)
    assert (caught.value.method, caught.value.path) == ("GET", f"/projects/{PROJECT}")


def test_a_refused_key_says_what_to_set() -> None:
    with pytest.raises(NeonAuthError, match=r"NEON_API_KEY.*kardinal:neonApiKey.*key of the last"):
        client_of(lambda _: error(401, "not authorized")).projects.get(PROJECT)


# Secrets.


def test_the_key_and_passwords_are_in_no_message_log_or_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = f"Bearer {KEY} was refused for postgresql://owner:hush@host/db"
    client = client_of(lambda _: error(400, echo))
    with pytest.raises(NeonError) as caught:
        client.projects.get(PROJECT)
    shown = f"{caught.value} {caught.value!r} {client!r} {client.__dict__} {caplog.text}"
    assert KEY not in shown
    assert "hush" not in shown
    assert "postgresql://owner:***@host/db" in str(caught.value)


def test_the_key_is_not_in_a_traceback_with_locals() -> None:
    try:
        client_of(lambda _: error(400, "no")).projects.get(PROJECT)
    except NeonError as caught:
        text = "".join(traceback.TracebackException.from_exception(caught, capture_locals=True).format())
    assert "HTTP 400" in text
    assert KEY not in text


@pytest.mark.parametrize("key", ["ab\ncd", "ab cd", "schlüssel", "a\x00b"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(NeonKeyError, match=r"NEON_API_KEY") as caught:
        resolve_settings(environment={"NEON_API_KEY": key})
    assert key not in str(caught.value)


def test_settings_do_not_show_the_key() -> None:
    assert KEY not in repr(resolve_settings(environment={"NEON_API_KEY": KEY}))


# Settings.


def test_the_environment_wins_over_configuration() -> None:
    settings = resolve_settings(
        config_key="from-config",
        config_host="https://config.test",
        argument_host="https://argument.test",
        environment={"NEON_API_KEY": " from-env\n", "NEON_API_HOST": "http://127.0.0.1:9095/"},
    )
    assert settings.api_key.get_secret_value() == "from-env"
    assert settings.base_url == "http://127.0.0.1:9095/api/v2"


def test_an_argument_wins_over_configuration_and_the_default_is_neon() -> None:
    assert resolve_settings(
        config_key="k", config_host="https://config.test", argument_host="https://a.test", environment={}
    ).base_url.startswith("https://a.test")
    assert resolve_settings(config_key="k", environment={}).base_url == NeonSettings.base_url


def test_a_missing_key_says_what_to_set() -> None:
    with pytest.raises(NeonKeyError) as caught:
        resolve_settings(environment={"NEON_API_KEY": " "})
    assert "set NEON_API_KEY or `pulumi config set --secret kardinal:neonApiKey`" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("https://console.neon.tech", "https://console.neon.tech/api/v2"),
        ("https://console.neon.tech/api/v2/", "https://console.neon.tech/api/v2"),
        ("http://10.1.2.3:9095/neon", "http://10.1.2.3:9095/neon/api/v2"),
        ("http://[::1]:9095", "http://[::1]:9095/api/v2"),
    ],
)
def test_hosts_come_with_and_without_the_path(given: str, normal: str) -> None:
    assert normal_host(given) == normal


@pytest.mark.parametrize("given", ["console.neon.tech", "ftp://x", "", "https://", "http://u:p@h/"])
def test_other_hosts_are_refused(given: str) -> None:
    with pytest.raises(NeonSettingsError):
        normal_host(given)


# Operations.


def operation(status: str, failures: int = 0, at: int = 0, **fields: object) -> Operation:
    moment = f"2026-11-23T12:00:{at:02d}Z"
    return Operation.model_validate(
        {
            "id": "op-1",
            "project_id": PROJECT,
            "action": "start_compute",
            "status": status,
            "failures_count": failures,
            "updated_at": moment,
            **fields,
        }
    )


def run_waiter(time: FakeTime, *states: Operation) -> None:
    """Waits for an operation that goes through these states, the last one for ever."""
    left = list(states)

    def fetch(_: Operation) -> Operation:
        return left.pop(0) if len(left) > 1 else left[0]

    OperationWaiter(clock=time.clock()).wait([left.pop(0)], fetch)


@pytest.mark.parametrize("status", ["finished", "skipped", "cancelled"])
def test_waiting_ends_with_a_final_status(status: str) -> None:
    time = FakeTime()
    run_waiter(time, operation("scheduling"), operation("running"), operation("new-state"), operation(status))
    assert time.slept == [0.125, 0.25, 0.5]


def test_a_finished_operation_costs_no_poll() -> None:
    time = FakeTime()
    OperationWaiter(clock=time.clock()).wait([operation("finished")], lambda _: pytest.fail("polled"))
    assert time.slept == []


def test_a_failed_operation_that_still_moves_is_waited_for() -> None:
    time = FakeTime()
    moving = [operation("failed", failures=n, at=n) for n in range(1, 30)]
    run_waiter(time, operation("running"), *moving, operation("finished"))
    assert time.seconds > 10


def test_a_failed_operation_that_stands_still_is_given_up() -> None:
    time = FakeTime()
    with pytest.raises(NeonOperationError, match=r"start_compute \(op-1\) on ep-7 failed.*no space"):
        run_waiter(
            time,
            operation("running"),
            operation("failed", failures=1, error="no space", endpoint_id="ep-7"),
        )
    assert 10 <= time.seconds < 15


def test_waiting_has_a_deadline() -> None:
    time = FakeTime()
    with pytest.raises(NeonTimeoutError, match=r"120 s"):
        run_waiter(time, operation("running"), operation("running"))
    assert 120 <= time.seconds < 125


def test_a_poll_survives_an_operation_that_is_not_visible_yet() -> None:
    neon, time = FakeNeon(), FakeTime()
    started = neon._start("create_branch", MAIN)

    def hidden(request: Request, number: int, moment: str):
        return error(404, "operation not found") if number <= 2 and moment == "before" else None

    neon.fault = hidden
    client = neon.client(time)
    client.operations.wait([Operation.model_validate(started)])
    assert len(neon.sent("GET", "operations")) == 3
