"""A required key that is missing, or a value of the wrong kind, is told once: nothing follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from kardinal_infra.config import BaselineConfig, FlowConfig, load_baseline, load_flow, read_flow
from kardinal_infra.errors import ConfigError
from kardinal_infra.model.topology import Topology
from kardinal_infra.plan import make_plan
from tests.pure.samples import BASELINE_STACK, STACK, TOPOLOGY, live

OPTIONS: dict[str, Any] = {
    "init": "masked",
    "maskingRules": [
        {"table": "votes", "column": "voter", "function": "anon.fake_email()"},
        {"table": "votes", "column": "city", "value": "-"},
    ],
    "compute": {"minUnits": 0.25, "maxUnits": 2},
    "extraDatabases": {"more": "votes_owner"},
    "extraRoles": ["reader", "writer"],
}
MIGRATIONS: dict[str, Any] = {"service": "web", "command": ["migrate", "up"], "environment": {"URL": "uri"}}
HOOKS: list[dict[str, Any]] = [
    {"name": "seed", "create": "./seed", "uses": [{"database": "votes", "environment": {"URL": "uri"}}]},
    {"name": "tell", "create": ["./tell", "them"]},
]
BASELINE: dict[str, Any] = {
    "namespace": "voting-app",
    "domain": "voting.localhost",
    "gateway": {"existing": {"kind": "gateway-api", "name": "edge", "namespace": "infra"}},
    "services": {
        "web": {"ports": [{"port": 80}, {"port": 81}], "dependsOn": ["api", "mail"]},
        "api": {
            "ports": [{"port": 80, "protocol": "grpc"}],
            "workload": {"kind": "Deployment", "name": "api"},
            "uses": [
                {"database": "votes", "environment": {"DATABASE_URL": "uri"}},
                {"store": "redis", "environment": {"REDIS": "redis://{host}:{port}"}},
                {"database": "orders", "environment": {"ORDERS_URL": "uri"}},
            ],
        },
        "redis": {"ports": [{"port": 6379, "protocol": "tcp"}]},
        "mail": {"ports": [{"port": 80}]},
    },
    "entries": [
        {"service": "web", "host": "voting.localhost", "port": 81},
        {"service": "api", "host": "api.voting.localhost"},
    ],
    "databases": {
        "votes": {
            "project": "kardinal-demo",
            "database": "votes",
            "role": "votes_owner",
            "handover": "sidecar",
            "host": "votes-db",
            "migrations": MIGRATIONS,
            **OPTIONS,
        },
        "orders": {"project": "kardinal-demo", "database": "orders", "role": "orders_owner"},
    },
    "stores": {"redis": {"port": 6379, "flows": "share"}},
    "hooks": HOOKS,
    "egress": {"mode": "locked", "allow": ["cache/redis", "api.example.com"]},
}
FLOW: dict[str, Any] = {
    "baseline": BASELINE_STACK,
    "services": {"voting-app-ui": {"image": "voting-app-ui-dev", "command": ["run", "it"]}},
    "databases": {"votes": {**OPTIONS, "migrations": {**MIGRATIONS, "service": "voting-app-ui"}}},
    "hooks": HOOKS,
}

Location = tuple[str | int, ...]


def unwrapped(annotation: Any) -> list[Any]:
    """The models and containers that an annotation is made of, without `| None`, tags and checks."""
    if isinstance(annotation, type) or get_origin(annotation) in {dict, tuple}:
        return [annotation]
    return [found for inner in get_args(annotation) for found in unwrapped(inner)]


def required(annotation: Any, value: Any, at: Location = ()) -> Iterator[Location]:
    """Where the keys stand that the models ask for, in a value that has them all."""
    for kind in unwrapped(annotation):
        if get_origin(kind) is dict and isinstance(value, Mapping):
            for key, inner in value.items():
                yield from required(get_args(kind)[1], inner, (*at, key))
        elif get_origin(kind) is tuple and isinstance(value, list):
            for index, inner in enumerate(value):
                yield from required(get_args(kind)[0], inner, (*at, index))
        elif isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(value, Mapping):
            names = {field.serialization_alias: name for name, field in kind.model_fields.items()}
            if value.keys() <= names.keys():
                for key, inner in value.items():
                    field = kind.model_fields[names[key]]
                    yield from [(*at, key)] if field.is_required() else []
                    yield from required(field.annotation, inner, (*at, key))


def written(location: Location) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def without(value: Any, *locations: Location) -> Any:
    left = deepcopy(value)
    for *way, last in locations:
        holder = left
        for part in way:
            holder = holder[part]
        del holder[last]
    return left


def replaced(value: Any, location: Location, new: Any) -> Any:
    changed = deepcopy(value)
    holder = changed
    for part in location[:-1]:
        holder = holder[part]
    holder[location[-1]] = new
    return changed


def baseline_problems(value: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_baseline(value)
    return str(caught.value).splitlines()


def flow_problems(value: Any) -> list[str]:
    """What is wrong with a flow's config in the eyes of its plan."""
    loaded = read_flow(value, "dev")
    assert loaded.config is not None
    with pytest.raises(ConfigError) as caught:
        make_plan(
            Topology.model_validate(TOPOLOGY), loaded.config, live(), stack=STACK, problems=loaded.problems
        )
    return str(caught.value).splitlines()


REQUIRED_OF_BASELINES = list(required(BaselineConfig, BASELINE))
REQUIRED_OF_FLOWS = list(required(FlowConfig, FLOW))


def test_the_samples_are_right_and_hold_every_required_key_there_is() -> None:
    load_baseline(BASELINE)
    load_flow(FLOW, "dev")
    assert sorted({written(location) for location in REQUIRED_OF_BASELINES}) == [
        ".databases.orders.database",
        ".databases.orders.project",
        ".databases.orders.role",
        ".databases.votes.database",
        ".databases.votes.maskingRules[0].column",
        ".databases.votes.maskingRules[0].table",
        ".databases.votes.maskingRules[1].column",
        ".databases.votes.maskingRules[1].table",
        ".databases.votes.migrations.command",
        ".databases.votes.migrations.environment",
        ".databases.votes.migrations.service",
        ".databases.votes.project",
        ".databases.votes.role",
        ".domain",
        ".entries[0].host",
        ".entries[0].service",
        ".entries[1].host",
        ".entries[1].service",
        ".gateway.existing.name",
        ".gateway.existing.namespace",
        ".hooks[0].name",
        ".hooks[0].uses[0].database",
        ".hooks[1].name",
        ".namespace",
        ".services",
        ".services.api.ports[0].port",
        ".services.api.uses[0].database",
        ".services.api.uses[1].store",
        ".services.api.uses[2].database",
        ".services.api.workload.name",
        ".services.mail.ports[0].port",
        ".services.redis.ports[0].port",
        ".services.web.ports[0].port",
        ".services.web.ports[1].port",
    ]
    assert sorted({written(location) for location in REQUIRED_OF_FLOWS}) == [
        ".baseline",
        ".databases.votes.maskingRules[0].column",
        ".databases.votes.maskingRules[0].table",
        ".databases.votes.maskingRules[1].column",
        ".databases.votes.maskingRules[1].table",
        ".databases.votes.migrations.command",
        ".databases.votes.migrations.environment",
        ".databases.votes.migrations.service",
        ".hooks[0].name",
        ".hooks[0].uses[0].database",
        ".hooks[1].name",
    ]


def told(key: str, location: Location) -> str:
    """The one line about a missing key; of what a service uses, two keys can be the missing one."""
    if location[0] == "services" and location[-1] in {"database", "store"}:
        return f"{key}{written(location[:-1])}: exactly one of database and store"
    return f"{key}{written(location)}: required, but missing"


@pytest.mark.parametrize("location", REQUIRED_OF_BASELINES, ids=written)
def test_a_missing_key_of_a_baseline_is_one_problem(location: Location) -> None:
    assert baseline_problems(without(BASELINE, location)) == [told("kardinal:baseline", location)]


@pytest.mark.parametrize("location", REQUIRED_OF_FLOWS, ids=written)
def test_a_missing_key_of_a_flow_is_one_problem_of_its_plan(location: Location) -> None:
    assert flow_problems(without(FLOW, location)) == [told("kardinal:flow", location)]


def test_two_that_lack_the_same_key_are_not_taken_for_each_other() -> None:
    locations: Sequence[Location] = [
        ("entries", 0, "service"),
        ("entries", 0, "host"),
        ("entries", 1, "service"),
        ("entries", 1, "host"),
        ("hooks", 0, "name"),
        ("hooks", 1, "name"),
        ("databases", "votes", "database"),
        ("databases", "votes", "maskingRules", 0, "column"),
        ("databases", "votes", "maskingRules", 1, "column"),
    ]
    expected = sorted(
        f"kardinal:baseline{written(location)}: required, but missing" for location in locations
    )
    assert baseline_problems(without(BASELINE, *locations)) == expected


def test_what_else_is_wrong_is_told_beside_the_missing_key_at_its_own_place() -> None:
    services = {
        "web": {"ports": [{}, {"port": 80}, {"port": 80}], "dependsOn": [1.5, "nobody"]},
        "api": {"prts": [{"port": 80}]},
        "redis": 5,
    }
    value = BASELINE | {
        "services": services,
        "entries": [
            {"host": "a_b.example"},
            {"service": "wep", "host": "a.example"},
            {"service": "api", "host": "b.example"},
        ],
        "databases": {},
        "hooks": [],
    }
    assert baseline_problems(value) == [
        'kardinal:baseline.entries[0].host: in host "a_b.example", "a_b" must consist of a-z, 0-9 and "-",'
        " and start and end with a letter or digit",
        "kardinal:baseline.entries[0].service: required, but missing",
        'kardinal:baseline.entries[1].service: unknown service "wep"; did you mean "web"?',
        'kardinal:baseline.services.api.prts: unknown key; did you mean "ports"?',
        "kardinal:baseline.services.redis: must be a mapping",
        "kardinal:baseline.services.web.dependsOn[0]: must be a string; put it in quotes",
        "kardinal:baseline.services.web.ports[0].port: required, but missing",
    ]


UNREADABLE: list[Location] = [
    ("services", "web"),
    ("services", "web", "ports"),
    ("services", "web", "ports", 0),
    ("services", "web", "ports", 0, "port"),
    ("services", "api", "ports"),
    ("services", "api", "uses"),
    ("services", "api", "uses", 0),
    ("services", "api", "uses", 1),
    ("services", "redis"),
    ("services", "redis", "ports"),
    ("services", "redis", "ports", 0, "port"),
    ("entries", 0),
    ("entries", 0, "service"),
    ("entries", 0, "port"),
    ("databases", "votes"),
    ("databases", "votes", "host"),
    ("databases", "votes", "database"),
    ("databases", "votes", "init"),
    ("databases", "votes", "maskingRules"),
    ("databases", "votes", "maskingRules", 0),
    ("databases", "votes", "migrations"),
    ("databases", "votes", "migrations", "service"),
    ("stores", "redis"),
    ("stores", "redis", "port"),
    ("hooks", 0),
    ("hooks", 0, "uses", 0, "database"),
]


@pytest.mark.parametrize("location", UNREADABLE, ids=written)
def test_a_value_of_the_wrong_kind_is_one_problem(location: Location) -> None:
    [line] = baseline_problems(replaced(BASELINE, location, 1.5))
    assert line.startswith(f"kardinal:baseline{written(location)}: ")
