"""Create, update, read and delete on the lab's API server, each checked by asking that server directly."""

import base64

import grpc
import pytest

from lab.plugins.common.wire import UNKNOWN, Secret

pytestmark = pytest.mark.lab

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRET = "kubernetes:core/v1:Secret"
SERVICE = "kubernetes:core/v1:Service"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
ROUTE = "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute"
DEFINITION = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"


def config_map(name=None, **data):
    metadata = {"name": name} if name else {}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(image="a", labels=None, **container):
    labels = labels or {"app": "x"}
    pod = {"containers": [{"name": "c", "image": image, **container}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def details(error):
    return error.value.details()


class TestCheck:
    def test_names_the_object_and_its_namespace(self, kubernetes, namespace):
        checked = kubernetes.check(CONFIG_MAP, "cm", config_map(a="1"))
        metadata = checked["metadata"]
        assert metadata["namespace"] == namespace
        assert metadata["name"].startswith("cm-")
        assert metadata["annotations"] == {"pulumi.com/autonamed": "true"}
        again = kubernetes.check(CONFIG_MAP, "cm", config_map(a="2"), olds=checked)
        assert again["metadata"] == metadata

    def test_gives_no_namespace_to_what_has_none(self, kubernetes):
        checked = kubernetes.check(
            "kubernetes:core/v1:Namespace", "ns", {"apiVersion": "v1", "kind": "Namespace"}
        )
        assert "namespace" not in checked["metadata"]

    def test_keeps_secrecy_and_encodes_string_data(self, kubernetes):
        news = {"apiVersion": "v1", "kind": "Secret", "stringData": {"url": Secret("hunter2")}}
        checked = kubernetes.check(SECRET, "s", news)
        assert checked["data"] == Secret({"url": base64.b64encode(b"hunter2").decode()})
        assert "stringData" not in checked

    def test_lets_unknowns_through(self, kubernetes):
        news = {"apiVersion": "v1", "kind": "Secret", "stringData": {"url": Secret(UNKNOWN)}}
        checked = kubernetes.check(SECRET, "s", news)
        assert checked["stringData"] == Secret({"url": UNKNOWN})

    def test_refuses_a_wrong_wait_before_anything_is_created(self, kubernetes):
        news = config_map() | {"metadata": {"annotations": {"pulumi.com/waitFor": "Ready"}}}
        answer = kubernetes.check_raw(CONFIG_MAP, "cm", news)
        assert "expected a" in answer.failures[0].reason

    @pytest.mark.parametrize(
        "token",
        ["kubernetes:helm.sh/v3:Release", "kubernetes:apps/v1:DeploymentPatch", "kubernetes:core/v1:PodList"],
    )
    def test_refuses_what_it_does_not_serve(self, kubernetes, token):
        with pytest.raises(grpc.RpcError, match=r"does not serve|list resources"):
            kubernetes.check(token, "x", {})


class TestCreate:
    def test_is_a_plain_post(self, kubernetes, cluster, namespace):
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

    def test_an_existing_object_is_an_error_with_advice(self, kubernetes, cluster, namespace, unique):
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
        assert details(error).startswith(expected)
        assert "upsertExistingObjects" in details(error)
        assert cluster.get("v1", "ConfigMap", namespace, unique)["data"] == {"a": "theirs"}

    def test_an_existing_object_can_be_taken_over(self, start, kubeconfig, cluster, namespace, unique):
        cluster.create({**config_map(unique), "metadata": {"name": unique, "namespace": namespace}})
        plugin = start("lab.plugins.kubernetes")
        plugin.configure(kubeconfig=kubeconfig, namespace=namespace, upsertExistingObjects="true")
        inputs = plugin.check(CONFIG_MAP, "cm", config_map(unique, a="ours"))
        plugin.create(CONFIG_MAP, "cm", inputs)
        assert cluster.get("v1", "ConfigMap", namespace, unique)["data"] == {"a": "ours"}

    def test_wrong_types_carry_the_servers_words(self, kubernetes):
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "spec": {"ports": [{"port": 99999}], "selector": {"a": "b"}},
        }
        inputs = kubernetes.check(SERVICE, "svc", service)
        for preview in (True, False):
            with pytest.raises(grpc.RpcError, match=r"spec.ports\[0\].port: Invalid value: 99999"):
                kubernetes.create(SERVICE, "svc", inputs, preview=preview)

    def test_secrets_stay_secret_in_the_state(self, kubernetes):
        news = {"apiVersion": "v1", "kind": "Secret", "stringData": {"url": "hunter2"}}
        inputs = kubernetes.check(SECRET, "s", news)
        _, state = kubernetes.create(SECRET, "s", inputs)
        assert state["data"] == state["__inputs"]["data"] == Secret({"url": "aHVudGVyMg=="})

    def test_an_unknown_kind_is_given_up_when_cancelled(self, doomed):
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

    def test_a_custom_resource_waits_for_its_definition(self, kubernetes, cluster, unique):
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
    def test_tries_out_what_is_known(self, kubernetes, cluster, namespace):
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

    def test_echoes_what_is_unknown(self, kubernetes):
        inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(a=UNKNOWN))
        assert kubernetes.create(CONFIG_MAP, "cm", inputs, preview=True) == ("", inputs)

    def test_does_not_mind_an_existing_object_or_a_missing_namespace(
        self, kubernetes, cluster, namespace, unique
    ):
        cluster.create({**config_map(unique), "metadata": {"name": unique, "namespace": namespace}})
        for metadata in ({"name": unique}, {"namespace": "not-there-yet"}):
            inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(a="1") | {"metadata": metadata})
            assert kubernetes.create(CONFIG_MAP, "cm", inputs, preview=True) == ("", inputs)

    def test_tries_out_an_update_without_making_it(self, kubernetes, cluster, namespace):
        inputs = kubernetes.check(DEPLOYMENT, "d", deployment("a"))
        identifier, state = kubernetes.create(DEPLOYMENT, "d", inputs)
        news = kubernetes.check(DEPLOYMENT, "d", deployment("b"), olds=inputs)
        previewed = kubernetes.update(DEPLOYMENT, "d", identifier, state, news, preview=True)
        assert previewed["spec"]["template"]["spec"]["containers"][0]["image"] == "b"
        live = cluster.get("apps/v1", "Deployment", namespace, inputs["metadata"]["name"])
        assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "a"
        assert live["metadata"]["managedFields"][0]["operation"] == "Update"


class TestUpdate:
    def test_first_moves_ownership_and_then_applies(self, kubernetes, cluster, namespace):
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

    def test_a_conflict_is_reported_and_nothing_is_forced(self, kubernetes, cluster, namespace, init_failed):
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

    def test_ignored_fields_of_another_manager_are_left_to_it(self, kubernetes, cluster, namespace):
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

    def test_an_object_that_is_gone_is_named(self, kubernetes, cluster, namespace):
        inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(a="1"))
        identifier, state = kubernetes.create(CONFIG_MAP, "cm", inputs)
        name = inputs["metadata"]["name"]
        cluster.delete("v1", "ConfigMap", namespace, name)
        with pytest.raises(grpc.RpcError) as error:
            kubernetes.update(CONFIG_MAP, "cm", identifier, state, inputs)
        urn = kubernetes.urn(CONFIG_MAP, "cm")
        assert details(error).startswith(f'update of resource "{urn}" failed: configmaps "{name}" not found')


class TestDiff:
    def test_delete_before_replace_only_under_an_explicit_name(self, kubernetes, unique):
        for name, expected in ((None, False), (unique, True)):
            inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(name, a="1"))
            _, state = kubernetes.create(CONFIG_MAP, "cm", inputs)
            news = kubernetes.check(CONFIG_MAP, "cm", config_map(name, a="2"), olds=inputs)
            diff = kubernetes.diff(CONFIG_MAP, "cm", state, news)
            assert list(diff.replaces) == ["data.a"]
            assert diff.deleteBeforeReplace is expected

    def test_a_new_name_is_created_first(self, kubernetes, unique):
        inputs = kubernetes.check(CONFIG_MAP, "cm", config_map(unique))
        _, state = kubernetes.create(CONFIG_MAP, "cm", inputs)
        diff = kubernetes.diff(
            CONFIG_MAP, "cm", state, kubernetes.check(CONFIG_MAP, "cm", config_map(f"{unique}-2"))
        )
        assert list(diff.replaces) == ["metadata.name"]
        assert not diff.deleteBeforeReplace

    def test_ignored_changes_are_none(self, kubernetes):
        inputs = kubernetes.check(DEPLOYMENT, "d", deployment("a"))
        _, state = kubernetes.create(DEPLOYMENT, "d", inputs)
        news = kubernetes.check(DEPLOYMENT, "d", deployment("b"), olds=inputs)
        place = "spec.template.spec.containers[*].image"
        assert kubernetes.diff(DEPLOYMENT, "d", state, news, ignoreChanges=[place]).changes == 1

    def test_the_server_stores_quantities_as_we_spell_them(self, kubernetes):
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


class TestRead:
    def test_refresh_sees_drift_in_the_shape_of_the_inputs(self, kubernetes, cluster, namespace):
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

    def test_what_is_gone_has_no_id(self, kubernetes, cluster, namespace):
        inputs = kubernetes.check(CONFIG_MAP, "cm", config_map())
        identifier, state = kubernetes.create(CONFIG_MAP, "cm", inputs)
        cluster.delete("v1", "ConfigMap", namespace, inputs["metadata"]["name"])
        assert kubernetes.read(CONFIG_MAP, "cm", identifier, state, inputs) == ("", {}, {})

    def test_get_recovers_inputs_that_need_no_change(self, kubernetes, cluster, namespace, unique):
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

    def test_an_import_needs_no_change(self, kubernetes, cluster, namespace, unique):
        theirs = config_map(unique, a="1")
        cluster.create({**theirs, "metadata": {"name": unique, "namespace": namespace}})
        _, state, inputs = kubernetes.read(CONFIG_MAP, "cm", f"{namespace}/{unique}", {}, {})
        checked = kubernetes.check(CONFIG_MAP, "cm", theirs, olds=inputs)
        assert kubernetes.diff(CONFIG_MAP, "cm", state, checked).changes == 1

    def test_a_secret_that_is_read_is_secret(self, kubernetes, cluster, namespace, unique):
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
    def test_is_over_when_the_object_is_gone(self, kubernetes, cluster, namespace):
        inputs = kubernetes.check(DEPLOYMENT, "d", deployment())
        identifier, state = kubernetes.create(DEPLOYMENT, "d", inputs)
        kubernetes.delete(DEPLOYMENT, "d", identifier, state)
        assert cluster.get("apps/v1", "Deployment", namespace, inputs["metadata"]["name"]) is None
        kubernetes.delete(DEPLOYMENT, "d", identifier, state)

    def test_a_finalizer_holds_it_up_until_the_time_is_over(
        self, kubernetes, cluster, namespace, init_failed
    ):
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

    def test_a_preview_is_green_and_an_update_says_why(self, start):
        plugin = start("lab.plugins.kubernetes")
        plugin.configure(kubeconfig=self.KUBECONFIG)
        inputs = plugin.check(CONFIG_MAP, "cm", config_map(a="1"))
        assert plugin.create(CONFIG_MAP, "cm", inputs, preview=True) == ("", inputs)
        with pytest.raises(
            grpc.RpcError, match=r"configured Kubernetes cluster is unreachable: .*127.0.0.1:1.*refused"
        ):
            plugin.create(CONFIG_MAP, "cm", inputs)
        for call in (plugin.delete, lambda *arguments: plugin.read(*arguments, {})):
            with pytest.raises(grpc.RpcError, match="PULUMI_K8S_DELETE_UNREACHABLE"):
                call(CONFIG_MAP, "cm", "default/cm", inputs)

    def test_resources_of_a_lost_cluster_can_be_forgotten(self, start):
        plugin = start("lab.plugins.kubernetes", {"PULUMI_K8S_DELETE_UNREACHABLE": "true"})
        plugin.configure(kubeconfig=self.KUBECONFIG)
        assert plugin.read(CONFIG_MAP, "cm", "default/cm", config_map(), config_map())[0] == ""
        plugin.delete(CONFIG_MAP, "cm", "default/cm", config_map())

    def test_a_broken_kubeconfig_is_told_when_it_is_needed(self, start):
        plugin = start("lab.plugins.kubernetes")
        plugin.configure(kubeconfig="hunter2: [")
        with pytest.raises(grpc.RpcError, match="is not YAML") as error:
            plugin.create(CONFIG_MAP, "cm", config_map())
        assert "hunter2" not in details(error)
