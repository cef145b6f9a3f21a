"""Check, create and preview on the lab's API server, each checked by asking that server directly."""

import base64
from collections.abc import Callable

import grpc
import pytest

from lab_plugins.common.wire import UNKNOWN, Secret
from tests.plugins.conftest import Cluster, Plugin
from tests.plugins.manifests import config_map, deployment

pytestmark = pytest.mark.lab

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRET = "kubernetes:core/v1:Secret"
SERVICE = "kubernetes:core/v1:Service"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
DEFINITION = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"


class TestCheck:
    def test_names_the_object_and_its_namespace(self, kubernetes: Plugin, namespace: str) -> None:
        checked = kubernetes.check(CONFIG_MAP, "cm", config_map(a="1"))
        metadata = checked["metadata"]
        assert metadata["namespace"] == namespace
        assert metadata["name"].startswith("cm-")
        assert metadata["annotations"] == {"pulumi.com/autonamed": "true"}
        again = kubernetes.check(CONFIG_MAP, "cm", config_map(a="2"), olds=checked)
        assert again["metadata"] == metadata

    def test_gives_no_namespace_to_what_has_none(self, kubernetes: Plugin) -> None:
        checked = kubernetes.check(
            "kubernetes:core/v1:Namespace", "ns", {"apiVersion": "v1", "kind": "Namespace"}
        )
        assert "namespace" not in checked["metadata"]

    def test_keeps_secrecy_and_encodes_string_data(self, kubernetes: Plugin) -> None:
        news = {"apiVersion": "v1", "kind": "Secret", "stringData": {"url": Secret("hunter2")}}
        checked = kubernetes.check(SECRET, "s", news)
        assert checked["data"] == Secret({"url": base64.b64encode(b"hunter2").decode()})
        assert "stringData" not in checked

    def test_lets_unknowns_through(self, kubernetes: Plugin) -> None:
        news = {"apiVersion": "v1", "kind": "Secret", "stringData": {"url": Secret(UNKNOWN)}}
        checked = kubernetes.check(SECRET, "s", news)
        assert checked["stringData"] == Secret({"url": UNKNOWN})

    def test_refuses_a_wrong_wait_before_anything_is_created(self, kubernetes: Plugin) -> None:
        news = config_map() | {"metadata": {"annotations": {"pulumi.com/waitFor": "Ready"}}}
        answer = kubernetes.check_raw(CONFIG_MAP, "cm", news)
        assert "expected a" in answer.failures[0].reason

    @pytest.mark.parametrize(
        "token",
        ["kubernetes:helm.sh/v3:Release", "kubernetes:apps/v1:DeploymentPatch", "kubernetes:core/v1:PodList"],
    )
    def test_refuses_what_it_does_not_serve(self, kubernetes: Plugin, token: str) -> None:
        with pytest.raises(grpc.RpcError, match=r"does not serve|list resources"):
            kubernetes.check(token, "x", {})


class TestCreate:
    def test_is_a_plain_post(self, kubernetes: Plugin, cluster: Cluster, namespace: str) -> None:
        inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(a="1"))
        identifier, state = kubernetes.create(CONFIG_MAP, "cm", inputs)
        name = inputs["metadata"]["name"]
        assert identifier == f"{namespace}/{name}"
        live = cluster.get("v1", "ConfigMap", namespace, name)
        assert live["data"] == {"a": "1"}
        assert "labels" not in live["metadata"]
        manager = live["metadata"]["managedFields"][0]
        assert (manager["manager"], manager["operation"]) == ("pulumi-kubernetes", "Update")
        assert state["metadata"]["uid"] == live["metadata"]["uid"]
        assert state["__inputs"] == inputs
        assert state["__initialApiVersion"] == "v1"
        assert state["__fieldManager"].startswith("pulumi-kubernetes-")

    def test_an_existing_object_is_an_error_with_advice(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str, unique: str
    ) -> None:
        cluster.create(
            {**config_map(unique, a="theirs"), "metadata": {"name": unique, "namespace": namespace}}
        )
        inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(unique, a="ours"))
        with pytest.raises(grpc.RpcError) as error:
            kubernetes.create(CONFIG_MAP, "cm", inputs)
        urn = kubernetes.urn(CONFIG_MAP, "cm")
        expected = (
            f'resource "{urn}" was not successfully created by the Kubernetes API server: '
            f'configmaps "{unique}" already exists\n\nThe resource already exists in the cluster.'
        )
        assert (error.value.details() or "").startswith(expected)
        assert "upsertExistingObjects" in (error.value.details() or "")
        assert cluster.get("v1", "ConfigMap", namespace, unique)["data"] == {"a": "theirs"}

    def test_an_existing_object_can_be_taken_over(
        self, start: Callable[..., Plugin], kubeconfig: str, cluster: Cluster, namespace: str, unique: str
    ) -> None:
        cluster.create({**config_map(unique), "metadata": {"name": unique, "namespace": namespace}})
        plugin = start("lab_plugins.kubernetes")
        plugin.configure(kubeconfig=kubeconfig, namespace=namespace, upsertExistingObjects="true")
        inputs = plugin.check(CONFIG_MAP, "cm", config_map(unique, a="ours"))
        plugin.create(CONFIG_MAP, "cm", inputs)
        assert cluster.get("v1", "ConfigMap", namespace, unique)["data"] == {"a": "ours"}

    def test_wrong_types_carry_the_servers_words(self, kubernetes: Plugin) -> None:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "spec": {"ports": [{"port": 99999}], "selector": {"a": "b"}},
        }
        inputs = kubernetes.check(SERVICE, "svc", service)
        for preview in (True, False):
            with pytest.raises(grpc.RpcError, match=r"spec.ports\[0\].port: Invalid value: 99999"):
                kubernetes.create(SERVICE, "svc", inputs, preview=preview)

    def test_secrets_stay_secret_in_the_state(self, kubernetes: Plugin) -> None:
        news = {"apiVersion": "v1", "kind": "Secret", "stringData": {"url": "hunter2"}}
        inputs = kubernetes.check(SECRET, "s", news)
        _, state = kubernetes.create(SECRET, "s", inputs)
        assert state["data"] == state["__inputs"]["data"] == Secret({"url": "aHVudGVyMg=="})

    def test_an_unknown_kind_is_given_up_when_cancelled(self, doomed: Plugin) -> None:
        token = "kubernetes:nothing.example.dev/v1:Thing"
        inputs = doomed.check(token, "x", {"apiVersion": "nothing.example.dev/v1", "kind": "Thing"})
        _, echoed = doomed.create(token, "x", inputs, preview=True)
        assert echoed == inputs
        creating = doomed.background(doomed.create, token, "x", inputs)
        assert not creating.done()
        doomed.cancel()
        with pytest.raises(
            grpc.RpcError, match=r'no matches for kind "Thing" in version "nothing.example.dev/v1"'
        ):
            creating.result(timeout=5)

    def test_a_custom_resource_waits_for_its_definition(
        self, kubernetes: Plugin, cluster: Cluster, unique: str
    ) -> None:
        group = f"{unique}.example.dev"
        version = {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object", "x_kubernetes_preserve_unknown_fields": True}},
        }
        names = {"plural": "things", "singular": "thing", "kind": "Thing"}
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"things.{group}"},
            "spec": {"group": group, "names": names, "scope": "Cluster", "versions": [version]},
        }
        checked = kubernetes.check(DEFINITION, "crd", definition)
        token = f"kubernetes:{group}/v1:Thing"
        thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "spec": {"any": {"x": 1}}}
        inputs = kubernetes.check(token, "thing", thing)
        assert "namespace" not in inputs["metadata"], (
            "the scope is known from the definition in the same program"
        )
        creating = kubernetes.background(kubernetes.create, token, "thing", inputs)
        identifier, state = kubernetes.create(DEFINITION, "crd", checked)
        try:
            thing_id, thing_state = creating.result(timeout=60)
            assert thing_id == inputs["metadata"]["name"]
            assert thing_state["spec"] == {"any": {"x": 1}}
            schema = state["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            assert schema["x_kubernetes_preserve_unknown_fields"] is True
            assert kubernetes.diff(DEFINITION, "crd", state, checked).changes == 1
        finally:
            kubernetes.delete(DEFINITION, "crd", identifier, state)
        kubernetes.delete(token, "thing", thing_id, thing_state)
        assert kubernetes.read(token, "thing", thing_id, thing_state, inputs)[0] == ""


class TestPreview:
    def test_tries_out_what_is_known(self, kubernetes: Plugin, cluster: Cluster, namespace: str) -> None:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}},
        }
        inputs = kubernetes.check(SERVICE, "svc", service)
        identifier, state = kubernetes.create(SERVICE, "svc", inputs, preview=True)
        assert identifier == ""
        assert state["spec"]["type"] == "ClusterIP"
        assert "status" not in state
        assert cluster.get("v1", "Service", namespace, inputs["metadata"]["name"]) is None

    def test_echoes_what_is_unknown(self, kubernetes: Plugin) -> None:
        inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(a=UNKNOWN))
        assert kubernetes.create(CONFIG_MAP, "cm", inputs, preview=True) == ("", inputs)

    def test_does_not_mind_an_existing_object_or_a_missing_namespace(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str, unique: str
    ) -> None:
        cluster.create({**config_map(unique), "metadata": {"name": unique, "namespace": namespace}})
        for metadata in ({"name": unique}, {"namespace": "not-there-yet"}):
            inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(a="1") | {"metadata": metadata})
            assert kubernetes.create(CONFIG_MAP, "cm", inputs, preview=True) == ("", inputs)

    def test_tries_out_an_update_without_making_it(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str
    ) -> None:
        inputs = kubernetes.check(DEPLOYMENT, "d", deployment("a"))
        identifier, state = kubernetes.create(DEPLOYMENT, "d", inputs)
        news = kubernetes.check(DEPLOYMENT, "d", deployment("b"), olds=inputs)
        previewed = kubernetes.update(DEPLOYMENT, "d", identifier, state, news, preview=True)
        assert previewed["spec"]["template"]["spec"]["containers"][0]["image"] == "b"
        live = cluster.get("apps/v1", "Deployment", namespace, inputs["metadata"]["name"])
        assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "a"
        assert live["metadata"]["managedFields"][0]["operation"] == "Update"
