"""The rules of kardinal-infra over the resources of a stack.

`KARDINAL_TOPOLOGY` names a file with the baseline's topology:
`pulumi stack output topology --stack baseline --json > topology.json`
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kardinal_infra.cluster.snapshot import read_live
from kardinal_infra.model.topology import Topology
from kardinal_infra.observed.live import flow_of
from kardinal_infra.safety import REFUSALS, RULES, case_of_manifests, prove


def validate(args: Any, report: Callable[[str], None]) -> None:
    """Reports every error of every flow in a stack."""
    manifests = [item.props for item in args.resources if item.resource_type.startswith("kubernetes:")]
    flows = {flow for flow in map(flow_of, manifests) if flow is not None}
    if not flows:
        return
    topology = Topology.from_plain(json.loads(Path(os.environ["KARDINAL_TOPOLOGY"]).read_text()), "baseline")
    live = read_live(*topology.namespaces)
    for flow in sorted(flows):
        case = case_of_manifests(manifests, live, topology, flow)
        # No plan has been made here that would have refused the rest.
        for finding in prove(case, (*RULES, *REFUSALS)):
            if finding.severity == "error":
                report(f"{finding.path}: {finding}")
