"""The judgement of every wait, over hand-made events; the real controllers are in test_lab_waits.py."""

from typing import Any

import pytest

from lab_plugins.kubernetes.discovery import ResourceType
from lab_plugins.kubernetes.waiting.deletion import DeletionWait
from lab_plugins.kubernetes.waiting.deployment import DeploymentWait
from lab_plugins.kubernetes.waiting.feed import Event, label_query
from lab_plugins.kubernetes.waiting.job import JobWait
from lab_plugins.kubernetes.waiting.pod import PodWait
from lab_plugins.kubernetes.waiting.service import ServiceWait
from lab_plugins.kubernetes.waiting.stateful_set import StatefulSetWait


class Discovery:
    def find(self, api_version: str, kind: str) -> ResourceType:
        return ResourceType(api_version, kind, kind.lower() + "s", True)


class Session:
    discovery = Discovery()

    def resource_type(self, obj: dict[str, Any]) -> ResourceType:
        return self.discovery.find(obj["apiVersion"], obj["kind"])


SESSION: Any = Session()


def event(obj: dict[str, Any], deleted: bool = False) -> Event:
    return Event(obj["kind"], deleted, obj)


def metadata(name: str, uid: str | None = None, owner: str | None = None, **more: Any) -> dict[str, Any]:
    owners = [{"uid": owner}] if owner else []
    return {"name": name, "namespace": "n", "uid": uid or name, "ownerReferences": owners, **more}


def deployment(
    generation: int = 1,
    observed: int = 1,
    revision: str = "1",
    available: str = "True",
    progressing: str = "NewReplicaSetAvailable",
) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(
            "d", generation=generation, annotations={"deployment.kubernetes.io/revision": revision}
        ),
        "spec": {"selector": {"matchLabels": {"app": "d"}}},
        "status": {
            "observedGeneration": observed,
            "conditions": [
                {
                    "type": "Available",
                    "status": available,
                    "reason": "MinimumReplicas",
                    "message": "availability",
                },
                {"type": "Progressing", "status": "True", "reason": progressing, "message": "progress"},
            ],
        },
    }


def replica_set(revision: str = "1", wanted: int = 1, ready: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": metadata(
            f"rs{revision}", owner="d", annotations={"deployment.kubernetes.io/revision": revision}
        ),
        "spec": {"replicas": wanted},
        "status": {"readyReplicas": ready} if ready else {},
    }


def pod(name: str, owner: str | None, ready: str = "False", reason: str = "ErrImagePull") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(name, owner=owner),
        "status": {
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Initialized", "status": "True"},
                {
                    "type": "Ready",
                    "status": ready,
                    "reason": "ContainersNotReady",
                    "message": "containers with unready status: [c]",
                },
            ],
            "containerStatuses": [
                {"name": "c", "ready": False, "state": {"waiting": {"reason": reason, "message": "no image"}}}
            ],
        },
    }


class TestDeployment:
    def judged(self, created: dict[str, Any], *objects: dict[str, Any]) -> DeploymentWait:
        wait = DeploymentWait(SESSION, created)
        for obj in objects:
            wait.observe(event(obj))
        return wait

    def test_is_ready_when_its_replica_set_is(self) -> None:
        assert self.judged(deployment(observed=0), deployment(), replica_set()).done()

    @pytest.mark.parametrize(
        "objects",
        [
            [deployment(), replica_set(ready=0)],
            [deployment(available="False"), replica_set()],
            [deployment(observed=0), replica_set()],
            [deployment(revision="2"), replica_set("1")],
            [deployment(revision="2", progressing="ReplicaSetUpdated"), replica_set("2")],
            [deployment()],
        ],
    )
    def test_is_not_ready_before(self, objects: list[dict[str, Any]]) -> None:
        assert not self.judged(objects[0], *objects).done()

    def test_needs_no_pods_with_no_replicas(self) -> None:
        assert self.judged(deployment(), deployment(), replica_set(wanted=0, ready=0)).done()

    def test_a_state_from_before_the_update_is_not_news(self) -> None:
        wait = self.judged(
            deployment(generation=2, observed=1, revision="1"), deployment(generation=1), replica_set()
        )
        assert not wait.done()

    def test_names_what_is_wrong(self) -> None:
        wait = self.judged(
            deployment(), deployment(available="False"), replica_set(ready=0), pod("p", "rs1"), pod("q", "x")
        )
        assert wait.reasons() == [
            "[MinimumReplicas] availability",
            "Minimum number of live Pods was not attained",
            "[Pod n/p]: containers with unready status: [c][ErrImagePull] no image",
        ]
        assert wait.status() == "Waiting for app ReplicaSet to be available (0/1 Pods available)"

    def test_a_deleted_pod_is_no_complaint(self) -> None:
        wait = self.judged(deployment(), deployment(), replica_set(), pod("p", "rs1"))
        wait.observe(event(pod("p", "rs1"), deleted=True))
        assert wait.reasons() == []


class TestStatefulSet:
    def stateful_set(
        self, ready: int = 2, revision: str = "a", strategy: str = "RollingUpdate", observed: int = 1
    ) -> dict[str, Any]:
        return {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": metadata("s", generation=1),
            "spec": {"replicas": 2, "selector": {}, "updateStrategy": {"type": strategy}},
            "status": {
                "observedGeneration": observed,
                "replicas": 2,
                "readyReplicas": ready,
                "currentReplicas": ready,
                "currentRevision": "a",
                "updateRevision": revision,
            },
        }

    @pytest.mark.parametrize(
        ("state", "done"),
        [
            ({}, True),
            ({"ready": 1}, False),
            ({"revision": "b"}, False),
            ({"observed": 0}, False),
            ({"revision": "b", "strategy": "OnDelete"}, True),
        ],
    )
    def test_readiness(self, state: dict[str, Any], done: bool) -> None:
        wait = StatefulSetWait(SESSION, self.stateful_set(observed=0))
        wait.observe(event(self.stateful_set(**state)))
        assert wait.done() is done

    def test_names_what_is_wrong(self) -> None:
        wait = StatefulSetWait(SESSION, self.stateful_set(ready=1, revision="b"))
        assert wait.reasons() == [
            "1 out of 2 replicas succeeded readiness checks",
            'StatefulSet controller failed to advance from revision "a" to revision "b"',
        ]


class TestJob:
    def job(self, *conditions: dict[str, Any]) -> dict[str, Any]:
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata("j"),
            "status": {
                "startTime": "now",
                "conditions": [{"status": "True", **entry} for entry in conditions],
            },
        }

    def test_is_done_when_complete(self) -> None:
        wait = JobWait(SESSION, self.job())
        assert not wait.done()
        wait.observe(event(self.job({"type": "Complete"})))
        assert wait.done()
        assert not wait.failed()

    def test_a_failed_job_ends_the_wait_with_its_reasons(self) -> None:
        wait = JobWait(SESSION, self.job())
        broken = pod("p", "j")
        broken["status"]["containerStatuses"][0]["state"] = {"terminated": {"reason": "Error", "exitCode": 7}}
        wait.observe(event(broken))
        wait.observe(event(broken, deleted=True))
        wait.observe(
            event(self.job({"type": "Failed", "reason": "BackoffLimitExceeded", "message": "limit"}))
        )
        assert wait.failed()
        assert wait.reasons()[0] == "[BackoffLimitExceeded] limit"
        assert 'container "c" completed with exit code 7' in wait.reasons()[1]


class TestService:
    def service(self, **spec: Any) -> dict[str, Any]:
        selected = {"selector": {"app": "x"}, "type": "ClusterIP", "clusterIP": "10.0.0.1", **spec}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata("s"), "spec": selected}

    def endpoints(self, **subset: Any) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata("s"), "subsets": [subset]}

    @pytest.mark.parametrize("spec", [{"clusterIP": "None"}, {"type": "ExternalName"}, {"selector": {}}])
    def test_nothing_to_wait_for(self, spec: dict[str, Any]) -> None:
        wait = ServiceWait(SESSION, self.service(**spec))
        assert wait.done()
        assert len(wait.selections) == 1

    def test_endpoints_have_to_settle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = [0.0]
        monkeypatch.setattr("lab_plugins.kubernetes.waiting.service.time.monotonic", lambda: clock[0])
        wait = ServiceWait(SESSION, self.service())
        assert not wait.done()
        assert wait.pause() is None
        wait.observe(event(self.endpoints(addresses=[1])))
        assert wait.pause() == 10
        clock[0] = 9.0
        wait.observe(event(self.endpoints(notReadyAddresses=[1])))
        clock[0] = 19.0
        assert not wait.done()
        wait.observe(event(self.endpoints(addresses=[1])))
        clock[0] = 29.0
        assert wait.done()

    def test_a_load_balancer_needs_its_address(self) -> None:
        service = self.service(type="LoadBalancer", selector={})
        wait = ServiceWait(SESSION, service)
        assert not wait.done()
        wait.observe(event({**service, "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}))
        assert wait.done()


def test_a_pod_is_ready_when_it_is_or_has_succeeded() -> None:
    wait = PodWait(SESSION, pod("p", "x"))
    assert not wait.done()
    assert "ErrImagePull" in wait.reasons()[0]
    wait.observe(event(pod("p", "x", ready="True")))
    assert wait.done()
    ended = pod("p", "x")
    ended["status"]["phase"] = "Succeeded"
    assert PodWait(SESSION, ended).done()


def test_an_object_is_gone_when_it_is_deleted_or_another_one() -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("c", finalizers=["x/y"])}
    wait = DeletionWait(SESSION, obj)
    wait.observe(event(obj))
    assert not wait.done()
    assert wait.reasons() == ["finalizers might be preventing deletion (x/y)"]
    wait.observe(event(obj, deleted=True))
    assert wait.done()
    replaced = DeletionWait(SESSION, obj)
    replaced.observe(event({**obj, "metadata": metadata("c", uid="other")}))
    assert replaced.done()


def test_label_selectors_are_written_as_queries() -> None:
    rules = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "env", "operator": "NotIn", "values": ["x"]},
        {"key": "has", "operator": "Exists"},
        {"key": "not", "operator": "DoesNotExist"},
    ]
    query = label_query({"matchLabels": {"app": "web"}, "matchExpressions": rules})
    assert query == "app=web,tier in (a,b),env notin (x),has,!not"
    assert label_query(None) == ""
