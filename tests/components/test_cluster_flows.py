"""Flows of removed stacks on the cluster: all of their objects go, or none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kardinal_infra.cluster.flows import ClusterFlows
from kardinal_infra.databases.reaping import Finding, Reaper, Target
from kardinal_infra.databases.staleness import Stacks, StackView
from kardinal_infra.errors import ClusterError
from tests.components.kubernetes_api import APPS, SECURITY, KubernetesApi
from tests.components.test_leftovers import OTHER, marked
from tests.pure.samples import NAMESPACE, STACK

NOW = datetime(2030, 5, 17, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)
BASELINE: Stacks = {"organization/kardinal/baseline": StackView(LONG_AGO)}


class Known:
    def __init__(self, stacks: Stacks) -> None:
        self.stacks = stacks

    def read(self) -> Stacks:
        return self.stacks


def made(item: dict[str, Any], at: datetime = LONG_AGO) -> dict[str, Any]:
    item["metadata"]["creationTimestamp"] = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    return item


def reaper(api: KubernetesApi, stacks: Stacks, *others: str) -> Reaper:
    config = {"kubernetes:kubeconfig": api.kubeconfig()}
    return Reaper([Target(ClusterFlows(others), NAMESPACE)], Known(stacks), config.get, lambda: NOW)


def verdicts(findings: list[Finding]) -> dict[str, tuple[str, str]]:
    return {
        finding.branch.stack: (finding.verdict.action.value, finding.verdict.reason) for finding in findings
    }


@pytest.fixture
def full(kubernetes: KubernetesApi) -> KubernetesApi:
    """Two flows of two stacks, and objects that are none of theirs."""
    for plural in ("services", "deployments", "secrets"):
        kubernetes.put(
            plural,
            made(marked(f"left-{plural}")),
            made(marked(f"theirs-{plural}", stack=OTHER, flow="pr-7")),
            made(marked(f"nobodys-{plural}", stack="", flow="dev")),
            made(marked(f"by-hand-{plural}", manager="somebody")),
        )
    return kubernetes


def test_a_removed_stacks_flow_goes_with_all_its_objects_and_no_other(full: KubernetesApi) -> None:
    stacks = {**BASELINE, OTHER: StackView(LONG_AGO, holds=frozenset({f"{NAMESPACE}/theirs-services"}))}
    before = [item["metadata"]["name"] for items in full.objects.values() for item in items]
    looking = reaper(full, stacks)
    findings = looking.find()
    assert verdicts(findings) == {STACK: ("delete", "its stack is gone"), OTHER: ("keep", "in use")}
    assert findings[0].branch.name == f"flow dev, 3 objects in {NAMESPACE}"
    assert not [request for request in full.seen if request.startswith("DELETE")]

    assert [looking.delete(finding).done for finding in findings] == ["deleted", None]
    after = [item["metadata"]["name"] for items in full.objects.values() for item in items]
    assert sorted(before) == sorted([*after, "left-services", "left-deployments", "left-secrets"])
    assert looking.delete(findings[0]).done == "gone"


def test_one_object_in_a_state_keeps_the_whole_flow(full: KubernetesApi) -> None:
    renamed = {
        **BASELINE,
        "organization/kardinal/moved": StackView(LONG_AGO, holds=frozenset({f"{NAMESPACE}/left-secrets"})),
    }
    assert verdicts(reaper(full, renamed).find())[STACK] == ("keep", "in use by organization/kardinal/moved")


def test_one_young_object_keeps_the_whole_flow(full: KubernetesApi) -> None:
    full.put("jobs", made(marked("just-made"), NOW))
    assert verdicts(reaper(full, BASELINE).find())[STACK] == ("keep", "its stack is gone, but it is young")


def test_a_flow_in_two_namespaces_goes_whole_or_stays_whole(full: KubernetesApi) -> None:
    full.put("jobs", made(marked("far-job", namespace="far")))
    used = {**BASELINE, "organization/kardinal/moved": StackView(LONG_AGO, holds=frozenset({"far/far-job"}))}
    assert verdicts(reaper(full, used, "far").find())[STACK] == (
        "keep",
        "in use by organization/kardinal/moved",
    )

    looking = reaper(full, BASELINE, "far")
    [finding] = [found for found in looking.find() if found.branch.stack == STACK]
    assert finding.branch.name == f"flow dev, 4 objects in {NAMESPACE}, far"
    assert looking.delete(finding).done == "deleted"
    assert not [item for item in full.objects["jobs"] if item["metadata"]["name"] == "far-job"]


def test_a_flow_id_that_two_stacks_use_is_left(full: KubernetesApi) -> None:
    full.put("services", made(marked("again", stack=OTHER)))
    looking = reaper(full, BASELINE)
    finding = next(found for found in looking.find() if found.branch.stack == STACK)
    refused = looking.delete(finding)
    assert (refused.done, OTHER in str(refused.error)) == ("failed", True)
    assert not [request for request in full.seen if request.startswith("DELETE")]


def test_what_may_not_be_listed_is_no_empty_list(full: KubernetesApi) -> None:
    full.forbid(f"{SECURITY}/namespaces/{NAMESPACE}/authorizationpolicies")
    assert len(reaper(full, BASELINE).find()) == 2
    full.forbid(f"{APPS}/namespaces/{NAMESPACE}/deployments")
    with pytest.raises(ClusterError, match="deployments"):
        reaper(full, BASELINE).find()
