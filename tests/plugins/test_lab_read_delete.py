"""Read, delete, and what is done without a cluster, on the lab's API server."""

from collections.abc import Callable

import grpc
import pytest

from lab_plugins.common.wire import Secret
from tests.plugins.conftest import Cluster, InitFailedError, Plugin
from tests.plugins.manifests import config_map, deployment

pytestmark = pytest.mark.lab

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRET = "kubernetes:core/v1:Secret"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"


class TestRead:
    def test_refresh_sees_drift_in_the_shape_of_the_inputs(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str
    ) -> None:
        inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(a="1"))
        name = inputs["metadata"]["name"]
        identifier, state = kubernetes.create(CONFIG_MAP, "cm", inputs)
        theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}
        cluster.apply({**theirs, "data": {"a": "2", "more": "3"}}, "somebody")
        read_id, read_state, read_inputs = kubernetes.read(CONFIG_MAP, "cm", identifier, state, inputs)
        assert read_id == identifier
        assert read_inputs == {**inputs, "data": {"a": "2"}}
        assert read_state["data"] == {"a": "2", "more": "3"}
        assert read_state["__fieldManager"] == state["__fieldManager"]
        diff = kubernetes.diff(CONFIG_MAP, "cm", read_state, inputs)
        assert list(diff.detailedDiff) == ["data.a"]

    def test_what_is_gone_has_no_id(self, kubernetes: Plugin, cluster: Cluster, namespace: str) -> None:
        inputs = kubernetes.check(CONFIG_MAP, "cm", config_map())
        identifier, state = kubernetes.create(CONFIG_MAP, "cm", inputs)
        cluster.delete("v1", "ConfigMap", namespace, inputs["metadata"]["name"])
        assert kubernetes.read(CONFIG_MAP, "cm", identifier, state, inputs) == ("", {}, {})

    def test_get_recovers_inputs_that_need_no_change(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str, unique: str
    ) -> None:
        manifest = deployment("a")
        manifest["metadata"] = {"name": unique, "namespace": namespace, "labels": {"x": "y"}}
        cluster.create(manifest)
        identifier = f"{namespace}/{unique}"
        read_id, state, inputs = kubernetes.read(DEPLOYMENT, "ext", identifier, {}, {})
        assert read_id == identifier
        assert state["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "Always"
        assert "status" in state
        assert "status" not in inputs
        assert inputs["metadata"] == {
            "name": unique,
            "namespace": namespace,
            "labels": {"x": "y"},
        }
        checked = kubernetes.check(DEPLOYMENT, "ext", manifest, olds=inputs)
        assert checked["metadata"]["name"] == unique

    def test_an_import_needs_no_change(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str, unique: str
    ) -> None:
        theirs = config_map(unique, a="1")
        cluster.create({**theirs, "metadata": {"name": unique, "namespace": namespace}})
        _, state, inputs = kubernetes.read(CONFIG_MAP, "cm", f"{namespace}/{unique}", {}, {})
        checked = kubernetes.check(CONFIG_MAP, "cm", theirs, olds=inputs)
        assert kubernetes.diff(CONFIG_MAP, "cm", state, checked).changes == 1

    def test_a_secret_that_is_read_is_secret(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str, unique: str
    ) -> None:
        cluster.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": unique, "namespace": namespace},
                "data": {"a": "MQ=="},
            }
        )
        _, state, inputs = kubernetes.read(SECRET, "s", f"{namespace}/{unique}", {}, {})
        assert state["data"] == inputs["data"] == Secret({"a": "MQ=="})


class TestDelete:
    def test_is_over_when_the_object_is_gone(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str
    ) -> None:
        inputs = kubernetes.check(DEPLOYMENT, "d", deployment())
        identifier, state = kubernetes.create(DEPLOYMENT, "d", inputs)
        kubernetes.delete(DEPLOYMENT, "d", identifier, state)
        assert cluster.get("apps/v1", "Deployment", namespace, inputs["metadata"]["name"]) is None
        kubernetes.delete(DEPLOYMENT, "d", identifier, state)

    def test_a_finalizer_holds_it_up_until_the_time_is_over(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str, init_failed: type[InitFailedError]
    ) -> None:
        held = config_map() | {"metadata": {"finalizers": ["example.dev/held"]}}
        inputs = kubernetes.check(CONFIG_MAP, "cm", held)
        name = inputs["metadata"]["name"]
        identifier, state = kubernetes.create(CONFIG_MAP, "cm", inputs)
        with pytest.raises(init_failed) as failure:
            kubernetes.delete(CONFIG_MAP, "cm", identifier, state, timeout=1)
        assert failure.value.id == identifier
        assert "finalizers might be preventing deletion (example.dev/held)" in failure.value.reasons[1]
        waiting = kubernetes.background(kubernetes.delete, CONFIG_MAP, "cm", identifier, state)
        path = cluster.path("v1", "ConfigMap", namespace, name)
        cluster.api.json_patch(path, [{"op": "remove", "path": "/metadata/finalizers"}])
        waiting.result(timeout=20)
        assert cluster.get("v1", "ConfigMap", namespace, name) is None


class TestUnreachable:
    KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""

    def test_a_preview_is_green_and_an_update_says_why(self, start: Callable[..., Plugin]) -> None:
        plugin = start("lab_plugins.kubernetes")
        plugin.configure(kubeconfig=self.KUBECONFIG)
        inputs = plugin.check(CONFIG_MAP, "cm", config_map(a="1"))
        assert plugin.create(CONFIG_MAP, "cm", inputs, preview=True) == ("", inputs)
        with pytest.raises(
            grpc.RpcError, match=r"configured Kubernetes cluster is unreachable: .*127.0.0.1:1.*refused"
        ):
            plugin.create(CONFIG_MAP, "cm", inputs)
        calls: list[Callable[..., object]] = [
            plugin.delete,
            lambda token, name, held, state: plugin.read(token, name, held, state, {}),
        ]
        for call in calls:
            with pytest.raises(grpc.RpcError, match="PULUMI_K8S_DELETE_UNREACHABLE"):
                call(CONFIG_MAP, "cm", "default/cm", inputs)

    def test_resources_of_a_lost_cluster_can_be_forgotten(self, start: Callable[..., Plugin]) -> None:
        plugin = start("lab_plugins.kubernetes", {"PULUMI_K8S_DELETE_UNREACHABLE": "true"})
        plugin.configure(kubeconfig=self.KUBECONFIG)
        assert plugin.read(CONFIG_MAP, "cm", "default/cm", config_map(), config_map())[0] == ""
        plugin.delete(CONFIG_MAP, "cm", "default/cm", config_map())

    def test_a_broken_kubeconfig_is_told_when_it_is_needed(self, start: Callable[..., Plugin]) -> None:
        plugin = start("lab_plugins.kubernetes")
        plugin.configure(kubeconfig="hunter2: [")
        with pytest.raises(grpc.RpcError, match="is not YAML") as error:
            plugin.create(CONFIG_MAP, "cm", config_map())
        assert "hunter2" not in (error.value.details() or "")
