"""A flow's routes in the dialects `gateway-api` and `istio`: pure functions over live objects."""

from kardinal_infra.observed.routes import has_baseline_route, parent_ports, routes_of
from kardinal_infra.routing.baseline import catch_all_routes, production_routes
from kardinal_infra.routing.entries import entry_route
from kardinal_infra.routing.gateway_api.mesh import baseline_routes, flow_routes
from kardinal_infra.routing.grants import reference_grants
from kardinal_infra.routing.istio.mesh import Insertion, flow_insertion
from kardinal_infra.routing.retarget import Targets

__all__ = [
    "Insertion",
    "Targets",
    "baseline_routes",
    "catch_all_routes",
    "entry_route",
    "flow_insertion",
    "flow_routes",
    "has_baseline_route",
    "parent_ports",
    "production_routes",
    "reference_grants",
    "routes_of",
]
