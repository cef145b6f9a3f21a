"""The egress lock's ServiceEntries: what leads locked forks to the branches and to what is allowed by name.

The Sidecars that lock the forks are among their policies; `kardinal_infra.forking.egress_lock` explains both.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from kardinal_infra.components.manifests import custom_resource
from kardinal_infra.databases.branching import Branch
from kardinal_infra.forking import branch_entry
from kardinal_infra.model.names import Owner
from kardinal_infra.plan import FlowPlan


def declare_egress(
    plan: FlowPlan,
    branches: Mapping[str, Branch],
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
) -> list[pulumi.Resource]:
    """Declares the ServiceEntries of a flow with the egress lock.

    Args:
        plan: The flow.
        branches: Branch by database.
        parent: Parent of the resources.
        after: What comes first.

    Returns:
        The resources; none without the lock.
    """
    manifests: list[dict[str, Any]] = list(plan.allowed_entries)
    for owner in plan.owners:
        for name, port in plan.mesh_ports.items():
            known = branch_entry(owner, name, port, "", 0)
            manifests.append({**known, "spec": _spec(owner, name, port, branches[name])})
    opts = pulumi.ResourceOptions(parent=parent, depends_on=list(after))
    return [custom_resource(manifest, opts, _pulumi_name(plan, manifest)) for manifest in manifests]


def _pulumi_name(plan: FlowPlan, manifest: Mapping[str, Any]) -> str:
    """Each namespace has entries of its own, of the same names."""
    name, namespace = str(manifest["metadata"]["name"]), manifest["metadata"]["namespace"]
    return name if namespace == plan.owner.namespace else f"{namespace}/{name}"


def _spec(owner: Owner, name: str, port: int, branch: Branch) -> pulumi.Output[Any]:
    return pulumi.Output.all(branch.host, branch.port).apply(
        lambda found: branch_entry(owner, name, port, str(found[0]), int(found[1]))["spec"]
    )
