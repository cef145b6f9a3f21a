"""Update and diff on the lab's API server, each checked by asking that server directly."""

import threading

import grpc
import pytest

from tests.plugins.conftest import Cluster, InitFailedError, Plugin
from tests.plugins.manifests import config_map, deployment

pytestmark = pytest.mark.lab

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"


class TestUpdate:
    def test_first_moves_ownership_and_then_applies(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str
    ) -> None:
        first = deployment("a", env=[{"name": "OLD", "value": "1"}])
        inputs = kubernetes.check(DEPLOYMENT, "d", first)
        identifier, state = kubernetes.create(DEPLOYMENT, "d", inputs)
        news = kubernetes.check(DEPLOYMENT, "d", deployment("b"), olds=inputs)
        diff = kubernetes.diff(DEPLOYMENT, "d", state, news)
        assert set(diff.detailedDiff) == {
            "spec.template.spec.containers[0].image",
            "spec.template.spec.containers[0].env",
        }
        assert not diff.replaces
        after = kubernetes.update(DEPLOYMENT, "d", identifier, state, news)
        live = cluster.get("apps/v1", "Deployment", namespace, inputs["metadata"]["name"])
        container = live["spec"]["template"]["spec"]["containers"][0]
        assert container["image"] == "b"
        assert "env" not in container, "a field that the program dropped must go"
        managers = {(entry["manager"], entry["operation"]) for entry in live["metadata"]["managedFields"]}
        assert (state["__fieldManager"], "Apply") in managers
        assert ("pulumi-kubernetes", "Update") not in managers
        assert after["__fieldManager"] == state["__fieldManager"]
        assert kubernetes.diff(DEPLOYMENT, "d", after, news).changes == 1

    def test_a_conflict_is_reported_and_nothing_is_forced(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str, init_failed: type[InitFailedError]
    ) -> None:
        inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(a="1", b="1"))
        name = inputs["metadata"]["name"]
        identifier, state = kubernetes.create(CONFIG_MAP, "cm", inputs)
        theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}
        cluster.apply({**theirs, "data": {"a": "theirs"}}, "somebody")
        news = kubernetes.check(CONFIG_MAP, "cm", config_map(a="2", b="2"), olds=inputs)
        with pytest.raises(init_failed) as failure:
            kubernetes.update(CONFIG_MAP, "cm", identifier, state, news)
        assert 'conflict with "somebody"' in str(failure.value)
        assert "server-side apply field conflict detected" in str(failure.value)
        assert failure.value.id == identifier
        assert failure.value.properties["data"] == {"a": "theirs", "b": "1"}
        forced = {**news, "metadata": {**news["metadata"], "annotations": {"pulumi.com/patchForce": "true"}}}
        kubernetes.update(CONFIG_MAP, "cm", identifier, failure.value.properties, forced)
        assert cluster.get("v1", "ConfigMap", namespace, name)["data"] == {"a": "2", "b": "2"}

    def test_others_may_write_at_the_same_time(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str
    ) -> None:
        inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(a="1"))
        name = inputs["metadata"]["name"]
        identifier, state = kubernetes.create(CONFIG_MAP, "cm", inputs)
        theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}
        done = threading.Event()

        def write() -> int:
            written = 0
            while not done.is_set():
                cluster.apply({**theirs, "data": {"other": str(written := written + 1)}}, "controller")
            return written

        writing = kubernetes.background(write)
        news = kubernetes.check(CONFIG_MAP, "cm", config_map(a="2"), olds=inputs)
        try:
            kubernetes.update(CONFIG_MAP, "cm", identifier, state, news)
        finally:
            done.set()
        assert writing.result(timeout=10) > 0
        assert cluster.get("v1", "ConfigMap", namespace, name)["data"]["a"] == "2"

    def test_ignored_fields_of_another_manager_are_left_to_it(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str
    ) -> None:
        inputs = kubernetes.check(DEPLOYMENT, "d", deployment("a"))
        name = inputs["metadata"]["name"]
        identifier, state = kubernetes.create(DEPLOYMENT, "d", inputs)
        scaler = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
        }
        cluster.apply({**scaler, "spec": {"replicas": 3}}, "autoscaler")
        news = kubernetes.check(DEPLOYMENT, "d", deployment("b"), olds=inputs)
        skipping = {**news, "metadata": {**news["metadata"], "annotations": {"pulumi.com/skipAwait": "true"}}}
        kubernetes.update(DEPLOYMENT, "d", identifier, state, skipping, ignoreChanges=["spec.replicas"])
        live = cluster.get("apps/v1", "Deployment", namespace, name)
        assert live["spec"]["replicas"] == 3
        assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "b"
        cluster.delete("apps/v1", "Deployment", namespace, name)

    def test_an_object_that_is_gone_is_named(
        self, kubernetes: Plugin, cluster: Cluster, namespace: str
    ) -> None:
        inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(a="1"))
        identifier, state = kubernetes.create(CONFIG_MAP, "cm", inputs)
        name = inputs["metadata"]["name"]
        cluster.delete("v1", "ConfigMap", namespace, name)
        with pytest.raises(grpc.RpcError) as error:
            kubernetes.update(CONFIG_MAP, "cm", identifier, state, inputs)
        urn = kubernetes.urn(CONFIG_MAP, "cm")
        assert (error.value.details() or "").startswith(
            f'update of resource "{urn}" failed: configmaps "{name}" not found'
        )


class TestDiff:
    def test_delete_before_replace_only_under_an_explicit_name(self, kubernetes: Plugin, unique: str) -> None:
        for name, expected in ((None, False), (unique, True)):
            inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(name, a="1"))
            _, state = kubernetes.create(CONFIG_MAP, "cm", inputs)
            news = kubernetes.check(CONFIG_MAP, "cm", config_map(name, a="2"), olds=inputs)
            diff = kubernetes.diff(CONFIG_MAP, "cm", state, news)
            assert list(diff.replaces) == ["data.a"]
            assert diff.deleteBeforeReplace is expected

    def test_a_new_name_is_created_first(self, kubernetes: Plugin, unique: str) -> None:
        inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(unique))
        _, state = kubernetes.create(CONFIG_MAP, "cm", inputs)
        diff = kubernetes.diff(
            CONFIG_MAP, "cm", state, kubernetes.check(CONFIG_MAP, "cm", config_map(f"{unique}-2"))
        )
        assert list(diff.replaces) == ["metadata.name"]
        assert not diff.deleteBeforeReplace

    def test_ignored_changes_are_none(self, kubernetes: Plugin) -> None:
        inputs = kubernetes.check(DEPLOYMENT, "d", deployment("a"))
        _, state = kubernetes.create(DEPLOYMENT, "d", inputs)
        news = kubernetes.check(DEPLOYMENT, "d", deployment("b"), olds=inputs)
        place = "spec.template.spec.containers[*].image"
        assert kubernetes.diff(DEPLOYMENT, "d", state, news, ignoreChanges=[place]).changes == 1

    def test_the_server_stores_quantities_as_we_spell_them(self, kubernetes: Plugin) -> None:
        amounts = ["0.5", "1000m", "1500m", "100m", "1.001", "2000"]
        memory = ["1024Mi", "1.5Gi", "1000M", "1e3", "123", "0.5Gi"]
        containers = [
            {"name": f"c{index}", "image": "a", "resources": {"requests": {"cpu": cpu, "memory": size}}}
            for index, (cpu, size) in enumerate(zip(amounts, memory, strict=True))
        ]
        manifest = deployment()
        manifest["spec"]["template"]["spec"]["containers"] = containers
        inputs = kubernetes.check(DEPLOYMENT, "d", manifest)
        _, state = kubernetes.create(DEPLOYMENT, "d", inputs)
        assert not kubernetes.diff(DEPLOYMENT, "d", state, inputs).detailedDiff
