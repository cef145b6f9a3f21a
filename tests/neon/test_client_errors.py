"""Failures of calls, and that none of them shows a secret."""

import logging
import traceback
from collections.abc import Callable

import httpx
import pytest

from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.errors import NeonAuthError, NeonError, NeonKeyError
from kardinal_infra.databases.neon.settings import resolve_settings
from tests.neon.fake import KEY, PROJECT, FakeTime, error

Handler = Callable[[httpx.Request], httpx.Response]


def client_of(handler: Handler) -> NeonClient:
    settings = resolve_settings(environment={"NEON_API_KEY": KEY})
    return NeonClient(settings, clock=FakeTime().clock(), transport=httpx.MockTransport(handler))


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
