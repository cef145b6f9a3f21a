"""What a flow's stack exports: the contract that `kardinal_infra.outputs` reads."""

from collections.abc import Mapping
from typing import Any

import pulumi

from kardinal_infra.databases.branching import Branch
from kardinal_infra.engine.stack_outputs import FLOW_SCHEMA_VERSION
from kardinal_infra.plan import FlowPlan, StorePlan
from kardinal_infra.plan.drift import template_versions


def flow_outputs(plan: FlowPlan, branches: Mapping[str, Branch]) -> dict[str, Any]:
    """Collects the outputs of a flow.

    Args:
        plan: The flow.
        branches: Branch by database.

    Returns:
        Outputs by name.
    """
    expiring = {branch.name for branch in plan.databases if branch.ttl is not None}
    return {
        "schemaVersion": FLOW_SCHEMA_VERSION,
        "flow": plan.flow,
        "url": plan.url,
        "hosts": plan.hosts,
        "header": plan.header,
        "baggage": plan.baggage,
        "services": {
            fork.service: {
                "image": fork.image,
                "fork": fork.name,
                "namespace": fork.spec.owner.namespace,
                "reason": fork.reason.kind,
            }
            for fork in plan.forks
        },
        "databases": {
            key: {
                "branchId": branch.branch_id,
                "branchName": branch.branch_name,
                "parentId": branch.parent_id,
                "host": branch.host,
                # Absent without a life time: an output that is None counts as unknown in every preview.
                **({"expiresAt": branch.expires_at} if key in expiring else {}),
            }
            for key, branch in branches.items()
        },
        **({"stores": {store.name: _store(store) for store in plan.stores}} if plan.stores else {}),
        "connectionUris": pulumi.Output.secret({key: branch.uri for key, branch in branches.items()}),
        "topology": plan.to_contract(),
        **({"expiresAt": _earliest([branches[key].expires_at for key in expiring])} if expiring else {}),
        "baselineVersion": plan.baseline_version,
        "baselineTemplates": template_versions(plan),
        **({"acknowledged": [item.to_plain() for item in plan.accepted]} if plan.accepted else {}),
    }


def _store(store: StorePlan) -> dict[str, Any]:
    address = {"mode": store.mode, "host": store.host, "port": store.port}
    return address if store.fork is None else {**address, "fork": store.fork}


def _earliest(times: list[pulumi.Output[str | None]]) -> pulumi.Output[str | None]:
    return pulumi.Output.all(*times).apply(lambda known: min((time for time in known if time), default=None))
