"""Removing what a killed update left: the sweep of the cluster, and the guard that orders it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pytest
from pulumi.dynamic import Config, ConfigureRequest

from kardinal_infra.cluster.client import connect
from kardinal_infra.cluster.sweep import DEADLINE_SECONDS, sweep
from kardinal_infra.components.leftovers import LeftoversProvider
from kardinal_infra.databases.request import BranchRequest
from kardinal_infra.errors import ClusterError
from tests.components.kubernetes_api import APPS, CORE, GATEWAY, SECURITY, KubernetesApi, status
from tests.pure.samples import NAMESPACE, STACK

OTHER = "organization/kardinal/pr-7"


def marked(
    name: str,
    stack: str = STACK,
    flow: str = "dev",
    manager: str = "kardinal",
    namespace: str = NAMESPACE,
) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"kardinal.dev/flow": flow, "app.kubernetes.io/managed-by": manager},
            "annotations": {"kardinal.dev/stack": stack},
        }
    }


@pytest.fixture
def full(kubernetes: KubernetesApi) -> KubernetesApi:
    """A cluster with leftovers of every kind, and everybody else's objects."""
    for plural in ("httproutes", "services", "deployments", "jobs", "secrets"):
        kubernetes.put(
            plural,
            marked(f"left-{plural}"),
            marked(f"theirs-{plural}", stack=OTHER),
            marked(f"ours-of-another-flow-{plural}", flow="dev2"),
            marked(f"by-hand-{plural}", manager="somebody"),
        )
    return kubernetes


class Clock:
    """Time that only passes by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def swept(
    api: KubernetesApi, clock: Clock | None = None, namespaces: Sequence[str] = (NAMESPACE,)
) -> list[str]:
    clock = clock or Clock()
    with connect(NAMESPACE, kubeconfig=api.kubeconfig()) as client:
        return sweep(client, namespaces, "dev", STACK, clock=clock, sleep=clock.sleep)


def test_it_deletes_this_flow_s_of_this_stack_and_nothing_else(full: KubernetesApi) -> None:
    before = {plural: len(items) for plural, items in full.objects.items()}

    assert swept(full) == [
        "HTTPRoute left-httproutes",
        "Service left-services",
        "Deployment left-deployments",
        "Job left-jobs",
        "Secret left-secrets",
    ]
    for plural in ("httproutes", "services", "deployments", "jobs", "secrets"):
        names = {item["metadata"]["name"] for item in full.objects[plural]}
        assert f"left-{plural}" not in names
        assert len(names) == before[plural] - 1
    assert swept(full) == []


def test_in_several_namespaces_every_route_goes_before_any_fork(full: KubernetesApi) -> None:
    for plural in ("httproutes", "deployments"):
        full.put(
            plural, marked(f"far-{plural}", namespace="far"), marked(f"other-{plural}", namespace="other")
        )

    assert swept(full, namespaces=("far", NAMESPACE)) == [
        "HTTPRoute far-httproutes in far",
        "HTTPRoute left-httproutes in voting-app",
        "Service left-services in voting-app",
        "Deployment far-deployments in far",
        "Deployment left-deployments in voting-app",
        "Job left-jobs in voting-app",
        "Secret left-secrets in voting-app",
    ]


def test_what_guards_pods_goes_after_them(kubernetes: KubernetesApi) -> None:
    kinds = ("serviceentries", "sidecars", "authorizationpolicies", "networkpolicies", "statefulsets")
    for plural in kinds:
        kubernetes.put(plural, marked(f"left-{plural}"), marked(f"theirs-{plural}", stack=OTHER))

    assert swept(kubernetes) == [
        "StatefulSet left-statefulsets",
        "NetworkPolicy left-networkpolicies",
        "AuthorizationPolicy left-authorizationpolicies",
        "Sidecar left-sidecars",
        "ServiceEntry left-serviceentries",
    ]


def test_whoever_may_not_list_policies_has_left_none(full: KubernetesApi) -> None:
    full.forbid(f"{SECURITY}/namespaces/{NAMESPACE}/authorizationpolicies")

    assert len(swept(full)) == 5


def test_a_forks_claims_go_after_it(kubernetes: KubernetesApi) -> None:
    for plural in ("persistentvolumeclaims", "statefulsets"):
        kubernetes.put(plural, marked(f"left-{plural}"), marked(f"theirs-{plural}", stack=OTHER))

    assert swept(kubernetes) == [
        "StatefulSet left-statefulsets",
        "PersistentVolumeClaim left-persistentvolumeclaims",
    ]


def test_claims_that_nobody_may_look_at_go_with_their_stateful_set(kubernetes: KubernetesApi) -> None:
    kubernetes.put("persistentvolumeclaims", marked("left"))
    kubernetes.put("statefulsets", marked("left"))
    kubernetes.forbid(f"{CORE}/namespaces/{NAMESPACE}/persistentvolumeclaims")

    assert swept(kubernetes) == ["StatefulSet left"]


def test_dependents_go_before_their_owner(full: KubernetesApi) -> None:
    swept(full)

    deletions = [request for request in full.seen if request.startswith("DELETE")]
    assert len(deletions) == 5
    assert all(request.endswith("?propagationPolicy=Foreground") for request in deletions)


def test_it_waits_for_what_takes_its_time(full: KubernetesApi) -> None:
    going: dict[str, str] = {}
    full.on_delete = going.__setitem__
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.now += seconds
        # What was to be deleted is gone after its third pause.
        if clock.now % 1.5 == 0:
            for plural, name in going.items():
                full.objects[plural] = [i for i in full.objects[plural] if i["metadata"]["name"] != name]

    clock.sleep = sleep  # type: ignore[method-assign]
    assert len(swept(full, clock)) == 5
    # Asked for once each, however often it looked.
    assert len([request for request in full.seen if request.startswith("DELETE")]) == 5
    assert clock.now == 7.5


def test_what_does_not_go_away_is_named(full: KubernetesApi) -> None:
    full.on_delete = lambda plural, name: None
    clock = Clock()
    with pytest.raises(ClusterError, match="left-httproutes in namespace voting-app did not go away in time"):
        swept(full, clock)
    assert clock.now >= DEADLINE_SECONDS


def test_a_cluster_without_gateway_api_has_no_routes_to_sweep(full: KubernetesApi) -> None:
    full.apis -= {GATEWAY}

    assert "Service left-services" in swept(full)


def test_a_refusal_is_named(full: KubernetesApi) -> None:
    full.failures[f"{APPS}/namespaces/{NAMESPACE}/deployments/left-deployments"] = status(403, "not you")
    with pytest.raises(ClusterError, match=r"^cannot delete left-deployments on the cluster: not you$"):
        swept(full)


PROPS: dict[str, Any] = {
    "namespaces": [NAMESPACE],
    "flow": "dev",
    "stack": STACK,
    "branches": [],
    "context": None,
}


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> LeftoversProvider:
    # Short errors are a setting of the whole process.
    monkeypatch.setattr(sys, "tracebacklimit", 1000, raising=False)
    monkeypatch.delenv("PULUMI_K8S_DELETE_UNREACHABLE", raising=False)
    made = LeftoversProvider()
    made.configure(ConfigureRequest(Config({}, "kardinal")))
    return made


def test_making_the_guard_does_nothing(provider: LeftoversProvider) -> None:
    made = provider.create({**PROPS, "kubeconfig": "/nowhere"})

    assert made.id
    assert made.outs == {**PROPS, "kubeconfig": "/nowhere"}
    assert provider.update(made.id, PROPS, {**PROPS, "context": "new"}).outs == {**PROPS, "context": "new"}


@pytest.mark.parametrize(
    ("change", "changes", "replaces"),
    [
        ({}, False, []),
        ({"flow": "dev2"}, True, ["flow"]),
        ({"namespaces": ["b"], "stack": OTHER}, True, ["stack"]),
        # The branches stay under the same marks; a replaced guard would delete them.
        ({"namespaces": ["b"]}, True, []),
        ({"namespaces": [NAMESPACE, "b"]}, True, []),
        ({"branches": [{"backend": "neon", "request": {}}]}, True, []),
        ({"context": "staging"}, True, []),
    ],
)
def test_a_guard_of_other_marks_is_another_guard(
    provider: LeftoversProvider, change: dict[str, Any], changes: bool, replaces: list[str]
) -> None:
    found = provider.diff("leftovers", PROPS, {**PROPS, **change})

    assert (found.changes, found.replaces) == (changes, replaces)


def mark(name: str, **fields: Any) -> dict[str, Any]:
    request = {"name": name, "project": "shop", "database": "votes", "role": "votes_owner", **fields}
    return {"backend": "neon", "request": request}


def test_the_guard_never_forgets_a_branch_that_a_killed_update_may_have_made(
    provider: LeftoversProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database was taken out of the flow, or its branch renamed, after the update was killed."""
    state = {**PROPS, "branches": [mark("votes"), mark("logs", ttl="24h")]}
    for branches in ([mark("logs", ttl="48h")], [mark("logs-b")], [mark("logs-b"), mark("votes")]):
        news = {**PROPS, "branches": branches}
        assert provider.diff("leftovers", state, news).changes
        state = provider.update("leftovers", state, news).outs or {}
        assert not provider.diff("leftovers", state, news).changes
    looked_for: list[str] = []

    class Backend:
        def discard(self, request: BranchRequest, config: object) -> bool:
            looked_for.append(request.name)
            return False

    monkeypatch.setattr("kardinal_infra.components.leftovers.backend", lambda name: Backend())
    monkeypatch.setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
    provider.delete("leftovers", state)
    assert sorted(looked_for) == ["logs", "logs-b", "votes"]


def test_deleting_the_guard_sweeps_and_says_so(
    provider: LeftoversProvider, full: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.delete("leftovers", {**PROPS, "kubeconfig": full.kubeconfig()})

    said = capsys.readouterr().out.splitlines()
    assert "kardinal: removed Job left-jobs, which the stack's state did not know" in said
    assert len(said) == 5


def test_a_guard_that_moved_sweeps_where_it_was_too(
    provider: LeftoversProvider, full: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    here = {**PROPS, "kubeconfig": full.kubeconfig()}
    there = {**here, "namespaces": ["elsewhere"]}
    moved = provider.update("leftovers", here, there).outs or {}
    again = provider.update("leftovers", moved, there).outs or {}
    assert not provider.diff("leftovers", again, there).changes

    provider.delete("leftovers", again)

    assert len(capsys.readouterr().out.splitlines()) == 5


def test_a_guard_of_the_first_version_knows_one_namespace(
    provider: LeftoversProvider, full: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    here = {**PROPS, "kubeconfig": full.kubeconfig()}
    old = {key: value for key, value in here.items() if key != "namespaces"} | {"namespace": NAMESPACE}
    assert not provider.diff("leftovers", old, here).changes

    provider.delete("leftovers", old)

    assert len(capsys.readouterr().out.splitlines()) == 5


def test_a_cluster_that_is_gone_stops_it_unless_told(
    provider: LeftoversProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    props = {**PROPS, "kubeconfig": "/nowhere/config"}
    with pytest.raises(ClusterError, match="no usable kubeconfig"):
        provider.delete("leftovers", props)

    monkeypatch.setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
    provider.delete("leftovers", props)
