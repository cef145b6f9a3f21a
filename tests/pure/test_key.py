"""The key: asked for, set, removed and recognised, whatever carries it, in both dialects."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kardinal_infra
from kardinal_infra.model import names
from kardinal_infra.model.names import Owner
from kardinal_infra.routing import Targets, entry_route, flow_insertion, flow_routes, production_routes
from kardinal_infra.routing.key import DEFAULT_KEY, Key
from kardinal_infra.safety.re2 import expression_problem
from tests.pure.samples import BASELINE_STACK, MANY, NAMESPACE, STACK, topology

UI, FORK = "voting-app-ui", "voting-app-ui-dev"
HOST = "dev.voting.localhost"
OTHER = Key(header="x-tenant-flow")
BOTH = Key(asked=("header", "baggage"))
BAGGAGE_ALONE = Key(asked=("baggage",))
EXPRESSION = r"^(.*,)?\s*kardinal-flow\s*=\s*dev\s*([,;].*)?$"
ISTIO = topology(gateway={"kind": "istio", "name": "ingress", "namespace": "istio-system", "port": 80})


def targets(key: Key) -> Targets:
    return Targets(Owner(STACK, NAMESPACE, "dev"), UI, {UI: FORK}, topology().services, key=key)


def exact(name: str, value: str = "dev") -> dict[str, str]:
    return {"type": "Exact", "name": name, "value": value}


BY_BAGGAGE = {"type": "RegularExpression", "name": "baggage", "value": EXPRESSION}


def literals(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_names_of_the_carriers_stand_in_one_place() -> None:
    package = Path(kardinal_infra.__file__).parent
    sources = {path.relative_to(package).as_posix(): path.read_text() for path in package.rglob("*.py")}
    assert len(sources) > 100
    headers = [
        path for path, text in sources.items() for found in literals(text) if names.HEADER_FLOW in found
    ]
    assert headers == ["model/names.py"]
    members = [
        path for path, text in sources.items() for found in literals(text) if found == names.BAGGAGE_KEY
    ]
    assert members == ["model/names.py"] * 2  # the other one is an annotation of branches
    users = [path for path, text in sources.items() if re.search("HEADER_FLOW|BAGGAGE_KEY", text)]
    assert sorted(users) == ["model/names.py", "routing/key.py"]


PLAIN = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=8)
SPACE = st.sampled_from(("", " ", "\t", "  "))
VALUE = st.text("abz09-_.%!'*+/:<=>?@[]^`{|}~()&#$", max_size=6)  # W3C: no comma, semicolon, space, quote


@st.composite
def members(draw: st.DrawFn, name: st.SearchStrategy[str], value: st.SearchStrategy[str]) -> str:
    """A member of the baggage, with up to two properties and spaces where the standard has them."""
    parts = [draw(name), draw(SPACE), "=", draw(SPACE), draw(value)]
    for _ in range(draw(st.integers(0, 2))):
        parts += [draw(SPACE), ";", draw(SPACE), draw(PLAIN), "=", draw(VALUE)]
    return "".join(parts)


@st.composite
def with_strangers(draw: st.DrawFn, *own: st.SearchStrategy[str]) -> str:
    """Baggage of members of others, and between them these."""
    strangers = members(PLAIN.filter(lambda name: name != "kardinal-flow"), VALUE)
    found = draw(st.lists(strangers, max_size=3))
    for member in own:
        found.insert(draw(st.integers(0, len(found))), draw(member))
    return "".join(f"{draw(SPACE)}{item}{draw(SPACE)}," for item in found)[:-1]


@MANY
@given(st.data(), PLAIN)
def test_baggage_is_met_by_its_own_flow_alone(data: st.DataObject, flow: str) -> None:
    expression = re.compile(BOTH.expression(flow))
    assert expression_problem(expression.pattern) is None
    mine = members(st.just("kardinal-flow"), st.just(flow))
    other = members(st.just("kardinal-flow"), st.one_of(PLAIN, VALUE).filter(lambda value: value != flow))
    assert expression.fullmatch(data.draw(with_strangers(mine)))
    assert not expression.fullmatch(data.draw(with_strangers(other)))
    assert not expression.fullmatch(data.draw(with_strangers()))


@pytest.mark.parametrize(
    "baggage",
    [
        "kardinal-flow=dev1",
        "kardinal-flow=de",
        "kardinal-flow=dev x",
        "xkardinal-flow=dev",
        "x kardinal-flow=dev",
        "Kardinal-Flow=dev",
        "kardinal%2Dflow=dev",
        "a=b;kardinal-flow=dev",  # a property of another member
        "a=kardinal-flow=dev",
        "",
    ],
)
def test_what_only_looks_like_the_member_is_not_met(baggage: str) -> None:
    assert not re.fullmatch(EXPRESSION, baggage)
    assert BOTH.carriers_in({"baggage": baggage}, "dev") == frozenset()


@pytest.mark.parametrize("text", ["(unclosed", "a.b", "x y", "", "Dev", "dev|.*", "dev\n"])
def test_no_foreign_text_becomes_an_expression(text: str) -> None:
    with pytest.raises(ValueError, match="must consist of"):
        BOTH.expression(text)
    with pytest.raises(ValueError, match="must consist of"):
        BOTH.added_to({}, text)
    with pytest.raises(ValueError, match="baggage member"):
        Key(member=text)


@pytest.mark.parametrize("header", ["", "X-Upper", "with space", "with:colon", "baggage", "x\n"])
def test_a_header_that_cannot_carry_the_key_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match="not the name of a header"):
        Key(header=header)


def test_routes_ask_for_one_carrier_at_least() -> None:
    with pytest.raises(ValueError, match="one carrier"):
        Key(asked=())


def test_requests_are_recognised_by_each_carrier() -> None:
    assert DEFAULT_KEY.carried("dev") == {"x-kardinal-flow": "dev", "baggage": "kardinal-flow=dev"}
    assert DEFAULT_KEY.carriers_in(DEFAULT_KEY.carried("dev"), "dev") == {"header", "baggage"}
    assert DEFAULT_KEY.carriers_in({"x-kardinal-flow": "dev, dev"}, "dev") == frozenset()
    assert OTHER.carriers_in({"x-kardinal-flow": "dev"}, "dev") == frozenset()


@pytest.mark.parametrize(
    ("key", "conditions"),
    [
        (DEFAULT_KEY, [exact("x-kardinal-flow")]),
        (OTHER, [exact("x-tenant-flow")]),
        (BOTH, [exact("x-kardinal-flow"), BY_BAGGAGE]),
        (BAGGAGE_ALONE, [BY_BAGGAGE]),
    ],
)
def test_mesh_routes_ask_for_the_key(key: Key, conditions: list[dict[str, str]]) -> None:
    asked = exact("x-a", "1")
    removed = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-b", *key.names]}}
    backend = {"name": UI, "port": 80}
    own = {
        "metadata": {"name": "own", "namespace": NAMESPACE},
        "spec": {
            "parentRefs": [{"group": "", "kind": "Service", "name": UI, "port": 80}],
            "rules": [
                {"matches": [{"headers": [asked]}], "filters": [removed], "backendRefs": [backend]},
                {"backendRefs": [backend]},
            ],
        },
    }
    [made] = flow_routes(targets(key), 80, [own])
    first, last = made["spec"]["rules"]
    assert first["matches"] == [{"headers": [asked, condition]} for condition in conditions]
    assert last["matches"] == [{"headers": [condition]} for condition in conditions]
    assert first["filters"][0]["requestHeaderModifier"] == {"remove": ["x-b"]}
    for match in (*first["matches"], *last["matches"]):
        assert key.carrier_of(match, "dev") in key.asked
        assert key.carrier_of(match, "dev2") is None
        assert key.taken_from(match) in ({"headers": [asked]}, {"headers": []})


@pytest.mark.parametrize(
    ("key", "conditions"),
    [
        (DEFAULT_KEY, [{"x-kardinal-flow": {"exact": "dev"}}]),
        (OTHER, [{"x-tenant-flow": {"exact": "dev"}}]),
        (BOTH, [{"x-kardinal-flow": {"exact": "dev"}}, {"baggage": {"regex": EXPRESSION}}]),
    ],
)
def test_rules_of_virtual_services_ask_for_the_key(key: Key, conditions: list[dict[str, Any]]) -> None:
    removed = {"headers": {"request": {"remove": ["x-b", *key.names], "add": {"baggage": "a=b"}}}}
    match: dict[str, Any] = {"uri": {"prefix": "/"}, "headers": {"x-a": {"exact": "1"}}}
    own = {
        "metadata": {"name": "own", "namespace": NAMESPACE},
        "spec": {
            "hosts": [UI],
            "http": [{"match": [match], **removed, "route": [{"destination": {"host": UI}}]}],
        },
    }
    insertion = flow_insertion(own, targets(key))
    assert insertion is not None
    [rule] = insertion.rules
    assert rule["match"] == [
        {**match, "headers": {**match["headers"], **condition}, "gateways": ["mesh"]}
        for condition in conditions
    ]
    assert rule["headers"]["request"] == {"remove": ["x-b"], "add": {"baggage": "a=b"}}
    assert [key.carrier_of(item, "dev") for item in rule["match"]] == list(key.asked)
    assert [key.carrier_of(item, "de") for item in rule["match"]] == [None] * len(key.asked)


@pytest.mark.parametrize("key", [DEFAULT_KEY, OTHER, BOTH, BAGGAGE_ALONE])
def test_a_match_of_the_baseline_s_own_must_not_use_the_key(key: Key) -> None:
    for name in key.names:
        used = {name.title(): {"prefix": "d"}}
        with pytest.raises(ValueError, match=f"uses the header {name}, which is the flows' own"):
            key.added_to({"headers": [{"name": name.title(), "value": "x"}]}, "dev")
        for part in ("headers", "withoutHeaders"):
            with pytest.raises(ValueError, match=f"uses the header {name}, which is the flows' own"):
                key.added_to_istio({part: used}, "dev")


@pytest.mark.parametrize(
    ("key", "changes", "removed"),
    [
        (
            DEFAULT_KEY,
            {"set": {"x-kardinal-flow": "dev"}, "add": {"baggage": "kardinal-flow=dev"}},
            ["x-kardinal-flow"],
        ),
        (
            OTHER,
            {"set": {"x-tenant-flow": "dev"}, "add": {"baggage": "kardinal-flow=dev"}},
            ["x-tenant-flow"],
        ),
        (
            BOTH,
            {"set": {"x-kardinal-flow": "dev", "baggage": "kardinal-flow=dev"}},
            ["x-kardinal-flow", "baggage"],
        ),
        (
            BAGGAGE_ALONE,
            {"set": {"x-kardinal-flow": "dev", "baggage": "kardinal-flow=dev"}},
            ["baggage"],
        ),
    ],
)
def test_hosts_set_the_key_and_production_removes_it(
    key: Key, changes: dict[str, Any], removed: list[str]
) -> None:
    answered = {"x-kardinal-fork": FORK, "x-kardinal-flow": "dev"}
    [rule] = entry_route(targets(key), topology().gateway, HOST, 80)["spec"]["rules"]
    asked, answers = (item[next(iter(item.keys() - {"type"}))] for item in rule["filters"])
    assert {
        action: {one["name"]: one["value"] for one in items} for action, items in asked.items()
    } == changes
    assert {one["name"]: one["value"] for one in answers["set"]} == answered
    assert key.marked_by(asked, "dev")
    assert not key.marked_by(asked, "dev2")
    assert not key.closed_by("dev", asked)
    assert key.closed_by("dev2", asked)

    [rule] = entry_route(targets(key), ISTIO.gateway, HOST, 80)["spec"]["http"]
    assert rule["headers"] == {"request": changes, "response": {"set": answered}}
    assert key.marked_by(rule["headers"]["request"], "dev")

    [production] = production_routes(topology(), BASELINE_STACK, key=key)
    [closed] = production["spec"]["rules"]
    assert closed["filters"] == [
        {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": removed}}
    ]
    assert key.closed_by("dev", closed["filters"][0]["requestHeaderModifier"])
    [production] = production_routes(ISTIO, BASELINE_STACK, key=key)
    assert production["spec"]["http"][0]["headers"] == {"request": {"remove": removed}}


@pytest.mark.parametrize(
    ("changes", "closes"),
    [
        (({"remove": ["X-Kardinal-Flow"]},), False),
        (({"remove": ["x-kardinal-flow"]}, {"set": [{"name": "Baggage", "value": "a=b"}]}), True),
        (({"remove": ["x-kardinal-flow", "baggage"]},), True),
        (({"set": {"x-kardinal-flow": ""}, "add": {"baggage": "a=b"}},), False),
        (({"remove": ["x-kardinal-flow"], "set": {"baggage": "kardinal-flow=dev2"}},), True),
        (({"remove": ["x-kardinal-flow"], "set": {"baggage": "a=b, kardinal-flow=dev"}},), False),
        (({"remove": ["baggage"], "set": {"x-kardinal-flow": "dev2"}},), True),
        (({"remove": ["baggage"], "set": {"x-kardinal-flow": "dev"}},), False),
        (({"remove": ["baggage", "x-kardinal-flow"]}, {"add": {"X-Kardinal-Flow": "dev"}}), False),
        ((), False),
    ],
)
def test_what_routes_ask_for_is_closed_when_nothing_of_it_is_left_and_no_flow_is_entered(
    changes: tuple[dict[str, Any], ...], closes: bool
) -> None:
    assert BOTH.closed_by("dev", *changes) is closes


def test_a_rule_with_more_matches_than_one_may_have_becomes_several() -> None:
    paths = [{"path": {"type": "Exact", "value": f"/{number}"}} for number in range(40)]
    own = {
        "metadata": {"name": "own", "namespace": NAMESPACE},
        "spec": {
            "parentRefs": [{"group": "", "kind": "Service", "name": UI, "port": 80}],
            "rules": [{"matches": paths, "backendRefs": [{"name": UI, "port": 80}]}],
        },
    }
    [made] = flow_routes(targets(DEFAULT_KEY), 80, [own])
    assert [len(rule["matches"]) for rule in made["spec"]["rules"]] == [40]
    [made] = flow_routes(targets(BOTH), 80, [own])
    assert [len(rule["matches"]) for rule in made["spec"]["rules"]] == [64, 16]
