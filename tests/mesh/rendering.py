"""Applications on the real API server, and all that baselines, flows and the doctor would make beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pulumi
import yaml

from kardinal_infra import Baseline, Flow
from kardinal_infra.cluster import read_live
from kardinal_infra.doctor import plan_probe
from kardinal_infra.routing.virtual_service import inserted
from kardinal_infra.topology import Topology
from tests.components import recorder
from tests.components.recorder import Declared, Hidden, Stack
from tests.mesh.conftest import IMAGE, Manifest, Mesh

EVERYTHING = yaml.safe_load(Path(__file__).with_name("everything.yaml").read_text())
"""Objects and baseline of an application with everything that flows have to do with."""

PODS_OF = ("Deployment", "StatefulSet", "Job")


@dataclass
class Adopted:
    """An application in a namespace of its own; its workloads have no pods.

    Attributes:
        mesh: The namespace.
        config: Config of its baseline.
        flows: Flows by stack, as they were declared.
    """

    mesh: Mesh
    config: dict[str, Any]
    flows: dict[str, Flow] = field(default_factory=dict)

    def baseline(self) -> list[Manifest]:
        """What its baseline stack would make."""
        config: Any = self.config | {"namespace": self.mesh.namespace}
        return self._rendered(
            recorder.run(lambda: Baseline("base", config, kubeconfig=self.mesh.kubeconfig), stack="baseline")
        )

    @cached_property
    def topology(self) -> Topology:
        """What its baseline stack exports."""
        found: list[Topology] = []
        config: Any = self.config | {"namespace": self.mesh.namespace}

        def program() -> None:
            found.append(Baseline("base", config, kubeconfig=self.mesh.kubeconfig).topology)

        recorder.run(program, stack="baseline")
        return found[0]

    def flow(self, stack: str, **args: Any) -> list[Manifest]:
        """What a flow stack would make."""
        flow: Any = {"baseline": "baseline", **args}

        def program() -> None:
            self.flows[stack] = Flow(stack, flow, topology=self.topology, kubeconfig=self.mesh.kubeconfig)

        return self._rendered(recorder.run(program, stack=stack))
