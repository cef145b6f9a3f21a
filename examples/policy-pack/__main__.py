"""A Pulumi policy pack that proves every flow safe, whoever wrote its program."""

from flow_safety import validate
from pulumi_policy import EnforcementLevel, PolicyPack, StackValidationPolicy

PolicyPack(
    "kardinal-safety",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        StackValidationPolicy(
            name="flow-safety",
            description="A flow must not reach production's requests, data or work (docs/safety.md).",
            validate=validate,
        )
    ],
)
