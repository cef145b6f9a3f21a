"""Rules about expressions in routes, and the reader that tells which of them the mesh cannot read."""

from __future__ import annotations

from dataclasses import replace

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from kardinal_infra.safety import prove
from kardinal_infra.safety.re2 import expression_problem
from tests.pure.routed import UI, case, found, http
from tests.pure.samples import MANY, NAMESPACE, live


@pytest.mark.parametrize(
    "expression",
    [
        "(unclosed",
        "closed)",
        "[a-z",
        "*",
        "a|+b",
        "(?=ahead)",
        "(?<!behind)x",
        r"(a)\1",
        "end\\",
        "a**",
        r"\d++",
        r"\Z",
        "[z-a]",
        "a{1001}",
        "a{3,2}",
        "(?i)*",
        "[[:letter:]]",
        r"[\b]",
        r"\x{110000}",
        r"\é",
    ],
)
@pytest.mark.parametrize("part", ["path", "headers", "queryParams"])
def test_an_expression_that_the_mesh_cannot_read_is_refused(expression: str, part: str) -> None:
    item = {"type": "RegularExpression", "name": "x", "value": expression}
    own = http(
        {
            "matches": [{"method": "GET", part: item if part == "path" else [item]}],
            "backendRefs": [{"name": UI, "port": 80}],
        }
    )
    assert "broken-expression" in found(case(own))
    other_port = {
        **own,
        "spec": {**own["spec"], "parentRefs": [{**own["spec"]["parentRefs"][0], "port": 81}]},
    }
    for_others = {**own, "metadata": {"name": "own", "namespace": "elsewhere"}}
    for_others["spec"] = {
        **own["spec"],
        "parentRefs": [{**own["spec"]["parentRefs"][0], "namespace": NAMESPACE}],
    }
    for harmless in (other_port, for_others):
        assert "broken-expression" not in found(case(harmless))


@pytest.mark.parametrize(
    "expression",
    [
        r"/v[0-9]+(/.*)?",
        r"(?i)^a\(b\)$",
        "(?P<name>a|b)(?:c)(?i:d)(?<e>f)",
        "[]a](b)[^]()]",
        r"[[:alpha:]\]*]+",
        r"\Q(*\E+?",
        r"\d\\",
        "a(?i)b",
        "a(?i)*",
        r"\12\0\x{10FFFF}",
        r"[\d-z\pL\x41-\x42]",
        "a{,3}{b}a{01}a{1000}?",
        "^*",
        "é+",
        "",
    ],
)
def test_an_expression_of_re2_is_no_problem(expression: str) -> None:
    match = {"path": {"type": "RegularExpression", "value": expression}, "method": "GET"}
    own = http({"matches": [match], "backendRefs": [{"name": UI, "port": 80}]})
    assert "broken-expression" not in found(case(own))


GRPC = {"type": "RegularExpression", "service": "shop[.]Catalog", "method": "Find|List"}


@pytest.mark.parametrize("part", ["service", "method"])
def test_an_expression_for_a_method_of_grpc_is_read_too(part: str) -> None:
    def judged(method: dict[str, str]) -> dict[str, str]:
        rule = {"matches": [{"method": method}], "backendRefs": [{"name": UI, "port": 80}]}
        return found(case(snapshot=live(grpc_routes=[{"kind": "GRPCRoute", **http(rule)}])))

    assert "broken-expression" not in judged(GRPC)
    assert "(unclosed" in judged({**GRPC, part: "(unclosed"})["broken-expression"]
    assert "broken-expression" not in judged({**GRPC, "type": "Exact", part: "(unclosed"})


def test_an_expression_for_a_method_in_a_flows_own_route_is_foreign() -> None:
    judged = case()
    match = {"method": GRPC, "headers": [{"type": "Exact", "name": "x-kardinal-flow", "value": "dev"}]}
    made = {"kind": "GRPCRoute", **http({"matches": [match], "backendRefs": None})}
    messages = [
        finding.message
        for finding in prove(replace(judged, routes=(*judged.routes, made)))
        if finding.rule == "foreign-expression"
    ]
    assert [
        message.partition(" matches by the expression ")[2].partition(",")[0] for message in messages
    ] == [
        "Find|List",
        "shop[.]Catalog",
    ]


PIECES = [
    *"ab(|)[]^-*+?{}0,:QEdxpzb<>P!=i.$_é1\n\\",
    *(r"\\", r"\Q", r"\E", r"\p{L}", r"\pN", r"\x{41}", r"\x4", r"\12", r"\d", r"\b"),
    *("(?", "[:", "[^", "[[:alpha:]]", "(?P<n>", "(?i)", "(?:", "a-z", "z-a"),
    *("{2}", "{2,1}", "{3,}", "{01}", "{1001}"),
]


def refused(expression: str) -> bytes | None:
    """What RE2 itself says."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(expression, options)
    except re2.error as error:
        return bytes(error.args[0])
    return None


@MANY
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_the_reader_says_what_re2_says(expression: str) -> None:
    problem, truth = expression_problem(expression), refused(expression)
    if problem:
        assert truth is not None
    else:
        # Names of Unicode classes are not known here.
        assert truth is None or rb"\p" in truth.lower()
