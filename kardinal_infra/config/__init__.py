"""What users write: the config of baseline and flow stacks, read into models, every mistake with its path."""

from kardinal_infra.config.backends import Capabilities, CapabilitiesOf
from kardinal_infra.config.baseline import BaselineConfig, ExistingGateway, GatewayConfig, load_baseline
from kardinal_infra.config.flow import (
    FlowConfig,
    FlowDatabase,
    FlowService,
    Isolation,
    LoadedFlow,
    load_flow,
    read_flow,
)
from kardinal_infra.config.forks import (
    ContainerPatch,
    EnvReference,
    EnvValue,
    ObjectKey,
    VolumeChoice,
)
from kardinal_infra.model.durations import parse_ttl
from kardinal_infra.model.egress import Destination, Egress, parse_destination

__all__ = [
    "BaselineConfig",
    "Capabilities",
    "CapabilitiesOf",
    "ContainerPatch",
    "Destination",
    "Egress",
    "EnvReference",
    "EnvValue",
    "ExistingGateway",
    "FlowConfig",
    "FlowDatabase",
    "FlowService",
    "GatewayConfig",
    "Isolation",
    "LoadedFlow",
    "ObjectKey",
    "VolumeChoice",
    "load_baseline",
    "load_flow",
    "parse_destination",
    "parse_ttl",
    "read_flow",
]
