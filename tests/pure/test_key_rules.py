"""The safety rules know the key, whatever carries it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kardinal_infra.routing.key import DEFAULT_KEY, Key
from tests.pure.routed import UI, case, changed, found, http
from tests.pure.samples import NAMESPACE

KEYS = [DEFAULT_KEY, Key(header="x-tenant-flow"), Key(asked=("header", "baggage")), Key(asked=("baggage",))]
BACKEND = {"name": UI, "port": 80}
EACH = pytest.mark.parametrize("key", KEYS, ids=str)


@EACH
def test_what_is_made_with_the_key_is_in_order(key: Key) -> None:
    own = http({"matches": [{"path": {"type": "Exact", "value": "/a"}}], "backendRefs": [BACKEND]})
    assert found(case(own, key=key)) == {}


@EACH
def test_routes_by_another_key_are_open_and_their_copies_none(key: Key) -> None:
    judged = replace(case(key=key), routing_key=Key(header="x-other", asked=key.asked))
    wanted = {"open-route", "shadowed-rule", "entry-without-key", "open-edge"}
    assert found(judged).keys() == (wanted if "header" in key.asked else set())


@pytest.mark.parametrize("left", [0, 1])
def test_a_copy_for_each_carrier_is_needed(left: int) -> None:
    def leave_one(spec: dict[str, Any]) -> None:
        spec["rules"][0]["matches"] = [spec["rules"][0]["matches"][left]]

    judged = changed(case(key=Key(asked=("header", "baggage"))), leave_one)
    assert found(judged).keys() == {"shadowed-rule"}


def test_an_expression_of_another_flow_is_foreign() -> None:
    key = Key(asked=("header", "baggage"))

    def as_another(spec: dict[str, Any]) -> None:
        spec["rules"][0]["matches"][1]["headers"][0]["value"] = key.expression("other")

    rules = found(changed(case(key=key), as_another))
    assert rules.keys() == {"open-route", "shadowed-rule", "foreign-expression"}


@EACH
def test_whoever_lets_a_carrier_in_opens_the_edge(key: Key) -> None:
    def edge(*removed: str) -> dict[str, Any]:
        changes = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": [*removed]}}
        return {
            "metadata": {"name": "edge", "namespace": NAMESPACE},
            "spec": {
                "parentRefs": [{"name": "kardinal"}],
                "hostnames": ["voting.localhost"],
                "rules": [{"filters": [changes], "backendRefs": [BACKEND]}],
            },
        }

    assert found(case(edge(*key.names), key=key)) == {}
    for name in key.names:
        [message] = found(case(edge(*(set(key.names) - {name})), key=key)).values()
        assert f"lets clients of voting.localhost in with a flow's {key}, sent" in message
