"""The contract between baseline and flow stacks."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.errors import OutputsError
from kardinal_infra.model.topology import Gateway, Topology
from tests.pure.samples import BASELINE_STACK, TOPOLOGY, topology


def test_the_contract_survives_a_round_trip_with_camel_case_keys() -> None:
    plain = topology().to_plain()
    assert Topology.from_plain(plain, BASELINE_STACK) == topology()
    assert plain["schemaVersion"] == 1
    assert plain["services"]["voting-app-ui"]["dependsOn"] == ["votes-api"]
    assert "workload" not in plain["services"]["voting-app-ui"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "too old (schemaVersion None, needed is 1): run `pulumi up` on it"),
        ({"services": {}}, "too old (schemaVersion None"),
        ({**TOPOLOGY, "schemaVersion": 0}, "too old (schemaVersion 0"),
        ({**TOPOLOGY, "schemaVersion": 2}, "newer (schemaVersion 2)"),
        ({**TOPOLOGY, "services": 5}, "is not usable (services: "),
        ({**TOPOLOGY, "extra": 5}, "is not usable (extra: "),
    ],
)
def test_other_versions_and_other_things_are_refused_by_name(value: Any, text: str) -> None:
    with pytest.raises(OutputsError) as caught:
        Topology.from_plain(value, BASELINE_STACK)
    assert text in str(caught.value)
    assert BASELINE_STACK in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "port", "url"),
    [
        ("http", 80, "http://a.b"),
        ("https", 443, "https://a.b"),
        ("http", 8080, "http://a.b:8080"),
        ("https", 80, "https://a.b:80"),
    ],
)
def test_urls_leave_out_the_schemes_own_port(scheme: Any, port: int, url: str) -> None:
    assert Gateway(name="g", namespace="n", scheme=scheme, port=port).url("a.b") == url


def test_one_entry_has_the_flow_as_host_several_the_flow_and_the_service() -> None:
    one = topology()
    assert one.flow_host(one.entries[0], "dev") == "dev.voting.localhost"
    entries = [*TOPOLOGY["entries"], {"service": "votes-api", "host": "api.localhost"}]
    several = topology(entries=entries)
    assert [several.flow_host(entry, "dev") for entry in several.entries] == [
        "dev-voting-app-ui.voting.localhost",
        "dev-votes-api.voting.localhost",
    ]
    own = topology(entries=[{**TOPOLOGY["entries"][0], "flowHost": "{flow}.preview.example"}])
    assert own.flow_host(own.entries[0], "dev") == "dev.preview.example"


def test_entries_take_the_first_routed_port_and_are_counted_per_service() -> None:
    ports = [{"port": 5432, "protocol": "tcp"}, {"port": 9000, "protocol": "grpc"}, {"port": 80}]
    entries = [
        {"service": "web", "host": "a"},
        {"service": "api", "host": "b", "port": 80},
        {"service": "web", "host": "c"},
    ]
    found = topology(services={"web": {"ports": ports}, "api": {"ports": ports}}, entries=entries)
    assert [found.entry_port(entry) for entry in found.entries] == [9000, 80, 9000]
    assert [found.entry_part(index) for index in range(3)] == [1, 1, 2]


def test_who_calls_and_who_uses() -> None:
    found = topology()
    assert found.users("votes") == {"votes-api"}
    assert found.callers("votes-api") == {"voting-app-ui"}
    assert found.downstream(["voting-app-ui"]) == {"voting-app-ui", "votes-api"}
    assert found.downstream(["votes-api", "unknown"]) == {"votes-api"}
