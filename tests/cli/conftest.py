"""A Pulumi project whose flows export what real ones do and make nothing: no cluster, no plugin."""

import os
import sys
from pathlib import Path

import pytest

from lab.demo_project import Project, project_environment
from lab.toolchain import ensure_pulumi

PROGRAM = """
import pulumi

config = pulumi.Config("kardinal")
kind = config.require("stack")
if kind == "baseline":
    pulumi.export("topology", {
        "schemaVersion": 1, "application": "shop", "namespace": "shop", "domain": "shop.example",
        "gateway": {"name": "kardinal", "namespace": "shop"},
        "services": {"web": {"ports": [{"port": 80}]}},
        "entries": [{"service": "web", "host": "shop.example"}], "databases": {},
    })
if kind == "flow":
    flow = config.require_object("flow")
    services = flow["services"]
    if "web" not in services:
        raise pulumi.RunError("kardinal:flow.services: no web\\nkardinal:flow.isolation: too little")
    pulumi.export("schemaVersion", 1)
    pulumi.export("flow", flow["id"])
    pulumi.export("url", f"http://{flow['id']}.shop.example")
    pulumi.export("hosts", {"web": f"{flow['id']}.shop.example"})
    pulumi.export("header", {"name": "x-kardinal-flow", "value": flow["id"]})
    pulumi.export("baggage", f"kardinal-flow={flow['id']}")
    pulumi.export("services", {
        name: {"image": service["image"], "fork": f"{name}-{flow['id']}", "reason": "requested"}
        for name, service in services.items()
    })
    pulumi.export("databases", {})
    pulumi.export("connectionUris", pulumi.Output.secret({"orders": "postgresql://u:hidden-word@h/d"}))
    pulumi.export("topology", {
        "schemaVersion": 1, "flow": flow["id"], "application": "shop", "edges": [],
        "nodes": [{"id": "service/web", "kind": "service", "name": "web", "versions": [
            {"version": "baseline", "image": "web:1"},
            {"version": flow["id"], "image": services["web"]["image"]},
        ]}],
    })
    pulumi.export("baselineVersion", "v1")
    pulumi.export("isolation", flow.get("isolation"))
    pulumi.export("cluster", pulumi.Config("kubernetes").get("context"))
"""


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project, with a baseline that is up and a stack that is neither baseline nor flow, selected."""
    home = tmp_path_factory.mktemp("pulumi")
    (home / "state").mkdir()
    variables = {
        "PATH": os.pathsep.join([str(ensure_pulumi()), os.environ["PATH"]]),
        "PULUMI_BACKEND_URL": f"file://{home}/state",
        "PULUMI_CONFIG_PASSPHRASE": "of-the-tests",
        "PULUMI_HOME": str(home / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    folder = tmp_path_factory.mktemp("project")
    (folder / "Pulumi.yaml").write_text(
        f"name: kardinal\nruntime:\n  name: python\n  options: {{toolchain: pip, virtualenv: {sys.prefix}}}\n"
        "config:\n  kubernetes:upsertExistingObjects:\n    value: true\n"
    )
    (folder / "__main__.py").write_text(PROGRAM)
    made = Project(folder, project_environment(variables, Path(sys.executable).parent))
    made.ensure_stack("baseline")
    made.configure("baseline", {"kardinal:stack": "baseline", "kubernetes:context": "shop-cluster"})
    made.set_secret("baseline", "kardinal:neonApiKey", "hidden-key")
    made.pulumi("up", "--yes", "--skip-preview", "-s", "baseline")
    made.pulumi("stack", "init", "somebodys")
    return made
