"""HTTPRoute manifests of the dialect `gateway-api`: pure functions, live routes in, manifests out."""

from kardinal_infra.routing.baseline import catch_all_routes, production_routes
from kardinal_infra.routing.derive import flow_routes
from kardinal_infra.routing.entries import entry_route
from kardinal_infra.routing.parents import has_baseline_route, parent_ports, routes_of

__all__ = [
    "catch_all_routes",
    "entry_route",
    "flow_routes",
    "has_baseline_route",
    "parent_ports",
    "production_routes",
    "routes_of",
]
