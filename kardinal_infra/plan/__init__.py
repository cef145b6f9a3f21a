"""What a flow will be, decided from config, contract and snapshot alone, before anything is made."""

from kardinal_infra.plan.baseline import baseline_problems, baseline_version
from kardinal_infra.plan.build import baseline_images, make_plan
from kardinal_infra.plan.model import (
    BranchPlan,
    EntryPlan,
    FlowPlan,
    ForkPlan,
    MigrationPlan,
    Reason,
    StorePlan,
)

__all__ = [
    "BranchPlan",
    "EntryPlan",
    "FlowPlan",
    "ForkPlan",
    "MigrationPlan",
    "Reason",
    "StorePlan",
    "baseline_images",
    "baseline_problems",
    "baseline_version",
    "make_plan",
]
