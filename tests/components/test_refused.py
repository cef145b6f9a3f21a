"""Bad input and bad surroundings: one error, and nothing declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from kardinal_infra import Baseline, Flow
from kardinal_infra.components import flow as flow_module
from kardinal_infra.components.branched_database import BranchedDatabase
from kardinal_infra.databases.branching import BranchRequest
from kardinal_infra.errors import ConfigError, KardinalError, OutputsError
from stacks import run as run_stack
from tests.components import recorder
from tests.components.test_baseline import BASELINE
from tests.pure import samples
from tests.pure.samples import BASELINE_STACK, FLOW, TOPOLOGY


def refused(
    program: Callable[[], Any],
    error: type[Exception] = ConfigError,
    *,
    preview: bool = True,
    config: Mapping[str, Any] | None = None,
    stacks: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """The message with which a program ends before it declared anything."""
    monitor = recorder.prepare(preview=preview, config=config, stacks=stacks)
    with pytest.raises(error) as caught:
        pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    assert monitor.declared == []
    return str(caught.value)


def test_a_flow_names_every_problem_and_declares_nothing(preview: bool) -> None:
    args: Any = {
        "baseline": BASELINE_STACK,
        "id": "Not A Label",
        "services": {"voting-app-iu": {"image": "x"}, "votes-api": {"imgae": "y"}},
        "databases": {"vote": {}},
        "isolatoin": "full",
    }
    live = replace(samples.live(), injectors=[])
    message = refused(lambda: Flow("dev", args, topology=samples.topology(), live=live), preview=preview)

    expected = [
        "cluster: Istio injects no sidecars",
        "kardinal:flow.databases.vote: unknown database",
        'kardinal:flow.id: "Not A Label"',
        "kardinal:flow.isolatoin: unknown key",
        "kardinal:flow.services.votes-api.imgae: unknown key",
        "kardinal:flow.services.voting-app-iu: unknown service",
    ]
    lines = message.splitlines()
    assert [line for start in expected for line in lines if line.startswith(start)] == lines


def test_a_flow_without_arguments_says_what_is_missing() -> None:
    assert refused(lambda: Flow("dev", None)) == (  # type: ignore[arg-type]
        "kardinal:flow: required, but missing in the stack's config"
    )


def test_a_taken_id_is_refused(preview: bool) -> None:
    theirs = samples.service("voting-app-ui-dev")
    theirs["metadata"] |= {
        "labels": {"kardinal.dev/flow": "dev"},
        "annotations": {"kardinal.dev/stack": "organization/kardinal/pr-7"},
    }
    live = replace(samples.live(), services=[*samples.live().services, theirs])
    message = refused(lambda: Flow("dev", _flow(), topology=samples.topology(), live=live), preview=preview)

    assert 'flow "dev" is taken by stack "organization/kardinal/pr-7"' in message


def test_a_missing_baseline_stack_is_one_line() -> None:
    assert refused(lambda: Flow("dev", _flow()), OutputsError) == (
        f'stack "{BASELINE_STACK}" cannot be read: unknown stack "{BASELINE_STACK}"'
    )


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"url": "x"}, 'exports no "topology": run `pulumi up` on it'),
        ({"topology": {**TOPOLOGY, "schemaVersion": 0}}, "too old (schemaVersion 0"),
        ({"topology": {**TOPOLOGY, "schemaVersion": 2}}, "newer (schemaVersion 2)"),
        ({"topology": {**TOPOLOGY, "namespace": 1.5}}, "is not usable (namespace"),
    ],
)
def test_a_stack_that_is_no_baseline_of_this_version(outputs: Any, message: str) -> None:
    found = refused(lambda: Flow("dev", _flow()), OutputsError, stacks={BASELINE_STACK: outputs})

    assert message in found
    assert BASELINE_STACK in found


def test_a_bare_name_means_a_stack_of_this_project() -> None:
    staging: Any = {**_flow(), "baseline": "staging"}
    found = refused(lambda: Flow("dev", staging), OutputsError)

    assert 'stack "organization/kardinal/staging" cannot be read' in found


def test_a_cluster_that_cannot_be_read_stops_before_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nonexistent/kubeconfig")
    message = refused(
        lambda: Flow("dev", _flow()), KardinalError, stacks={BASELINE_STACK: {"topology": TOPOLOGY}}
    )

    assert message == "no usable kubeconfig: /nonexistent/kubeconfig not found (set KUBECONFIG)"


def test_a_baseline_names_every_problem_and_declares_nothing(preview: bool) -> None:
    args: Any = {**BASELINE, "domian": "x", "entries": [{"service": "ui", "host": "a.test"}]}
    message = refused(lambda: Baseline("app", args, live=samples.live()), preview=preview)

    assert "kardinal:baseline.domian: unknown key" in message
    assert 'kardinal:baseline.entries[0].service: unknown service "ui"' in message


def test_a_baseline_compares_with_the_cluster(preview: bool) -> None:
    live = replace(samples.live(), services=[], api_versions=frozenset())
    message = refused(lambda: Baseline("app", BASELINE, live=live), preview=preview)

    assert "there is no Gateway API" in message
    assert 'there is no Service "votes-api" in namespace voting-app' in message


def test_an_unknown_backend_is_refused() -> None:
    request = BranchRequest(name="b", project="p", database="d", role="r")
    args: Any = {"request": request, "metadata": {}, "consumers": {}, "backend": "mysql"}
    recorder.prepare()
    with pytest.raises(ConfigError, match='no branching backend "mysql"; installed are neon, postgres'):
        BranchedDatabase("b", args)


def test_a_branch_name_that_neon_would_misread_is_refused() -> None:
    request = BranchRequest(name="br-a-b-12", project="p", database="d", role="r")
    args: Any = {"request": request, "metadata": {"labels": {}}, "consumers": {}}
    recorder.prepare()
    with pytest.raises(ConfigError, match="branch id"):
        BranchedDatabase("b", args)


@pytest.mark.parametrize("stack", ["flow", "baseline"])
def test_the_stacks_show_the_message_alone(stack: str) -> None:
    config = {"kardinal:stack": stack, f"kardinal:{stack}": {"bad": 1}}
    message = refused(run_stack, pulumi.RunError, config=config)

    lines = message.splitlines()
    assert f"kardinal:{stack}.bad: unknown key" in lines
    missing = "baseline" if stack == "flow" else "namespace"
    assert f"kardinal:{stack}.{missing}: required, but missing" in lines
    assert all(line.startswith(f"kardinal:{stack}.") for line in lines)


def test_an_unknown_program_is_named_with_the_known_ones() -> None:
    message = refused(run_stack, pulumi.RunError, config={"kardinal:stack": "flows"})

    assert message == 'kardinal:stack: "flows" is none of baseline, flow, voting-app'


def test_the_flow_stack_declares_what_its_config_says(preview: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def snapshot(*args: Any, **kwargs: Any) -> Any:
        seen.append((args, kwargs))
        return samples.live()

    monkeypatch.setattr(flow_module, "read_live", snapshot)
    stack = recorder.run(
        run_stack,
        preview=preview,
        config={
            "kardinal:stack": "flow",
            "kardinal:flow": FLOW,
            "kubernetes:context": "staging",
        },
        stacks={BASELINE_STACK: {"topology": TOPOLOGY}},
    )
    assert seen == [((samples.NAMESPACE,), {"kubeconfig": None, "context": "staging"})]
    assert stack.exports["url"] == "http://dev.voting.localhost:8080"
    assert stack.one(recorder.LEFTOVERS).inputs["context"] == "staging"


def _flow() -> Any:
    return dict(FLOW)
