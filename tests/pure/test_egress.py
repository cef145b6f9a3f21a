"""What locked forks may reach, as config says it and as the mesh is told."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from kardinal_infra.config import Destination, load_baseline, load_flow, parse_destination
from kardinal_infra.errors import ConfigError
from kardinal_infra.forking import allowed_entries, branch_entry, branch_ports
from kardinal_infra.forking.egress_lock import BRANCH_PORTS
from kardinal_infra.model.names import Owner
from kardinal_infra.model.topology import Topology
from tests.pure.refusing import flow, refusals
from tests.pure.samples import FLOW, NAMESPACE, STACK, TOPOLOGY, live, plan, topology

OWNER = Owner(STACK, NAMESPACE, "dev")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis", Destination(kind="service", host="redis")),
        ("cache/redis", Destination(kind="service", host="redis", namespace="cache")),
        ("api.example.com", Destination(kind="tls", host="api.example.com", port=443)),
        ("https://api.example.com:8443", Destination(kind="tls", host="api.example.com", port=8443)),
        ("http://api.example.com", Destination(kind="http", host="api.example.com", port=80)),
        ("tcp://10.1.2.3:6379", Destination(kind="tcp", host="10.1.2.3", port=6379)),
        ("tcp://10.1.0.0/16:6379", Destination(kind="tcp", host="10.1.0.0/16", port=6379)),
    ],
)
def test_destinations_are_read(text: str, expected: Destination) -> None:
    assert parse_destination(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "*", "10.1.2.3", "10.1.2.3:5432", "tcp://db.example.com:5432", "a b", "https://api.example.com/x"],
)
def test_what_would_fail_open_or_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_flow({**FLOW, "egress": {"mode": "locked", "allow": [text]}}, "dev")
    assert str(caught.value).startswith("kardinal:flow.egress.allow[0]: ")


@pytest.mark.parametrize(("value", "locked"), [("locked", True), ("open", False), ({"mode": "locked"}, True)])
def test_the_lock_is_one_word(value: Any, locked: bool) -> None:
    egress = load_flow({**FLOW, "egress": value}, "dev").egress
    assert egress is not None
    assert egress.locked is locked
    assert load_flow(FLOW, "dev").egress is None


def test_another_word_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'kardinal:flow\.egress\.mode: must be "open" or "locked"'):
        load_flow({**FLOW, "egress": "closed"}, "dev")


def test_a_locked_plan_names_every_host_and_no_wildcard() -> None:
    found = plan(egress={"mode": "locked", "allow": ["redis", "cache/queue", "api.example.com"]})
    for fork in found.forks:
        [sidecar] = [policy for policy in fork.policies if policy["kind"] == "Sidecar"]
        assert sidecar["spec"] == {
            "workloadSelector": {"labels": {"kardinal.dev/fork": fork.name}},
            "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
            "egress": [
                {
                    "hosts": [
                        "./api.example.com",
                        "./votes.dev.kardinal.internal",
                        "cache/queue.cache.svc.cluster.local",
                        "voting-app/redis.voting-app.svc.cluster.local",
                        "voting-app/votes-api-dev.voting-app.svc.cluster.local",
                        "voting-app/votes-api.voting-app.svc.cluster.local",
                        "voting-app/voting-app-ui-dev.voting-app.svc.cluster.local",
                        "voting-app/voting-app-ui.voting-app.svc.cluster.local",
                    ]
                }
            ],
        }
        annotations = fork.workload({"votes": "s"})["spec"]["template"]["metadata"]["annotations"]
        assert annotations["sidecar.istio.io/nativeSidecar"] == "true"
    assert [entry["spec"]["hosts"] for entry in found.allowed_entries] == [["api.example.com"]]
    assert "Egress: locked to the application, the branches and redis, cache/queue" in found.describe()
    first, last = BRANCH_PORTS
    assert first <= found.mesh_ports["votes"] <= last


def test_without_the_lock_there_is_nothing_of_it() -> None:
    found = plan()
    assert (found.mesh_ports, found.allowed_entries) == ({}, [])
    assert all(fork.policies == () for fork in found.forks)


@pytest.mark.parametrize(("host", "resolution"), [("10.213.0.1", "STATIC"), ("ep-x.neon.tech", "DNS")])
def test_a_branch_has_a_port_of_its_own_and_its_entry_stays_in_the_namespace(
    host: str, resolution: str
) -> None:
    entry = branch_entry(OWNER, "votes", 15500, host, 5433)
    assert entry["spec"] == {
        "hosts": ["votes.dev.kardinal.internal"],
        "ports": [{"number": 15500, "name": "tcp-branch", "protocol": "TCP"}],
        "location": "MESH_EXTERNAL",
        "resolution": resolution,
        "endpoints": [{"address": host, "ports": {"tcp-branch": 5433}}],
        "exportTo": ["."],
    }
    assert entry["metadata"]["labels"]["kardinal.dev/flow"] == "dev"


def test_an_address_of_plain_tcp_is_an_address_in_the_mesh_too() -> None:
    [entry] = allowed_entries(OWNER, [parse_destination("tcp://10.1.2.3:6379")])
    assert entry["spec"]["addresses"] == ["10.1.2.3"]
    assert entry["spec"]["resolution"] == "NONE"


def test_branches_of_one_flow_never_share_a_port() -> None:
    names = [f"db{number}" for number in range(300)]
    ports = branch_ports("dev", names)
    assert len(set(ports.values())) == len(names)
    assert branch_ports("dev", names) == ports


IN_CLUSTER = ["votes-db", "votes-db.voting-app", "votes-db.voting-app.svc.cluster.local"]


def app(host: str, **services: Any) -> Topology:
    databases, declared = deepcopy(TOPOLOGY["databases"]), deepcopy(TOPOLOGY["services"])
    databases["votes"]["host"] = host
    return topology(databases=databases, services={**declared, **services})


@pytest.mark.parametrize("host", IN_CLUSTER)
def test_a_lock_does_not_name_the_parent_although_it_is_a_service_of_the_application(host: str) -> None:
    declared = {"votes-db": {"ports": [{"port": 5432, "protocol": "tcp"}]}}
    forks = plan(topology=app(host, **declared), egress="locked").forks
    assert [fork.service for fork in forks] == ["votes-api", "voting-app-ui"]
    for fork in forks:
        [sidecar] = [policy for policy in fork.policies if policy["kind"] == "Sidecar"]
        [listed] = sidecar["spec"]["egress"]
        assert not [name for name in listed["hosts"] if "votes-db" in name]
        assert "voting-app/votes-api.voting-app.svc.cluster.local" in listed["hosts"]


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("votes-db", "votes-db"),
        ("votes-db", "votes-db.voting-app.svc.cluster.local"),
        ("votes-db.data.svc", "data/votes-db"),
        ("10.0.0.5", "tcp://10.0.0.0/8:5432"),
        ("10.0.0.5", "tcp://10.0.0.5:5432"),
        ("ep-parent.neon.tech", "https://ep-parent.neon.tech:5432"),
    ],
)
def test_an_allow_list_that_leads_to_the_parent_is_refused(host: str, allowed: str) -> None:
    egress = {"mode": "locked", "allow": ["api.example.com", allowed]}
    assert refusals(flow(egress=egress), app=app(host)) == [
        f'kardinal:flow.egress.allow[1]: "{allowed}" leads to the parent of a branched database, which the'
        " lock is there to close"
    ]
    elsewhere = ["tcp://10.9.0.0/16:5432", "ep-other.neon.tech", "cache/votes-db"]
    plan(topology=app("10.0.0.5"), egress={"mode": "locked", "allow": elsewhere})


def test_the_baseline_locks_all_flows_that_say_nothing_else() -> None:
    keys = ("application", "namespace", "domain", "services", "entries", "databases")
    plain = {key: deepcopy(TOPOLOGY[key]) for key in keys}
    plain["egress"] = {"mode": "locked", "allow": ["api.example.com"]}
    made = topology(egress=load_baseline(plain).to_topology().to_plain()["egress"])
    assert (
        "Egress: locked to the application, the branches and api.example.com"
        in plan(topology=made).describe()
    )
    assert "Egress" not in plan(topology=made, egress="open").describe()
    assert "api.example.com" not in plan(topology=made, egress="locked").describe()
    made = topology(
        egress={"mode": "locked", "allow": ["ep-parent.neon.tech"]},
        databases=app("ep-parent.neon.tech").to_plain()["databases"],
    )
    [line] = refusals(app=made)
    assert line.startswith('topology.egress.allow[0]: "ep-parent.neon.tech" leads to the parent')


def test_no_label_is_kept_by_which_another_sidecar_would_take_the_place_of_the_lock() -> None:
    older = {
        "kind": "Sidecar",
        "metadata": {"name": "theirs", "namespace": NAMESPACE},
        "spec": {"workloadSelector": {"labels": {"tier": "web"}}, "egress": [{"hosts": ["*/*"]}]},
    }
    for egress, kept in (("open", True), ("locked", False)):
        forks = plan(live=live(policies=[older]), egress=egress).forks
        assert [fork.service for fork in forks] == ["votes-api", "voting-app-ui"]
        for fork in forks:
            labels = fork.workload({"votes": "s"})["spec"]["template"]["metadata"]["labels"]
            assert ("tier" in labels) is kept


def test_the_lock_takes_the_place_of_the_baselines_own_sidecar() -> None:
    older = {
        "kind": "Sidecar",
        "metadata": {"name": "theirs", "namespace": NAMESPACE},
        "spec": {"workloadSelector": {"labels": {"app": "votes-api"}}, "egress": [{"hosts": ["*/*"]}]},
    }

    def hosts(egress: str) -> list[list[str]]:
        """What each Sidecar of the API's fork lets it reach."""
        forks = plan(live=live(policies=[older]), egress=egress).forks
        [fork] = [fork for fork in forks if fork.service == "votes-api"]
        sidecars = [policy["spec"] for policy in fork.policies if policy["kind"] == "Sidecar"]
        assert all(spec["workloadSelector"] == {"labels": fork.spec.selector} for spec in sidecars)
        return [spec["egress"][0]["hosts"] for spec in sidecars]

    assert hosts("open") == [["*/*"]]
    # Of two Sidecars for one pod one counts, and nothing says which: it could open the lock.
    [locked] = hosts("locked")
    assert "*/*" not in locked
