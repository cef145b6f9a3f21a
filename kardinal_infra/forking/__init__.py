"""From a live workload to its fork: plain dicts in, plain dicts out."""

from kardinal_infra.forking.checks import fork_problems, fork_warnings
from kardinal_infra.forking.egress_lock import (
    allowed_entries,
    branch_entry,
    branch_host,
    branch_ports,
    lock_sidecar,
    locked_hosts,
)
from kardinal_infra.forking.policies import ForkPeers, fork_policies, lost_policies
from kardinal_infra.forking.service import fork_service
from kardinal_infra.forking.spec import BranchSecret, DatabaseEnv, ForkSpec, SecretText, StoreEnv
from kardinal_infra.forking.volumes import own_claims
from kardinal_infra.forking.workload import fork_template, fork_workload, name_secrets

__all__ = [
    "BranchSecret",
    "DatabaseEnv",
    "ForkPeers",
    "ForkSpec",
    "SecretText",
    "StoreEnv",
    "allowed_entries",
    "branch_entry",
    "branch_host",
    "branch_ports",
    "fork_policies",
    "fork_problems",
    "fork_service",
    "fork_template",
    "fork_warnings",
    "fork_workload",
    "lock_sidecar",
    "locked_hosts",
    "lost_policies",
    "name_secrets",
    "own_claims",
]
