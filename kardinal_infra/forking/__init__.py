"""From a live workload to its fork: plain dicts in, plain dicts out."""

from kardinal_infra.forking.checks import fork_problems, fork_warnings
from kardinal_infra.forking.deployment import fork_deployment
from kardinal_infra.forking.service import fork_service
from kardinal_infra.forking.spec import DatabaseEnv, ForkSpec, SecretText

__all__ = [
    "DatabaseEnv",
    "ForkSpec",
    "SecretText",
    "fork_deployment",
    "fork_problems",
    "fork_service",
    "fork_warnings",
]
