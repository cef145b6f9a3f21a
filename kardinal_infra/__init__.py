"""Ephemeral environments beside production, as Pulumi stacks.

A flow forks only the services that change, routes its own requests to them and gives them copy-on-write
branches of production's databases. `pulumi up` makes it, `pulumi destroy` leaves nothing.

Public are the names in `__all__` and what docs/architecture.md#what-is-public lists; all else is internal.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kardinal_infra import errors
    from kardinal_infra.components.baseline import Baseline, BaselineArgs
    from kardinal_infra.components.branched_database import BranchedDatabase, BranchedDatabaseArgs
    from kardinal_infra.components.flow import Flow, FlowArgs
    from kardinal_infra.components.flow_routes import FlowRoutes, FlowRoutesArgs
    from kardinal_infra.components.forked_workload import ForkedWorkload, ForkedWorkloadArgs
    from kardinal_infra.databases.neon.resource import NeonBranch, NeonBranchArgs
    from kardinal_infra.databases.postgres.resource import PostgresBranch, PostgresBranchArgs
    from kardinal_infra.outputs import BaselineOutputs, FlowOutputs

__all__ = [
    "Baseline",
    "BaselineArgs",
    "BaselineOutputs",
    "BranchedDatabase",
    "BranchedDatabaseArgs",
    "Flow",
    "FlowArgs",
    "FlowOutputs",
    "FlowRoutes",
    "FlowRoutesArgs",
    "ForkedWorkload",
    "ForkedWorkloadArgs",
    "NeonBranch",
    "NeonBranchArgs",
    "PostgresBranch",
    "PostgresBranchArgs",
    "errors",
]

# Imported when asked for: the Kubernetes SDK takes a second to load, and neither the pure core nor the local
# Neon service needs it.
_HOMES = {
    "components.baseline": ("Baseline", "BaselineArgs"),
    "components.branched_database": ("BranchedDatabase", "BranchedDatabaseArgs"),
    "components.flow": ("Flow", "FlowArgs"),
    "components.flow_routes": ("FlowRoutes", "FlowRoutesArgs"),
    "components.forked_workload": ("ForkedWorkload", "ForkedWorkloadArgs"),
    "databases.neon.resource": ("NeonBranch", "NeonBranchArgs"),
    "databases.postgres.resource": ("PostgresBranch", "PostgresBranchArgs"),
    "outputs": ("BaselineOutputs", "FlowOutputs"),
}


def __getattr__(name: str) -> Any:
    """Imports a public name from its module."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"kardinal_infra.{module}"), name)
    if name == "errors":
        return import_module("kardinal_infra.errors")
    if name == "__version__":
        return version("kardinal-infra")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
