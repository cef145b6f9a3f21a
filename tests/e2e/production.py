"""The adopted application that end-to-end tests make flows on."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kardinal_infra.model.names import LABEL_FLOW
from lab.demo_app import Databases, Page
from lab.demo_cluster import Cluster, Object
from lab.demo_project import Project, Ran

NAMESPACE = f"voting-{os.environ.get('KARDINAL_RING', 'e2e')}"
"""Of each ring its own: they run beside each other."""

NEON_PROJECT = "kardinal-e2e"

UI = {"voting-app-ui": {"image": "voting-app-ui-dev"}}
"""What a flow of the demo requests."""

UP = ("up", "--yes", "--skip-preview")
DESTROY = ("destroy", "--yes", "--skip-preview")


def domain_of(namespace: str) -> str:
    """The public host of the application in a namespace."""
    return f"{namespace}.localhost"


@dataclass(frozen=True)
class Production:
    """Everything about the application that a test asks or does.

    Attributes:
        project: The Pulumi project with its stacks.
        cluster: The cluster.
        databases: The Neon project.
        page: Production's page.
        namespace: Where it runs; also the application's name.
    """

    project: Project
    cluster: Cluster
    databases: Databases
    page: Page
    namespace: str

    def declare_flow(self, name: str, **config: Any) -> None:
        """Makes the stack of a flow that requests the dev page, or what `config` says instead."""
        self.project.ensure_stack(name)
        self.configure_flow(name, **config)

    def configure_flow(self, name: str, **config: Any) -> None:
        """Says what a flow requests whose stack is there already."""
        flow = {"baseline": "baseline", "services": UI, **config}
        self.project.configure(name, {"kardinal:stack": "flow", "kardinal:flow": flow})

    def copy_baseline(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Makes a stack that exports the baseline's topology, changed, and owns nothing."""
        state = json.loads(self.project.pulumi("stack", "export", "-s", "baseline").output)
        [root] = [item for item in state["deployment"]["resources"] if item["type"] == "pulumi:pulumi:Stack"]
        change(root["outputs"]["topology"])
        root["urn"] = root["urn"].replace("urn:pulumi:baseline", f"urn:pulumi:{name}")
        root["urn"] = root["urn"].replace("kardinal-baseline", f"kardinal-{name}")
        state["deployment"]["resources"] = [root]
        self.project.ensure_stack(name)
        file = self.project.folder / "adopted.json"
        file.write_text(json.dumps(state))
        self.project.pulumi("stack", "import", "-s", name, "--file", str(file))
        file.unlink()

    def remove_flow(self, name: str) -> None:
        """Destroys a flow, whatever state its stack is in, and removes the stack."""
        resources = self.project.stacks().get(name)
        if resources is None:
            return
        self.project.settle(name)
        if resources:
            self.project.pulumi(*DESTROY, "-s", name)
        self.project.pulumi("stack", "rm", "--yes", name)

    def up(self, name: str, *options: str) -> Ran:
        """`pulumi up`, which must succeed."""
        return self.project.pulumi(*UP, "-s", name, *options)

    def kill_up(self, name: str, seen: Callable[[str], bool]) -> str:
        """Starts an `up` and ends its engine without warning.

        Args:
            name: The flow.
            seen: Says of each line that it prints whether it is the last one.

        Returns:
            That line.
        """
        line = ""
        with subprocess.Popen(
            ["pulumi", *UP, "-s", name, "--non-interactive", "--color", "never"],
            cwd=self.project.folder,
            env=self.project.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            for line in process.stdout or ():
                if seen(line):
                    process.kill()
                    break
            else:
                raise AssertionError(f"{name}: up ended before it was to be killed, with: {line}")
        self.project.settle(name)
        return " ".join(line.split())

    def destroy(self, name: str) -> Ran:
        """`pulumi destroy`, which must succeed."""
        return self.project.pulumi(*DESTROY, "-s", name)

    def refused(self, name: str) -> str:
        """`pulumi preview`, which must fail; what it printed."""
        ran = self.project.pulumi("preview", "-s", name, check=False)
        assert ran.code != 0, f"preview accepted what it must refuse:\n{ran.output}"
        return ran.output

    def kubectl(self, *arguments: str, text: str = "") -> str:
        """What kubectl answers, in the namespace.

        Args:
            arguments: For example `get`, `pods`.
            text: Its standard input.
        """
        done = subprocess.run(
            ["kubectl", "-n", self.namespace, *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
            env=self.project.environment,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def analyze(self, *namespaces: str) -> list[str]:
        """What `istioctl analyze` says of each namespace, by default of the application's."""
        said = []
        for namespace in namespaces or (self.namespace,):
            done = subprocess.run(
                ["istioctl", "analyze", "-n", namespace],
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
                env=self.project.environment,
            )
            said.append((done.stdout + done.stderr).strip().replace(namespace, "NAMESPACE"))
        return said

    def python(self, deployment: str, script: str, *arguments: str) -> str:
        """What a script prints in the container of one of the application's workloads, or of a fork of it."""
        [container] = json.loads(self.kubectl("get", f"deployment/{deployment}", "-o", "json"))["spec"][
            "template"
        ]["spec"]["containers"]
        inside = ("-c", container["name"], "--", "python3", "-c", script, *arguments)
        return self.kubectl("exec", f"deployment/{deployment}", *inside).strip()

    def flow_page(self, name: str) -> Page:
        """The page of a flow."""
        return Page(f"http://{name}.{domain_of(self.namespace)}", self.page.address)

    def objects(self) -> dict[str, Object]:
        """Every object of the namespace."""
        return self.cluster.snapshot(self.namespace)

    def left_of(self, flow: str) -> list[str]:
        """Objects that belong to a flow or bear its name, and its branch."""
        objects = [
            key
            for key, item in self.objects().items()
            if flow in key or (item["metadata"].get("labels") or {}).get(LABEL_FLOW) == flow
        ]
        return objects + [name for name in self.databases.branches() if flow in name.split("/")]

    def path(self, kind: str, name: str) -> str:
        """The API path of an object of the namespace."""
        root = {
            "deployments": "/apis/apps/v1",
            "httproutes": "/apis/gateway.networking.k8s.io/v1",
            "virtualservices": "/apis/networking.istio.io/v1",
        }.get(kind, "/api/v1")
        return f"{root}/namespaces/{self.namespace}/{kind}/{name}"

    def branch(self, flow: str) -> str:
        """Name of a flow's branch."""
        return f"kardinal/{self.namespace}/{flow}/votes"
