"""Which request shows that a host answers, for rules of every shape."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.routing.asking import Question, question

REDIRECT = [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}]


def marked(fork: str) -> list[Any]:
    marks = [{"name": "x-kardinal-flow", "value": "dev"}, {"name": "x-kardinal-fork", "value": fork}]
    return [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": marks}}]


def rule(*matches: Any, filters: Any = ()) -> dict[str, Any]:
    return {"matches": list(matches), "filters": list(filters)}


def prefix(value: str, **more: Any) -> dict[str, Any]:
    return {"path": {"type": "PathPrefix", "value": value}, **more}


def exact(value: str) -> dict[str, Any]:
    return {"path": {"type": "Exact", "value": value}}


HEADERS = {"headers": [{"name": "a", "value": "b"}]}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([{"filters": marked("ui-dev")}], Question("", "ui-dev")),
        ([rule(prefix("/api")), rule(prefix("/"), filters=marked("ui-dev"))], Question("", "ui-dev")),
        ([rule(prefix("/shop"), filters=marked("ui-dev"))], Question("/shop", "ui-dev")),
        ([rule(exact("/"), filters=REDIRECT), rule(prefix("/"))], Question("/kardinal-probe", None)),
        ([rule(exact("/"), filters=REDIRECT), rule(prefix("/a"))], Question("/a", None)),
        ([rule(prefix("/", method="GET"), filters=REDIRECT), rule(prefix("/"))], None),
        (
            [rule(prefix("/"), filters=REDIRECT), rule(HEADERS, exact("/b"))],
            Question("/b", None),
        ),
        ([rule(prefix("/", method="POST"))], None),
        ([rule({"path": {"type": "RegularExpression", "value": "/.*"}}), rule(HEADERS)], None),
    ],
)
def test_rules_of_a_gateway_api_host(rules: list[Any], expected: Question | None) -> None:
    assert question({"kind": "HTTPRoute", "spec": {"rules": rules}}) == expected


def entry(*matches: Any, fork: str | None = None, **more: Any) -> dict[str, Any]:
    marks = {"x-kardinal-flow": "dev", **({"x-kardinal-fork": fork} if fork else {})}
    listed = {"match": list(matches)} if matches else {}
    return {"route": [{}], "headers": {"response": {"set": marks}}, **listed, **more}


@pytest.mark.parametrize(
    ("http", "expected"),
    [
        ([entry(fork="ui-dev")], Question("", "ui-dev")),
        ([entry({"uri": {"prefix": "/api"}}), entry(fork="ui-dev")], Question("", "ui-dev")),
        ([entry({"uri": {"prefix": "/shop"}}, fork="ui-dev")], Question("/shop", "ui-dev")),
        # The first entry that takes a path wins, however wide it is.
        ([entry(route=None), entry({"uri": {"exact": "/a"}})], None),
        ([entry({"uri": {"exact": "/"}}, route=None), entry({"uri": {"exact": "/a"}})], Question("/a", None)),
        ([entry({"uri": {"regex": "/.*"}}), entry({"headers": {"a": {"exact": "b"}}})], None),
    ],
)
def test_entries_of_an_istio_host(http: list[Any], expected: Question | None) -> None:
    assert question({"kind": "VirtualService", "spec": {"http": http}}) == expected
