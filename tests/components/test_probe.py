"""Asking public hosts who answers, and the resource that does it at the end of an `up`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from kardinal_infra.cluster.probe import RETRY_SECONDS, ProbeCheck, run_probe
from kardinal_infra.components.probe import ProbeProvider
from kardinal_infra.errors import ProbeError

FLOW = ProbeCheck(
    "http://dev.voting.localhost:8080",
    headers={"x-kardinal-flow": "dev", "x-kardinal-fork": "ui-dev"},
)
PRODUCTION = ProbeCheck("http://voting.localhost:8080", absent=["x-kardinal-flow"])
GOOD = {"x-kardinal-flow": "dev", "x-kardinal-fork": "ui-dev"}


class World:
    """A network of answers given in turn (the last one for ever), and time that passes by sleeping."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.now = 0.0

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, headers = answer
        return httpx.Response(status, headers=headers)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def ask(self, *checks: ProbeCheck, timeout: float = 10.0) -> None:
        run_probe(
            checks,
            timeout,
            transport=httpx.MockTransport(self.answer),
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def refuse(self, *checks: ProbeCheck) -> str:
        with pytest.raises(ProbeError) as caught:
            self.ask(*checks)
        return str(caught.value)


def test_an_answer_with_the_marks_ends_it_at_once() -> None:
    world = World((200, GOOD))
    world.ask(FLOW)

    assert len(world.requests) == 1
    assert world.now == 0
    assert world.requests[0].method == "GET"
    assert str(world.requests[0].url) == "http://dev.voting.localhost:8080"


def test_checks_are_asked_in_order_each_until_it_holds() -> None:
    world = World((404, {}), (200, GOOD), (200, GOOD), (200, {}))
    world.ask(FLOW, PRODUCTION)

    hosts = [request.url.host for request in world.requests]
    assert hosts == ["dev.voting.localhost"] * 2 + ["voting.localhost"] * 2
    assert world.now == 2 * RETRY_SECONDS


def test_an_address_is_connected_to_with_the_url_s_own_host() -> None:
    world = World((200, {}))
    world.ask(ProbeCheck("http://dev.voting.localhost:8080/page?x=1", address="127.0.0.1:9000"))

    [request] = world.requests
    assert str(request.url) == "http://127.0.0.1:9000/page?x=1"
    assert request.headers["host"] == "dev.voting.localhost:8080"
    assert "sni_hostname" not in request.extensions


def test_tls_asks_for_the_url_s_host_too() -> None:
    world = World((200, {}))
    world.ask(ProbeCheck("https://dev.shop.test", address="10.0.0.1:443"))

    [request] = world.requests
    assert request.extensions["sni_hostname"] == "dev.shop.test"
    assert request.headers["host"] == "dev.shop.test"


@pytest.mark.parametrize("status", [200, 302, 401, 404])
def test_the_application_s_own_answers_are_fine(status: int) -> None:
    World((status, GOOD)).ask(FLOW)


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        ((503, GOOD), "HTTP 503"),
        (
            (301, {"location": "https://a.test/"}),
            "HTTP 301 to https://a.test/ with x-kardinal-flow: (absent)",
        ),
        ((200, {}), "HTTP 200 with x-kardinal-flow: (absent), expected dev"),
        ((404, {"x-kardinal-flow": "other"}), "HTTP 404 with x-kardinal-flow: other, expected dev"),
        ((200, {**GOOD, "x-kardinal-fork": "api-dev"}), "x-kardinal-fork: api-dev, expected ui-dev"),
        (httpx.ConnectError("refused"), "ConnectError: refused"),
        (httpx.ReadTimeout("slow"), "ReadTimeout: slow"),
    ],
)
def test_what_was_seen_last_is_told(answer: Any, seen: str) -> None:
    message = World(answer).refuse(FLOW)

    assert message.startswith("http://dev.voting.localhost:8080 did not answer as expected within 10 s: ")
    assert seen in message


def test_production_must_be_answered_without_the_flow() -> None:
    message = World((200, {"x-kardinal-flow": "dev"})).refuse(PRODUCTION)

    assert "HTTP 200 with x-kardinal-flow: dev, expected none" in message


def test_a_404_of_the_gateway_itself_is_no_answer_of_production() -> None:
    message = World((404, {})).refuse(PRODUCTION)

    assert "HTTP 404 from the gateway itself" in message


def test_a_404_of_the_application_is() -> None:
    World((404, {"x-envoy-upstream-service-time": "3"})).ask(PRODUCTION)


def test_the_address_is_named_when_it_fails() -> None:
    world = World(httpx.ConnectError("refused"))

    assert "(connected to 127.0.0.1:1)" in world.refuse(ProbeCheck("http://a.test", address="127.0.0.1:1"))


def test_it_gives_up_when_the_time_for_all_checks_is_over() -> None:
    # The first check takes 8 of 10 seconds, so the second has only 2.
    world = World(*[(404, {})] * 40, (200, GOOD), (200, GOOD))
    message = world.refuse(FLOW, PRODUCTION)

    assert "http://voting.localhost:8080" in message
    assert 10 <= world.now < 10 + 2 * RETRY_SECONDS


def test_it_asks_at_least_once_when_there_is_no_time() -> None:
    World((200, GOOD)).ask(FLOW, timeout=0)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8080", "127.0.0.1:http", "127.0.0.1:99999999"])
def test_an_address_that_is_none_is_told_at_once(address: str) -> None:
    world = World((200, {}))
    message = world.refuse(ProbeCheck("http://a.test", address=address))

    assert address in message
    assert world.now == 0


def test_nothing_of_the_environment_stands_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    # Without a transport of its own: nobody listens there, and the message is not the proxy's.
    with pytest.raises(ProbeError, match="Connection refused"):
        run_probe([ProbeCheck("http://a.test", address="127.0.0.1:2")], 0)


# The resource.

PROPS: dict[str, Any] = {
    "checks": [{"url": "http://a.test", "address": "127.0.0.1:2", "absent": ["x-kardinal-flow"]}],
    "timeout": 0.0,
    "triggers": ["uid-1/1", "uid-2/4"],
}


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> ProbeProvider:
    # Short errors are a setting of the whole process.
    monkeypatch.setattr(sys, "tracebacklimit", 1000, raising=False)
    return ProbeProvider()


def test_making_it_asks_and_so_does_every_change(
    provider: ProbeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        "kardinal_infra.components.probe.run_probe",
        lambda checks, timeout, authority: asked.append((checks, timeout, authority)),
    )
    made = provider.create(PROPS)
    changed = provider.update(made.id, PROPS, {**PROPS, "timeout": 5.0, "authority": "PEM"})

    check = ProbeCheck("http://a.test", "127.0.0.1:2", None, ["x-kardinal-flow"])
    assert asked == [([check], 0.0, ""), ([check], 5.0, "PEM")]
    assert made.outs == PROPS
    assert changed.outs == {**PROPS, "timeout": 5.0, "authority": "PEM"}


@pytest.mark.parametrize("method", ["create", "update"])
def test_a_failure_is_one_line(provider: ProbeProvider, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KARDINAL_TRACEBACK", raising=False)
    calls: dict[str, Callable[[], Any]] = {
        "create": lambda: provider.create(PROPS),
        "update": lambda: provider.update("probe", {}, PROPS),
    }
    with pytest.raises(ProbeError, match="did not answer as expected within 0 s") as caught:
        calls[method]()
    assert sys.tracebacklimit == 0
    assert caught.value.__cause__ is None


def test_tracebacks_are_there_for_who_wants_them(
    provider: ProbeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KARDINAL_TRACEBACK", "1")
    with pytest.raises(ProbeError):
        provider.create(PROPS)
    assert sys.tracebacklimit == 1000


@pytest.mark.parametrize(
    ("change", "changes"),
    [
        ({}, False),
        ({"triggers": ["uid-1/2", "uid-2/4"]}, True),
        ({"timeout": 1.0}, True),
        ({"authority": "PEM"}, True),
        ({"checks": []}, True),
        ({"__provider": "elsewhere"}, False),
    ],
)
def test_it_runs_again_only_for_a_reason(
    provider: ProbeProvider, change: dict[str, Any], changes: bool
) -> None:
    found = provider.diff("probe", PROPS, {**PROPS, **change})

    assert found.changes is changes
    assert not found.replaces
