"""Config of flow and baseline stacks: what is read, and every mistake with its path."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardinal_infra.config import (
    BaselineConfig,
    FlowConfig,
    load_baseline,
    load_flow,
    parse_ttl,
    read_flow,
)
from kardinal_infra.errors import ConfigError
from kardinal_infra.model.topology import Topology
from tests.pure.samples import BASELINE_STACK, FLOW, MANY, TOPOLOGY

BASELINE: dict[str, Any] = {
    key: value for key, value in TOPOLOGY.items() if key not in {"schemaVersion", "gateway"}
} | {"gateway": {"port": 8080, "address": "127.0.0.1:8080"}}


def flow_problems(value: object, stack: str = "dev") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_flow(value, stack)
    return str(caught.value).splitlines()


def baseline_problems(**changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_baseline({**deepcopy(BASELINE), **changes})
    return str(caught.value).splitlines()


def test_a_flow_takes_its_id_from_the_stack_and_the_defaults_from_the_contract() -> None:
    config = load_flow(FLOW, "pr-42")
    assert (config.flow, config.isolation, config.baseline) == ("pr-42", "data", BASELINE_STACK)
    assert config.services["voting-app-ui"].image == "voting-app-ui-dev"
    assert load_flow({**FLOW, "id": "x"}, "Any_Stack").flow == "x"


def test_every_mistake_is_told_at_once_with_its_path() -> None:
    value = {
        "baselin": "x",
        "isolation": "dta",
        "services": {
            "voting-app-ui": {"imagee": "x", "replicas": -1, "env": {"RATE": 1.5}},
            "votes-api": {"image": "has space", "command": []},
            "other": "image",
        },
        "databases": {"votes": {"ttl": "99w", "handover": "vpn", "migrations": {"comand": ["x"]}}},
    }
    assert flow_problems(value, "PR_1") == [
        'kardinal:flow.baselin: unknown key; did you mean "baseline"?',
        "kardinal:flow.baseline: required, but missing",
        'kardinal:flow.databases.votes.handover: must be "env" or "sidecar"',
        'kardinal:flow.databases.votes.migrations.comand: unknown key; did you mean "command"?',
        "kardinal:flow.databases.votes.migrations.command: required, but missing",
        "kardinal:flow.databases.votes.migrations.environment: required, but missing",
        "kardinal:flow.databases.votes.migrations.service: required, but missing",
        'kardinal:flow.databases.votes.ttl: "99w" is not a life time; write minutes, hours or days like'
        " 90m, 24h or 7d",
        'kardinal:flow.id: not set, and the stack\'s name cannot be used instead: "PR_1" must consist of a-z,'
        ' 0-9 and "-", and start and end with a letter or digit',
        'kardinal:flow.isolation: must be "services", "data" or "full"',
        "kardinal:flow.services.other: must be a mapping",
        "kardinal:flow.services.votes-api.command: must not be empty",
        "kardinal:flow.services.votes-api.image: must be the name of an image, without spaces",
        "kardinal:flow.services.voting-app-ui.env.RATE: must be a string; put it in quotes",
        'kardinal:flow.services.voting-app-ui.imagee: unknown key; did you mean "image"?',
        "kardinal:flow.services.voting-app-ui.replicas: must be at least 0",
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "kardinal:flow: required, but missing in the stack's config"),
        ("dev", "kardinal:flow: must be a mapping"),
        (
            {**FLOW, "id": "Dev"},
            'kardinal:flow.id: "Dev" must consist of a-z, 0-9 and "-", and start and end',
        ),
        ({**FLOW, "id": "x" * 64}, "kardinal:flow.id: has 64 characters, at most 63 are allowed"),
        ({**FLOW, "services": {}}, "kardinal:flow.services: no service is requested"),
        (
            {**FLOW, "isolation": "services", "databases": {"votes": {}}},
            'kardinal:flow.databases: isolation "services" shares all data',
        ),
    ],
)
def test_a_single_mistake_is_one_line(value: object, message: str) -> None:
    [line] = flow_problems(value)
    assert line.startswith(message)


def test_after_mistakes_the_rest_is_still_read() -> None:
    value = {**FLOW, "services": {"a": {"image": "x", "nope": 1}, "b": {}, "c": 5}, "isolation": "x"}
    loaded = read_flow(value, "dev")
    assert loaded.config is not None
    assert loaded.config.services.keys() == {"a", "b"}
    assert loaded.config.services["a"].image == "x"
    assert loaded.config.services["b"].image is None
    assert len(loaded.problems) == 3


def test_integers_are_taken_as_text_where_text_is_wanted() -> None:
    config = load_flow({**FLOW, "id": 42, "services": {"web": {"image": "x", "env": {"PORT": 8080}}}}, "dev")
    assert config.id == "42"
    assert config.services["web"].env == {"PORT": "8080"}


def test_migrations_can_be_switched_off() -> None:
    config = load_flow({**FLOW, "databases": {"votes": {"migrations": False}}}, "dev")
    assert config.databases["votes"].skip_migrations
    assert config.databases["votes"].migrations is None


def test_env_values_are_in_no_repr_and_no_message() -> None:
    value = {**FLOW, "services": {"web": {"image": "x", "env": {"KEY": "hunter2"}, "oops": "hunter2"}}}
    loaded = read_flow(value, "dev")
    assert "hunter2" not in repr(loaded)
    assert "hunter2" not in "\n".join(flow_problems(value))


names = st.from_regex(r"[a-z][a-z0-9-]{0,10}[a-z0-9]", fullmatch=True)
texts = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=10)
migrations = st.fixed_dictionaries(
    {
        "service": names,
        "command": st.lists(texts, min_size=1, max_size=3),
        "environment": st.dictionaries(texts, st.sampled_from(["uri", "pooledUri", "host"]), min_size=1),
    }
)
flows = st.fixed_dictionaries(
    {
        "baseline": texts,
        "services": st.dictionaries(
            names,
            st.fixed_dictionaries(
                {"image": texts},
                optional={
                    "env": st.dictionaries(texts, texts, max_size=3),
                    "command": st.lists(texts, min_size=1, max_size=3),
                    "replicas": st.integers(0, 100),
                    "container": names,
                },
            ),
            min_size=1,
            max_size=3,
        ),
    },
    optional={
        "id": names,
        "isolation": st.sampled_from(["data", "full"]),
        "databases": st.dictionaries(
            names,
            st.fixed_dictionaries(
                {},
                optional={
                    "ttl": st.sampled_from(["90m", "24h", "7d"]),
                    "handover": st.sampled_from(["env", "sidecar"]),
                    "migrations": st.one_of(st.just(False), migrations),
                },
            ),
            max_size=2,
        ),
    },
)


@MANY
@given(flows)
def test_a_flows_config_survives_a_round_trip(value: dict[str, Any]) -> None:
    config = load_flow(value, "dev")
    assert FlowConfig.model_validate(config.to_plain()) == config
    assert load_flow(config.to_plain(), "another") == config


def test_a_baselines_config_becomes_the_contract() -> None:
    config = load_baseline(BASELINE)
    assert config.to_topology() == Topology.from_plain(TOPOLOGY, BASELINE_STACK)
    assert BaselineConfig.model_validate(config.to_plain()) == config
    assert load_baseline({**BASELINE, "application": ""}).to_topology().application == "voting-app"


def test_the_users_own_gateway_is_used_as_it_is() -> None:
    existing = {"name": "edge", "namespace": "infra", "listener": "https"}
    gateway = load_baseline({**BASELINE, "gateway": {"scheme": "https", "port": 443, "existing": existing}})
    assert gateway.to_topology().gateway.to_plain() == {**existing, "scheme": "https", "port": 443}


def test_references_names_and_duplicates_are_checked_together() -> None:
    services = {
        "web": {
            "ports": [{"port": 80}, {"port": 80}],
            "dependsOn": ["vots"],
            "uses": [
                {"database": "orders", "environment": {"URL": "uri"}},
                {"database": "votes", "environment": {"URL": "uri"}},
                {"database": "votes"},
            ],
        },
        "votes": {"ports": [{"port": 5432, "protocol": "tcp"}]},
        "Bad_Name": {},
    }
    entries = [
        {"service": "web", "host": "a.example", "port": 81},
        {"service": "web", "host": "a.example"},
        {"service": "votes", "host": "b_d.example", "flowHost": "fixed.example"},
        {"service": "nobody", "host": "c.example", "flowHost": "{flow}_x.example"},
    ]
    database = {
        "project": "p",
        "database": "d",
        "role": "r",
        "handover": "sidecar",
        "ttl": "soon",
        "migrations": {"service": "wep", "command": ["x"], "environment": {"URL": "uri"}},
    }
    label = 'must consist of a-z, 0-9 and "-", and start and end with a letter or digit'
    assert baseline_problems(services=services, entries=entries, databases={"votes": database}) == [
        'kardinal:baseline.databases.votes.host: required for the hand-over "sidecar": the host name that the'
        " application uses",
        'kardinal:baseline.databases.votes.migrations.service: unknown service "wep"; did you mean "web"?',
        'kardinal:baseline.databases.votes.ttl: "soon" is not a life time; write minutes, hours or days like'
        " 90m, 24h or 7d",
        'kardinal:baseline.entries[0].port: service "web" has no http or grpc port 81',
        "kardinal:baseline.entries[1]: another entry has the same host for flows; give one of them a"
        " flowHost",
        'kardinal:baseline.entries[1].host: host "a.example" is listed twice',
        "kardinal:baseline.entries[2].flowHost: must contain {flow}, or all flows would share one host",
        f'kardinal:baseline.entries[2].host: in host "b_d.example", "b_d" {label}',
        'kardinal:baseline.entries[2].service: service "votes" has no http or grpc port',
        f'kardinal:baseline.entries[3].flowHost: in host "x_x.example", "x_x" {label}',
        'kardinal:baseline.entries[3].service: unknown service "nobody"',
        f'kardinal:baseline.services.Bad_Name: the name "Bad_Name" {label}',
        'kardinal:baseline.services.web.dependsOn[0]: unknown service "vots"; did you mean "votes"?',
        "kardinal:baseline.services.web.ports[1].port: port 80 is listed twice",
        'kardinal:baseline.services.web.uses[0].database: unknown database "orders"',
        "kardinal:baseline.services.web.uses[1].environment.URL: the variable is already used for another"
        " database",
        'kardinal:baseline.services.web.uses[2].database: database "votes" is listed twice',
    ]


def test_a_reference_to_something_unreadable_is_no_second_mistake() -> None:
    services = {"web": {"ports": "80"}, "api": 5}
    entries = [{"service": "api", "host": "a.example"}]
    assert baseline_problems(services={**services, "c": {"dependsOn": ["api"]}}, entries=entries) == [
        'kardinal:baseline.databases.votes.migrations.service: unknown service "voting-app-ui"',
        "kardinal:baseline.services.api: must be a mapping",
        "kardinal:baseline.services.web.ports: must be a list",
    ]


def test_cycles_between_services_are_allowed() -> None:
    services = {"a": {"dependsOn": ["b"]}, "b": {"dependsOn": ["a", "b"]}}
    config = load_baseline({**BASELINE, "services": services, "entries": [], "databases": {}})
    assert config.to_topology().downstream(["a"]) == {"a", "b"}


def test_an_application_needs_a_service() -> None:
    assert baseline_problems(services={}, entries=[], databases={}) == [
        "kardinal:baseline.services: at least one service is needed"
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("90m", timedelta(minutes=90)),
        ("24h", timedelta(days=1)),
        ("30d", timedelta(days=30)),
        ("720h", timedelta(days=30)),
    ],
)
def test_life_times_are_read(text: str, value: timedelta) -> None:
    assert parse_ttl(text) == value


@pytest.mark.parametrize("text", ["", "0h", "1w", "1.5h", "24", "-1h", "h", "9999999d", " 1h", "1h "])
def test_other_life_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="life time"):
        parse_ttl(text)


def test_the_sidecar_takes_no_database_name_that_needs_quotes() -> None:
    pooled = {"handover": "sidecar", "host": "votes-db", "database": "my votes"}
    databases = {"votes": {**BASELINE["databases"]["votes"], **pooled}}
    assert baseline_problems(databases=databases) == [
        'kardinal:baseline.databases.votes.database: the hand-over "sidecar" takes names of letters, digits,'
        ' "_", "." and "-"'
    ]
