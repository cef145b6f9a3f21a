import threading
from typing import Any

import pytest

from lab_plugins.kubernetes import steering
from lab_plugins.kubernetes.cancellation import Cancellation


def annotated(**annotations: Any) -> dict[str, Any]:
    return {"metadata": {"annotations": {f"pulumi.com/{key}": value for key, value in annotations.items()}}}


@pytest.mark.parametrize(
    ("requested", "inputs", "seconds"),
    [
        (0, {}, 600),
        (25, annotated(timeoutSeconds="3"), 25),
        (0, annotated(timeoutSeconds="3"), 3),
        (0, annotated(timeoutSeconds="soon"), 600),
    ],
)
def test_the_resource_option_comes_before_the_annotation(
    requested: Any, inputs: dict[str, Any], seconds: float | None
) -> None:
    assert steering.timeout_seconds(requested, inputs) == seconds


@pytest.mark.parametrize(
    ("value", "policy"),
    [("orphan", "Orphan"), ("Background", "Background"), ("", "Foreground"), ("x", "Foreground")],
)
def test_how_dependents_are_deleted(value: Any, policy: str) -> None:
    assert steering.propagation(annotated(deletionPropagationPolicy=value)) == policy


def test_a_cancellation_wakes_sleepers_and_calls_back() -> None:
    cancellation = Cancellation()
    assert not cancellation.sleep(0)
    called = []
    slept = []
    sleeper = threading.Thread(target=lambda: slept.append(cancellation.sleep(60)))
    sleeper.start()
    with cancellation.calling(lambda: called.append("during")):
        cancellation.request()
    with cancellation.calling(lambda: called.append("after")):
        sleeper.join(timeout=10)
    assert slept == [True]
    assert called == ["during"]
    assert cancellation.requested
