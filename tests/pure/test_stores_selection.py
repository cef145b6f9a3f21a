"""Which services and stores a flow consists of, whatever the application looks like."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kardinal_infra.config import FlowConfig
from kardinal_infra.model.topology import Topology
from kardinal_infra.plan.selection import select
from tests.pure.samples import BASELINE_STACK, FLOW, MANY, topology

SERVICES = [f"s{index}" for index in range(6)]
STORES = ["k0", "k1", "k2"]
DATABASES = ["d0", "d1"]


def some(names: list[str], size: int = 2) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), max_size=size, unique=True)


def uses(draw: st.DrawFn, stores: list[str]) -> list[dict[str, Any]]:
    found = [{"database": name, "environment": {f"URL_{name}": "uri"}} for name in draw(some(DATABASES))]
    return [*found, *({"store": name, "environment": {f"URL_{name}": "{host}"}} for name in stores)]


@st.composite
def selections(draw: st.DrawFn) -> tuple[Topology, FlowConfig]:
    services: dict[str, Any] = {
        name: {
            "ports": draw(st.sampled_from([[{"port": 80}], []])),
            "dependsOn": draw(some(SERVICES)),
            "uses": uses(draw, draw(some(STORES))),
        }
        for name in SERVICES
    }
    for index, name in enumerate(STORES):
        # A store may use those before it: never in a circle.
        used = uses(draw, draw(some(STORES[:index]))) if index else []
        services[f"on-{name}"] = {"ports": [{"port": 6379, "protocol": "tcp"}], "uses": used}
    modes = st.sampled_from(["fresh", "share", None])
    stores = {name: {"service": f"on-{name}", "flows": draw(modes)} for name in STORES}
    databases = {name: {"project": "p", "database": name, "role": "r"} for name in DATABASES}
    found = topology(services=services, entries=[], databases=databases, stores=stores)
    own = {name: mode for name in STORES if (mode := draw(modes)) is not None}
    requested = draw(st.lists(st.sampled_from([*SERVICES, "on-k0"]), min_size=1, unique=True))
    value = {
        **FLOW,
        "services": {name: {"image": "x"} for name in requested},
        "stores": own,
        "isolation": draw(st.sampled_from(["data", "full"])),
    }
    return found, FlowConfig.model_validate(value)


@MANY
@given(selections())
def test_every_user_of_a_fresh_store_is_in_the_fork_set(case: tuple[Topology, FlowConfig]) -> None:
    found, config = case
    chosen = select(found, config)
    # A shared store is shared with all that it uses itself.
    shared = {found.store_service(store) for store in chosen.stores.keys() - chosen.fresh}
    for store, mode in chosen.stores.items():
        assert mode == (config.stores.get(store) or found.stores[store].flows)
        if mode == "fresh":
            assert found.store_users(store) <= chosen.forks.keys() | shared
        assert (found.store_service(store) in chosen.forks) == (mode == "fresh")
    for name in {*chosen.forks, *found.downstream(config.services)} - shared:
        used = {use.store for use in found.services[name].stores}
        assert used <= chosen.stores.keys()
    for name in chosen.forks:
        assert {use.database for use in found.services[name].databases} <= set(chosen.databases)
        workers = not found.services[name].ports and found.services[name].works_on(chosen.fresh)
        for other in found.downstream([name]) - shared if workers else ():
            assert {use.database for use in found.services[other].databases} <= set(chosen.databases)
    for database in chosen.databases:
        assert found.users(database) <= chosen.forks.keys() | shared
    for reason in chosen.forks.values():
        assert set(reason.stores) <= chosen.fresh
        assert (reason.kind in {"requested", "full"}) == (not reason.databases and not reason.stores)


@MANY
@given(selections())
def test_sharing_all_stores_forks_what_a_flow_without_stores_forks(case: tuple[Topology, FlowConfig]) -> None:
    found, config = case
    plain = deepcopy(found.to_plain())
    plain["stores"] = {}
    behind = {found.store_service(name) for name in STORES}
    for name, service in plain["services"].items():
        service["uses"] = [use for use in service["uses"] if "database" in use and name not in behind]
    without = Topology.from_plain(plain, BASELINE_STACK)
    services = {name: request for name, request in config.services.items() if name not in behind}
    shared = config.model_copy(update={"stores": dict.fromkeys(STORES, "share"), "services": services})
    bare = shared.model_copy(update={"stores": {}})
    forks = select(found, shared).forks.keys()
    assert forks == select(without, bare).forks.keys() - behind
