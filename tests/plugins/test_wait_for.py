from typing import Any

import pytest

from lab_plugins.kubernetes.waiting.wait_for import WaitForError, parse_wait_for

ROUTE = {
    "metadata": {"generation": 2},
    "status": {
        "count": 3,
        "ready": True,
        "parents": [
            {
                "parentRef": {"name": "s3"},
                "conditions": [
                    {"type": "ResolvedRefs", "status": "False"},
                    {"type": "Accepted", "status": "True"},
                ],
            }
        ],
        "conditions": [
            {"type": "Ready", "status": "True", "observedGeneration": 2},
            {"type": "Old", "status": "True", "observedGeneration": 1},
        ],
    },
}


def holds(annotation: str) -> list[bool]:
    return [expectation.holds(ROUTE) for expectation in parse_wait_for(annotation)]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("jsonpath={.status.parents[0].parentRef.name}=s3", True),
        ("jsonpath={.status.parents[0].parentRef.name}=s4", False),
        ("jsonpath={.status.parents[0].parentRef.name}", True),
        ("jsonpath={.status.nothing}", False),
        ("jsonpath={.status.parents}", True),
        ("jsonpath={.status.parents}=x", False),
        ("jsonpath={.status.count}=3", True),
        ("jsonpath={.status.ready}=true", True),
        ("jsonpath={$.status.ready}=true", True),
        ('jsonpath={.status.parents[0].conditions[?(@.type=="Accepted")].status}=True', True),
        ('jsonpath={.status.parents[0].conditions[?(@.type=="ResolvedRefs")].status}=True', False),
        (
            'jsonpath={.status.parents[?(@.parentRef.name=="s3")].conditions[?(@.type=="Accepted")].status}=True',
            True,
        ),
        ("condition=Ready", True),
        ("condition=Ready=False", False),
        ("condition=Ready=true", True),
        ("condition=Missing", False),
        ("condition=Old", False),
    ],
)
def test_one_expression(annotation: str, expected: Any) -> None:
    assert holds(annotation) == [expected]


def test_several_expressions() -> None:
    assert holds('["condition=Ready", "jsonpath={.status.count}=4"]') == [True, False]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ("Ready", 'expected a "jsonpath=" or "condition=" prefix'),
        ("jsonpath=.status.x", "should be wrapped in brackets"),
        ("jsonpath='{.status.x}'", "should omit shell quotes"),
        ("jsonpath={.status.x}=", "requires a value"),
        ("jsonpath={.a}=b=c", "format should be"),
        ("jsonpath={.a[}", "parsing"),
        ("[]", "at least one condition"),
    ],
)
def test_mistakes_are_named(annotation: str, message: str) -> None:
    with pytest.raises(WaitForError, match=message):
        parse_wait_for(annotation)
