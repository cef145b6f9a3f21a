"""Waits against the lab's real controllers: what is ready, what never will be, and how a wait is ended."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from lab.configuration import PAUSE_IMAGE, REGISTRY
from lab.settings import ISTIO_VERSION
from tests.plugins.conftest import Cluster, InitFailedError, Plugin

pytestmark = pytest.mark.lab

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
JOB = "kubernetes:batch/v1:Job"
POD = "kubernetes:core/v1:Pod"
SERVICE = "kubernetes:core/v1:Service"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
ROUTE = "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute"
# Images that every lab has: one that waits to be ended, and one with a shell (and little else) in it.
IDLE = PAUSE_IMAGE
SHELL = f"{REGISTRY}/pilot:{ISTIO_VERSION}"


def pod_template(app: str, image: str = IDLE, **container: Any) -> dict[str, Any]:
    annotations = {"sidecar.istio.io/inject": "false"}
    container = {"name": "c", "image": image, "imagePullPolicy": "Never", **container}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {"metadata": {"labels": {"app": app}, "annotations": annotations}, "spec": spec}


def deployment(app: str, annotations: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"annotations": annotations or {}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": app}},
            "template": pod_template(app, **options),
        },
    }


def job(script: str) -> dict[str, Any]:
    template = pod_template("job", image=SHELL, command=["sh", "-c", script])
    template["spec"]["restartPolicy"] = "Never"
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {"backoffLimit": 0, "template": template}}


class TestDeployment:
    def test_is_created_rolled_out_and_deleted(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str, unique: str
    ) -> None:
        inputs = kubernetes.check(DEPLOYMENT, "d", deployment(unique))
        identifier, state = kubernetes.create(DEPLOYMENT, "d", inputs)
        assert state["status"]["readyReplicas"] == 1
        news = kubernetes.check(
            DEPLOYMENT, "d", deployment(unique, env=[{"name": "A", "value": "1"}]), olds=inputs
        )
        after = kubernetes.update(DEPLOYMENT, "d", identifier, state, news)
        assert after["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
        assert after["status"]["updatedReplicas"] == 1
        assert not kubernetes.diff(DEPLOYMENT, "d", after, news).detailedDiff
        kubernetes.delete(DEPLOYMENT, "d", identifier, after)
        pods = cluster.api.list(f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": f"app={unique}"})
        assert pods["items"] == [], "foreground: the pods go first"

    def test_that_cannot_start_is_kept_with_its_reasons_and_recovers(
        self, kubernetes: Plugin, namespace: str, unique: str, init_failed: type[InitFailedError]
    ) -> None:
        broken = deployment(unique, image="nope:1")
        inputs = kubernetes.check(DEPLOYMENT, "bad", broken)
        name = inputs["metadata"]["name"]
        with pytest.raises(init_failed) as failure:
            kubernetes.create(DEPLOYMENT, "bad", inputs, timeout=4)
        urn = kubernetes.urn(DEPLOYMENT, "bad")
        assert str(failure.value) == (
            f'resource "{urn}" was successfully created, but the Kubernetes API server reported that it '
            f"failed to fully initialize or become live: '{name}' timed out waiting to be Ready"
        )
        assert failure.value.id == f"{namespace}/{name}"
        reasons = failure.value.reasons
        assert reasons[0] == str(failure.value)
        assert reasons[1:3] == [
            "[MinimumReplicasUnavailable] Deployment does not have minimum availability.",
            "Minimum number of live Pods was not attained",
        ]
        assert re.fullmatch(
            rf"\[Pod {namespace}/{name}-\S+\]: containers with unready status: \[c\]\[ErrImageNeverPull\] "
            r'Container image "\S*nope:1" is not present with pull policy of Never',
            reasons[3],
        )
        state = failure.value.properties
        assert state["__inputs"] == inputs
        with pytest.raises(init_failed, match="was created but failed to initialize") as refreshed:
            kubernetes.read(DEPLOYMENT, "bad", failure.value.id, state, inputs)
        assert refreshed.value.inputs == inputs
        fixed = kubernetes.check(DEPLOYMENT, "bad", deployment(unique), olds=inputs)
        after = kubernetes.update(DEPLOYMENT, "bad", failure.value.id, state, fixed)
        assert after["status"]["readyReplicas"] == 1
        assert kubernetes.read(DEPLOYMENT, "bad", failure.value.id, after, fixed)[0] == failure.value.id
        kubernetes.delete(DEPLOYMENT, "bad", failure.value.id, after)

    def test_cancel_ends_the_wait_and_keeps_the_object(
        self,
        doomed: Plugin,
        cluster: Cluster,
        namespace: str,
        unique: str,
        init_failed: type[InitFailedError],
    ) -> None:
        inputs = doomed.check(DEPLOYMENT, "bad", deployment(unique, image="nope:1"))
        name = inputs["metadata"]["name"]
        creating = doomed.background(doomed.create, DEPLOYMENT, "bad", inputs)
        while cluster.get("apps/v1", "Deployment", namespace, name) is None:
            assert not creating.done()
        doomed.cancel()
        with pytest.raises(init_failed, match=f'Resource operation was cancelled for "{name}"') as failure:
            creating.result(timeout=10)
        assert failure.value.id == f"{namespace}/{name}"
        cluster.delete("apps/v1", "Deployment", namespace, name)

    def test_is_not_waited_for_when_told_so(self, kubernetes: Plugin, unique: str) -> None:
        skipping = deployment(unique, {"pulumi.com/skipAwait": "true"}, image="nope:1")
        inputs = kubernetes.check(DEPLOYMENT, "d", skipping)
        identifier, state = kubernetes.create(DEPLOYMENT, "d", inputs)
        assert kubernetes.read(DEPLOYMENT, "d", identifier, state, inputs)[0] == identifier
        kubernetes.delete(DEPLOYMENT, "d", identifier, state)

    def test_the_annotation_bounds_the_wait(
        self, kubernetes: Plugin, unique: str, init_failed: type[InitFailedError]
    ) -> None:
        hurried = deployment(unique, {"pulumi.com/timeoutSeconds": "1"}, image="nope:1")
        inputs = kubernetes.check(DEPLOYMENT, "d", hurried)
        with pytest.raises(init_failed, match="timed out waiting to be Ready") as failure:
            kubernetes.create(DEPLOYMENT, "d", inputs)
        kubernetes.delete(DEPLOYMENT, "d", failure.value.id, failure.value.properties, timeout=60)


class TestJob:
    def test_is_waited_for_until_it_is_complete(self, kubernetes: Plugin) -> None:
        inputs = kubernetes.check(JOB, "j", job("exit 0"))
        identifier, state = kubernetes.create(JOB, "j", inputs)
        assert state["status"]["succeeded"] == 1
        news = kubernetes.check(JOB, "j", job("true"), olds=inputs)
        assert list(kubernetes.diff(JOB, "j", state, news).replaces) == [
            "spec.template.spec.containers[0].command[2]"
        ]
        kubernetes.delete(JOB, "j", identifier, state)

    def test_a_failed_one_fails_at_once_with_its_exit_code(
        self, kubernetes: Plugin, init_failed: type[InitFailedError]
    ) -> None:
        inputs = kubernetes.check(JOB, "jf", job("exit 7"))
        with pytest.raises(init_failed) as failure:
            kubernetes.create(JOB, "jf", inputs)
        assert f"Resource '{inputs['metadata']['name']}' was created but failed to initialize" in str(
            failure.value
        )
        assert "[BackoffLimitExceeded] Job has reached the specified backoff limit" in failure.value.reasons
        assert 'container "c" completed with exit code 7' in "\n".join(failure.value.reasons)
        kubernetes.delete(JOB, "jf", failure.value.id, failure.value.properties)

    def test_a_failed_one_is_replaced_when_asked_for(
        self, kubernetes: Plugin, unique: str, init_failed: type[InitFailedError]
    ) -> None:
        asked = job("exit 7")
        asked["metadata"] = {"name": unique, "annotations": {"pulumi.com/replaceUnready": "true"}}
        inputs = kubernetes.check(JOB, "ju", asked)
        with pytest.raises(init_failed) as failure:
            kubernetes.create(JOB, "ju", inputs)
        diff = kubernetes.diff(JOB, "ju", failure.value.properties, inputs, identifier=failure.value.id)
        assert list(diff.replaces) == ['metadata.annotations["pulumi.com/replaceUnready"]']
        assert diff.deleteBeforeReplace, "two objects of one name cannot be there at once"
        kubernetes.delete(JOB, "ju", failure.value.id, failure.value.properties)


def test_a_stateful_set_is_waited_for(kubernetes: Plugin, unique: str) -> None:
    manifest = deployment(unique)
    manifest["kind"] = "StatefulSet"
    manifest["spec"]["serviceName"] = unique
    inputs = kubernetes.check(STATEFUL_SET, "s", manifest)
    identifier, state = kubernetes.create(STATEFUL_SET, "s", inputs)
    assert state["status"]["readyReplicas"] == 1
    kubernetes.delete(STATEFUL_SET, "s", identifier, state)


def test_a_pod_is_waited_for(kubernetes: Plugin, unique: str) -> None:
    template = pod_template(unique)
    inputs = kubernetes.check(POD, "p", {"apiVersion": "v1", "kind": "Pod", **template})
    identifier, state = kubernetes.create(POD, "p", inputs)
    assert state["status"]["phase"] == "Running"
    kubernetes.delete(POD, "p", identifier, state)


class TestService:
    def service(self, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        metadata = {"annotations": annotations or {}}
        ports = {"ports": [{"port": 80}], "selector": {"app": "nothing"}}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {**ports, **spec}}

    def test_that_selects_nothing_passes_when_its_endpoints_have_settled(self, kubernetes: Plugin) -> None:
        inputs = kubernetes.check(SERVICE, "s", self.service())
        identifier, state = kubernetes.create(SERVICE, "s", inputs)
        assert kubernetes.read(SERVICE, "s", identifier, state, inputs)[0] == identifier
        kubernetes.delete(SERVICE, "s", identifier, state)

    @pytest.mark.parametrize(
        "service",
        [{"annotations": {"pulumi.com/skipAwait": "true"}}, {"clusterIP": "None"}],
    )
    def test_that_needs_no_endpoints_does_not_wait(self, kubernetes: Plugin, service: Any) -> None:
        inputs = kubernetes.check(SERVICE, "s", self.service(**service))
        # The settling time alone would be longer than this.
        identifier, state = kubernetes.create(SERVICE, "s", inputs, timeout=5)
        kubernetes.delete(SERVICE, "s", identifier, state)

    def test_an_address_is_for_life(self, kubernetes: Plugin) -> None:
        inputs = kubernetes.check(SERVICE, "s", self.service(clusterIP="None"))
        identifier, state = kubernetes.create(SERVICE, "s", inputs)
        news = kubernetes.check(SERVICE, "s", self.service(), olds=inputs)
        assert list(kubernetes.diff(SERVICE, "s", state, news).replaces) == ["spec.clusterIP"]
        kubernetes.delete(SERVICE, "s", identifier, state)


class TestWaitFor:
    def route(self, service: Any, expression: str) -> dict[str, Any]:
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"annotations": {"pulumi.com/waitFor": expression}},
            "spec": {
                "parentRefs": [{"group": "", "kind": "Service", "name": service, "port": 80}],
                "rules": [{"backendRefs": [{"name": service, "port": 80}]}],
            },
        }

    @pytest.fixture
    def service(self, kubernetes: Plugin, unique: str) -> Iterator[str]:
        manifest = TestService().service({"pulumi.com/skipAwait": "true"})
        manifest["metadata"]["name"] = unique
        inputs = kubernetes.check(SERVICE, unique, manifest)
        identifier, state = kubernetes.create(SERVICE, unique, inputs)
        yield unique
        kubernetes.delete(SERVICE, unique, identifier, state)

    def test_a_route_is_waited_for_until_istio_has_accepted_it(
        self, kubernetes: Plugin, service: Any
    ) -> None:
        expression = 'jsonpath={.status.parents[0].conditions[?(@.type=="Accepted")].status}=True'
        inputs = kubernetes.check(ROUTE, "r", self.route(service, expression))
        identifier, state = kubernetes.create(ROUTE, "r", inputs, timeout=30)
        conditions = {entry["type"]: entry["status"] for entry in state["status"]["parents"][0]["conditions"]}
        assert conditions["Accepted"] == "True"
        changed = self.route(service, expression)
        changed["spec"]["rules"][0]["matches"] = [{"path": {"type": "PathPrefix", "value": "/x"}}]
        news = kubernetes.check(ROUTE, "r", changed, olds=inputs)
        after = kubernetes.update(ROUTE, "r", identifier, state, news, timeout=30)
        assert after["metadata"]["generation"] == 2
        assert not kubernetes.diff(ROUTE, "r", after, news).detailedDiff
        kubernetes.delete(ROUTE, "r", identifier, after)

    def test_what_never_comes_is_a_partial_failure(
        self, kubernetes: Plugin, service: Any, init_failed: type[InitFailedError]
    ) -> None:
        expression = "jsonpath={.status.parents[0].parentRef.name}=other"
        inputs = kubernetes.check(ROUTE, "r", self.route(service, expression))
        with pytest.raises(init_failed) as failure:
            kubernetes.create(ROUTE, "r", inputs, timeout=2)
        assert "{.status.parents[0].parentRef.name}=other does not hold" in failure.value.reasons
        kubernetes.delete(ROUTE, "r", failure.value.id, failure.value.properties)

    def test_a_condition_of_any_kind(self, kubernetes: Plugin, unique: str) -> None:
        waiting = deployment(
            unique, {"pulumi.com/waitFor": '["condition=Progressing", "jsonpath={.spec.replicas}=1"]'}
        )
        inputs = kubernetes.check(DEPLOYMENT, "d", waiting)
        identifier, state = kubernetes.create(DEPLOYMENT, "d", inputs)
        assert any(entry["type"] == "Progressing" for entry in state["status"]["conditions"])
        kubernetes.delete(DEPLOYMENT, "d", identifier, state)
