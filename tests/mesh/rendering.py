"""Applications on the real API server, and all that baseline, flows and doctor would make beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kardinal_infra import Baseline, Flow
from kardinal_infra.cluster.snapshot import read_live
from kardinal_infra.doctor import plan_probe
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import pod_template
from kardinal_infra.routing.istio.mesh import inserted
from tests.components import recorder
from tests.components.recorder import Hidden, Stack
from tests.mesh.conftest import IMAGE, Manifest, Mesh

SERVER_SIDE = ("--server-side", "--force-conflicts")


@dataclass
class Adopted:
    """An application without pods in a namespace of its own, with what its baseline stack added to it.

    Attributes:
        mesh: The namespace.
        topology: What the baseline stack exports.
        added: What it makes.
        forks: Fork by service of every flow that was declared.
    """

    mesh: Mesh
    topology: Topology
    added: list[Manifest]
    forks: dict[str, dict[str, str]] = field(default_factory=dict)

    def flow(self, name: str, **args: Any) -> list[Manifest]:
        """What a flow stack would make."""

        def program() -> None:
            request: Any = {"baseline": "baseline", **args}
            flow = Flow(name, request, topology=self.topology, kubeconfig=self.mesh.kubeconfig)
            self.forks[name] = {fork.service: fork.name for fork in flow.plan.forks}

        return rendered(self.mesh, recorder.run(program, stack=name))

    def doctor(self, flow: str | None = None, **options: Any) -> list[Manifest]:
        """What a probe would make, of the baseline or of a flow that was declared."""
        live = read_live(self.mesh.namespace, kubeconfig=self.mesh.kubeconfig)
        forks = self.forks[flow] if flow else {}
        plan = plan_probe(self.topology, live, "doctor-abcdefgh", IMAGE, forks=forks, **options)
        return [dict(item) for item in (*plan.jobs, *plan.objects)]


def adopt(mesh: Mesh, objects: Iterable[Manifest], config: dict[str, Any]) -> Adopted:
    """Makes an application and adopts it.

    Args:
        mesh: Its namespace, which is there.
        objects: The application.
        config: Config of the baseline, without the namespace.
    """
    keep(mesh, list(objects))
    topology: list[Topology] = []

    def program() -> None:
        full: Any = {**config, "namespace": mesh.namespace}
        topology.append(Baseline("base", full, kubeconfig=mesh.kubeconfig).topology)

    added = rendered(mesh, recorder.run(program, stack="baseline"))
    keep(mesh, added)
    return Adopted(mesh, topology[0], added)


def keep(mesh: Mesh, objects: Sequence[Manifest]) -> None:
    """Makes objects in a form of which nothing starts.

    Workloads have no pods of their own but one each that no scheduler takes, so that selectors find it.
    """
    mesh.apply([*map(_without_pods, objects), *pods(objects)], *SERVER_SIDE)


def _without_pods(item: Manifest) -> Manifest:
    still: dict[str, dict[str, Any]] = {
        "Deployment": {"replicas": 0},
        "StatefulSet": {"replicas": 0},
        "Job": {"suspend": True},
        "Gateway": {"gatewayClassName": "nobody"} if "gatewayClassName" in item.get("spec", {}) else {},
    }
    if item["kind"] not in still:
        return item
    return {**item, "spec": {**item["spec"], **still[item["kind"]]}}


def rendered(mesh: Mesh, stack: Stack) -> list[Manifest]:
    """The objects of a program as the providers would send them; those that it changes as they would be."""
    objects = [_revealed(item.inputs) for item in stack.declared if item.type.startswith("kubernetes:")]
    for item in stack.all(recorder.RULES):
        [changed] = [
            found
            for found in mesh.objects("virtualservices", item.inputs["namespace"])
            if found["metadata"]["name"] == item.inputs["virtual_service"]
        ]
        http = inserted(changed["spec"]["http"], item.inputs["flow"], item.inputs["rules"])
        metadata = {key: changed["metadata"][key] for key in ("name", "namespace")}
        kind = {key: changed[key] for key in ("apiVersion", "kind")}
        objects.append({**kind, "metadata": metadata, "spec": {**changed["spec"], "http": http}})
    return objects


def pods(objects: Iterable[Manifest]) -> Iterator[Manifest]:
    """One pod of each workload and Job, as their controllers would make it."""
    for item in objects:
        if item["kind"] in ("Deployment", "StatefulSet", "Job"):
            template = pod_template(item)
            metadata = {**template["metadata"], "name": f"{item['metadata']['name']}-pod"}
            claims = [claim["metadata"]["name"] for claim in item["spec"].get("volumeClaimTemplates", ())]
            volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
            spec = {**template["spec"], "volumes": [*template["spec"].get("volumes", ()), *volumes]}
            if "namespace" in item["metadata"]:
                metadata["namespace"] = item["metadata"]["namespace"]
            spec["schedulerName"] = "nobody"
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _revealed(value: Any) -> Any:
    """Inputs as the API server gets them: the recorder keeps a secret mapping as its JSON text."""
    if isinstance(value, Hidden):
        return json.loads(value) if value.startswith(("{", "[")) else str(value)
    if isinstance(value, dict):
        return {key: _revealed(item) for key, item in value.items()}
    return [_revealed(item) for item in value] if isinstance(value, list) else value
