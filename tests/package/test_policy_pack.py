"""The example's rules over the resources of a stack, as Pulumi hands them to a policy pack."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.package.examples import FOLDER
from tests.pure import samples
from tests.pure.samples import TOPOLOGY


def reported(monkeypatch: pytest.MonkeyPatch, folder: Path, *manifests: Any, **cluster: Any) -> list[str]:
    file = folder / "topology.json"
    file.write_text(json.dumps(TOPOLOGY))
    monkeypatch.setenv("KARDINAL_TOPOLOGY", str(file))
    monkeypatch.setattr("kardinal_infra.cluster.snapshot.read_live", lambda _: samples.live(**cluster))
    pack = runpy.run_path(str(FOLDER / "policy-pack" / "flow_safety.py"))
    resources = [
        SimpleNamespace(resource_type=f"kubernetes:x/v1:{item['kind']}", props=item) for item in manifests
    ]
    resources.append(SimpleNamespace(resource_type="pulumi:pulumi:Stack", props={}))
    lines: list[str] = []
    pack["validate"](SimpleNamespace(resources=resources), lines.append)
    return lines


def test_it_reports_what_the_rules_find_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = samples.plan()
    forks: list[Any] = [fork.workload({"votes": "branch"}) for fork in found.forks]
    objects = [*forks, *found.routes, *(fork.service_manifest for fork in found.forks)]
    assert reported(monkeypatch, tmp_path, *objects) == []

    forks[0]["spec"]["template"]["metadata"]["labels"]["app"] = "votes-api"
    lines = reported(monkeypatch, tmp_path, *objects)
    assert [line.split(" selects pods")[0] for line in lines] == [
        "stack.Deployment.votes-api-dev: Deployment votes-api",
        "stack.Deployment.votes-api-dev: Service votes-api",
    ]
    assert all(line.endswith("[docs/safety.md#fork-selected]") for line in lines)


def test_a_stack_without_flows_needs_no_topology(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config_map = {"kind": "ConfigMap", "metadata": {"name": "x"}}
    assert reported(monkeypatch, tmp_path, config_map) == []


def test_it_reports_what_a_plan_would_have_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = samples.plan()
    objects: list[Any] = [fork.workload({"votes": "branch"}) for fork in found.forks]
    objects += [*found.routes, *(fork.service_manifest for fork in found.forks)]
    lines = reported(monkeypatch, tmp_path, *objects, http_routes=[])
    assert [line.rpartition(" ")[2] for line in lines] == ["[docs/safety.md#missing-catch-all]"] * 2
