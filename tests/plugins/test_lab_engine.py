"""Whole runs with the real Pulumi engine, its real state and the lab: what a program sees of the plugins."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab.configuration import PAUSE_IMAGE
from lab_plugins.install import install_stand_ins
from tests.plugins.conftest import Cluster

pytestmark = [pytest.mark.lab, pytest.mark.engine]

PRELUDE = """
import os
import pulumi
import pulumi_command as command
import pulumi_kubernetes as kubernetes

namespace, unique = os.environ["TEST_NAMESPACE"], os.environ["TEST_UNIQUE"]


def deployment(image, **options):
    labels = {"app": unique}
    container = {"name": "c", "image": image, "imagePullPolicy": "Never"}
    return kubernetes.apps.v1.Deployment(
        "web",
        metadata={"namespace": namespace, "name": unique},
        spec={
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": {"sidecar.istio.io/inject": "false"}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            },
        },
        opts=pulumi.ResourceOptions(**options),
    )


"""


class Project:
    """A Pulumi project with one stack, worked on by the real command line."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        (folder / "Pulumi.yaml").write_text("name: plugins\nruntime: python\n")
        self.write("")
        self.run("stack", "init", "dev")

    def write(self, program: str) -> None:
        (self.folder / "__main__.py").write_text(PRELUDE + textwrap.dedent(program))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def attempt(self, *arguments: str) -> tuple[int, str]:
        """Run a command: (exit code, what it wrote)."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

    def run(self, *arguments: str) -> str:
        """Run a command that must succeed."""
        code, output = self.attempt(*arguments)
        assert code == 0, output
        return output

    def up(self, *arguments: str) -> Any:
        """Update, and return the outputs."""
        output = self.run("up", "--yes", "--skip-preview", *arguments)
        assert "warning" not in output
        return json.loads(self.run("stack", "output", "--json", "--show-secrets"))

    def state(self) -> tuple[str, Any]:
        """Return the recorded state as text and as a list of resources."""
        text = self.run("stack", "export")
        return text, json.loads(text)["deployment"]


@pytest.fixture(scope="module")
def home(bin_dir: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    install_stand_ins(bin_dir, folder)
    return folder


@pytest.fixture
def project(
    bin_dir: str, home: Path, kubeconfig: str, cluster: Cluster, namespace: str, unique: str, tmp_path: Path
) -> Iterator[Project]:
    folders = [str(Path(sys.executable).parent), bin_dir, os.environ["PATH"]]
    state = tmp_path / "state"
    state.mkdir()
    environment = {
        **os.environ,
        "KUBECONFIG": kubeconfig,
        "PATH": os.pathsep.join(filter(None, folders)),
        "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_HOME": str(home),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "TEST_NAMESPACE": namespace,
        "TEST_UNIQUE": unique,
    }
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(folder, environment)
    yield project
    project.attempt("cancel", "--yes")
    project.attempt("refresh", "--yes", "--clear-pending-creates")
    project.run("destroy", "--yes")
    if cluster.get("apps/v1", "Deployment", namespace, unique):  # one that the engine never heard of
        cluster.delete("apps/v1", "Deployment", namespace, unique)


def config_map(namespace: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}


LIFE = f"""
    version = os.environ["TEST_VERSION"]
    url = pulumi.Output.secret(f"hunter2-{{version}}")
    secret = kubernetes.core.v1.Secret("dsn", metadata={{"namespace": namespace}}, string_data={{"url": url}})
    web = deployment("{PAUSE_IMAGE}")
    probe = command.local.Command(
        "probe",
        create=f"echo probed {{version}}",
        delete=f"echo gone >> {{os.environ['TEST_LOG']}}",
        triggers=[version],
        opts=pulumi.ResourceOptions(depends_on=[web]),
    )
    pulumi.export("secret", secret.metadata["name"])
    pulumi.export("ready", web.status["ready_replicas"])
    pulumi.export("probe", probe.stdout)
"""


def test_a_flows_life(project: Project, cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """Preview, up, nothing to do, refresh, change, destroy; no secret in clear in the state."""
    log = tmp_path / "deleted"
    project.environment |= {"TEST_LOG": str(log), "TEST_VERSION": "one"}
    project.write(LIFE)
    preview = project.run("preview")
    assert "+ 4 to create" in preview
    assert "warning" not in preview
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    before = cluster.api.list(secrets, {})["items"]
    first = project.up()
    assert len(cluster.api.list(secrets, {})["items"]) == len(before) + 1, "the preview has made nothing"
    assert (first["ready"], first["probe"]) == (1, "probed one")
    assert cluster.get("v1", "Secret", namespace, first["secret"])["data"] == {"url": "aHVudGVyMi1vbmU="}
    text, _ = project.state()
    assert "hunter2" not in text
    assert "aHVudGVyMi1vbmU" not in text
    project.run("up", "--yes", "--expect-no-changes")
    project.run("refresh", "--yes", "--expect-no-changes")
    project.environment["TEST_VERSION"] = "two"
    second = project.up()
    assert second["probe"] == "probed two"
    assert second["secret"] != first["secret"], "a new secret is a new object, so that pods roll"
    assert cluster.get("v1", "Secret", namespace, first["secret"]) is None
    project.run("destroy", "--yes")
    assert log.read_text() == "gone\ngone\n"
    assert cluster.get("v1", "Secret", namespace, second["secret"]) is None


def test_get_reads_an_object_of_somebody_else(
    project: Project, cluster: Cluster, namespace: str, unique: str
) -> None:
    cluster.create(config_map(namespace, unique))
    project.write(
        """
        found = kubernetes.core.v1.ConfigMap.get("theirs", f"{namespace}/{unique}")
        pulumi.export("a", found.data["a"])
        """
    )
    assert project.up()["a"] == "1"
    project.run("destroy", "--yes")
    assert cluster.get("v1", "ConfigMap", namespace, unique)["data"] == {"a": "1"}


def test_an_import_is_taken_over_and_then_deleted(
    project: Project, cluster: Cluster, namespace: str, unique: str
) -> None:
    cluster.create(config_map(namespace, unique))
    project.write(
        """
        kubernetes.core.v1.ConfigMap(
            "theirs",
            metadata={"name": unique, "namespace": namespace},
            data={"a": "1"},
            opts=pulumi.ResourceOptions(import_=f"{namespace}/{unique}"),
        )
        """
    )
    project.up()
    project.run("destroy", "--yes")
    assert cluster.get("v1", "ConfigMap", namespace, unique) is None


def test_an_explicit_provider_brings_its_cluster_and_namespace(
    project: Project, namespace: str, kubeconfig: str
) -> None:
    del project.environment["KUBECONFIG"]
    project.environment["TEST_KUBECONFIG"] = kubeconfig
    project.write(
        """
        text = open(os.environ["TEST_KUBECONFIG"]).read()
        provider = kubernetes.Provider("lab", kubeconfig=pulumi.Output.secret(text), namespace=namespace)
        options = pulumi.ResourceOptions(provider=provider)
        made = kubernetes.core.v1.ConfigMap("cm", data={"a": "1"}, opts=options)
        pulumi.export("id", made.id)
        """
    )
    assert project.up()["id"].startswith(f"{namespace}/cm-")
    assert "+-" not in project.run("preview", "--expect-no-changes")


def test_a_failed_wait_is_kept_and_repaired_by_the_next_run(project: Project) -> None:
    program = "deployment('{}', custom_timeouts=pulumi.CustomTimeouts(create='3s', update='30s'))\n"
    project.write(program.format("nope:1"))
    code, output = project.attempt("up", "--yes", "--skip-preview")
    assert code != 0
    assert "[MinimumReplicasUnavailable]" in output
    assert "ErrImageNeverPull" in output
    _, state = project.state()
    assert any(entry.get("initErrors") for entry in state["resources"])
    project.write(program.format(PAUSE_IMAGE))
    project.up()
    _, state = project.state()
    assert not any(entry.get("initErrors") for entry in state["resources"])


def test_what_was_deleted_by_hand_is_made_again_after_a_refresh(
    project: Project, cluster: Cluster, namespace: str, unique: str
) -> None:
    project.write(
        """
        kubernetes.core.v1.ConfigMap("cm", metadata={"name": unique, "namespace": namespace}, data={"a": "1"})
        """
    )
    project.up()
    cluster.delete("v1", "ConfigMap", namespace, unique)
    assert "- 1 deleted" in project.run("refresh", "--yes")
    project.up()
    assert cluster.get("v1", "ConfigMap", namespace, unique) is not None
    cluster.delete("v1", "ConfigMap", namespace, unique)
    project.run("destroy", "--yes")


class TestInterrupted:
    @pytest.fixture
    def stuck(
        self, project: Project, cluster: Cluster, namespace: str, unique: str
    ) -> Iterator[subprocess.Popen[str]]:
        """`pulumi up` with a Deployment under way that will never be ready."""
        project.write("deployment('nope:1')\n")
        process = project.start("up", "--yes", "--skip-preview")
        while cluster.get("apps/v1", "Deployment", namespace, unique) is None:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.2)
        yield process
        process.kill()
        process.communicate()

    def test_ctrl_c_ends_the_wait_and_keeps_the_object(
        self, stuck: subprocess.Popen[str], project: Project, cluster: Cluster, namespace: str, unique: str
    ) -> None:
        stuck.send_signal(signal.SIGINT)
        output, _ = stuck.communicate(timeout=60)
        assert stuck.returncode != 0
        assert f'Resource operation was cancelled for "{unique}"' in output
        _, state = project.state()
        assert f"{namespace}/{unique}" in [entry.get("id") for entry in state["resources"]]
        assert not state.get("pending_operations")
        project.run("destroy", "--yes")
        assert cluster.get("apps/v1", "Deployment", namespace, unique) is None

    def test_no_plugin_outlives_a_killed_engine(self, stuck: subprocess.Popen[str]) -> None:
        plugins = [
            child
            for child in psutil.Process(stuck.pid).children(recursive=True)
            if "lab_plugins.kubernetes" in " ".join(child.cmdline())
        ]
        assert plugins
        stuck.kill()
        _, alive = psutil.wait_procs(plugins, timeout=10)
        assert alive == []
