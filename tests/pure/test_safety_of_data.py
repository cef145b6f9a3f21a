"""Rules about volumes, Secrets and the egress lock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kardinal_infra.forking import DatabaseEnv
from tests.pure.forked import VOTES, case, pod, spec
from tests.pure.judged import DATABASES, cluster, found
from tests.pure.samples import secret_env, service, workload

PARENTS = {
    **DATABASES,
    "users": {"project": "p", "database": "users", "role": "r", "host": "users-db.internal"},
}
USERS = DatabaseEnv("users", "sidecar", {"USERS_URL": "uri"})


def secret_found(
    env: list[Any],
    *,
    keys: tuple[str, ...] = ("DATABASE_URL",),
    uses: tuple[DatabaseEnv, ...] = (VOTES,),
    cluster_with: dict[str, Any] | None = None,
    parents: dict[str, Any] = PARENTS,
    **parts: Any,
) -> list[str]:
    item = workload("web", env=env)
    pod(item)["containers"][0] |= {key: value for key, value in parts.items() if key != "volumes"}
    pod(item)["volumes"] = parts.get("volumes", [])
    snapshot = cluster(**{"secret_keys": {"votes-database": frozenset(keys)}, **(cluster_with or {})})
    return found(case(snapshot, spec(item, databases=uses), databases=parents), "parent-secret")


def config_env(name: str, key: str = "url") -> dict[str, Any]:
    return {"name": name, "valueFrom": {"configMapKeyRef": {"name": "settings", "key": key}}}


def test_parent_secret_by_another_variable_of_the_same_secret() -> None:
    assert secret_found([secret_env("DATABASE_URL")]) == []
    [message] = secret_found([secret_env("DATABASE_URL"), secret_env("PGPASSWORD")])
    assert message.startswith(
        'variable PGPASSWORD of container "web" in the fork of Deployment web still comes'
    )


def test_parent_secret_by_keys_of_envfrom_that_nothing_overrides() -> None:
    source = [{"secretRef": {"name": "votes-database"}}]
    assert secret_found([], envFrom=source) == []
    [message] = secret_found([], keys=("DATABASE_URL", "PGPASSWORD"), envFrom=source)
    assert message.startswith("variable PGPASSWORD")


@pytest.mark.parametrize(
    "volume",
    [
        {"name": "v", "secret": {"secretName": "votes-database"}},
        {"name": "v", "projected": {"sources": [{"secret": {"name": "votes-database"}}]}},
    ],
)
def test_parent_secret_by_a_volume(volume: dict[str, Any]) -> None:
    [message] = secret_found([secret_env("DATABASE_URL")], volumes=[volume])
    assert message.startswith('volume "v"')


def test_parent_secret_by_a_literal_host_which_is_not_shown() -> None:
    literal = {"name": "REPORTS", "value": "postgresql://u:hunter2@votes-db.internal/votes"}
    [message] = secret_found([secret_env("DATABASE_URL"), literal])
    assert message.startswith("variable REPORTS")
    assert "hunter2" not in message


def test_parent_secret_learns_the_host_from_the_baselines_own_variable() -> None:
    env = [
        {"name": "DATABASE_URL", "value": "postgresql://u:p@10.1.2.3:5432/votes"},
        {"name": "COPY", "value": "tcp:10.1.2.3:5432"},
    ]
    [message] = secret_found(env)
    assert message.startswith("variable COPY")


def test_parent_secret_of_one_database_beside_another_that_is_handed_over_by_a_sidecar() -> None:
    users = {"name": "USERS_URL", "valueFrom": {"secretKeyRef": {"name": "users-database", "key": "url"}}}
    kept = {"name": "USERS_COPY", "value": "postgresql://u:p@users-db.internal/users"}
    assert secret_found([secret_env("DATABASE_URL"), users, kept], uses=(VOTES, USERS)) == []
    host = {"name": "REPORTS", "value": "postgresql://u:p@votes-db.internal/votes"}
    env = [secret_env("DATABASE_URL"), users, secret_env("PGPASSWORD"), host]
    messages = secret_found(env, uses=(VOTES, USERS))
    assert [message.partition(" of container")[0] for message in messages] == [
        "variable PGPASSWORD",
        "variable REPORTS",
    ]


def test_parent_secret_kept_for_one_sidecar_alone() -> None:
    both = {"name": "USERS_URL", "valueFrom": {"secretKeyRef": {"name": "votes-database", "key": "users"}}}
    assert secret_found([secret_env("DATABASE_URL"), both], uses=(VOTES, USERS)) == []


def test_parent_secret_by_the_command() -> None:
    url = "--db=postgres://u:hunter2@votes-db.internal/votes"
    for part in ("command", "args"):
        container: dict[str, Any] = {part: ["serve", url]}
        [message] = secret_found([secret_env("DATABASE_URL")], **container)
        assert message == (
            'the command of container "web" in the fork of Deployment web names the host of a branched'
            " database's parent: replace it in `command`"
        )


@pytest.mark.parametrize(
    ("text", "leads"),
    [
        ("postgres://u:p@db/short", True),
        ("postgres://u:p@db:5432/short", True),
        ("host=db port=5432", True),
        ("tcp:db:5432", True),
        ("db.voting-app.svc.cluster.local", True),
        ("db", True),
        ("--db=x", False),
        ("dbname=short", False),
        ("use db", False),
        ("http://users-db:80", False),
        ("db.example.com", False),
    ],
)
def test_parent_secret_by_a_host_of_one_word(text: str, leads: bool) -> None:
    parents = {"votes": {**PARENTS["votes"], "host": "db"}}
    env = [secret_env("DATABASE_URL"), {"name": "OTHER", "value": text}]
    assert bool(secret_found(env, parents=parents)) is leads


def test_another_host_that_ends_or_begins_alike_is_none_of_the_parents() -> None:
    for host in ("my-votes-db.internal", "votes-db.internal-copy"):
        env = [secret_env("DATABASE_URL"), {"name": "OTHER", "value": f"postgres://{host}/x"}]
        assert secret_found(env) == []


def test_parent_secret_by_the_same_key_of_a_config_map() -> None:
    env = [config_env("DATABASE_URL"), config_env("COPY"), config_env("COLOR", "color")]
    [message] = secret_found(env)
    assert message.startswith(
        'variable COPY of container "web" in the fork of Deployment web still comes from'
    )
    assert 'ConfigMap "settings"' in message


def test_parent_secret_by_all_of_a_config_map() -> None:
    source = [{"prefix": "APP_", "configMapRef": {"name": "settings"}}]
    keys = {"config_map_keys": {"settings": frozenset({"url", "color"})}}
    [message] = secret_found([config_env("DATABASE_URL")], envFrom=source, cluster_with=keys)
    assert message.startswith("variable APP_url")
    whole = [{"configMapRef": {"name": "settings"}}]
    keys = {"config_map_keys": {"settings": frozenset({"DATABASE_URL", "color"})}}
    assert secret_found([], envFrom=whole, cluster_with=keys) == []
    [message] = secret_found([config_env("COPY", "DATABASE_URL")], envFrom=whole, cluster_with=keys)
    assert message.startswith("variable COPY")


def test_parent_secret_by_a_volume_of_a_config_map() -> None:
    volume: dict[str, Any] = {"name": "v", "configMap": {"name": "settings"}}
    env = [config_env("DATABASE_URL")]
    keys = {"config_map_keys": {"settings": frozenset({"url", "color"})}}
    [message] = secret_found(env, volumes=[volume], cluster_with=keys)
    assert message.startswith('volume "v"')
    volume["configMap"]["items"] = [{"key": "color", "path": "color"}]
    assert secret_found(env, volumes=[volume], cluster_with=keys) == []


def test_a_secret_beside_the_one_that_the_connection_comes_from_is_not_accused() -> None:
    known = {"votes-database": frozenset({"DATABASE_URL"}), "stripe": frozenset({"STRIPE_KEY"})}
    both = [{"secretRef": {"name": "votes-database"}}, {"secretRef": {"name": "stripe"}}]
    stripe = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "stripe", "key": "STRIPE_KEY"}}}
    assert secret_found([stripe], envFrom=both, cluster_with={"secret_keys": known}) == []
    [message] = secret_found([secret_env("PGPASSWORD")], envFrom=both, cluster_with={"secret_keys": known})
    assert message.startswith("variable PGPASSWORD")


@pytest.mark.parametrize(("part", "accused"), [("port", 0), ("database", 0), ("host", 1), ("uri", 1)])
def test_a_port_that_all_services_get_from_one_config_map_leads_nowhere(part: Any, accused: int) -> None:
    keys = {"config_map_keys": {"settings": frozenset({"VOTES_PART", "LEVEL"})}}
    use = DatabaseEnv("votes", "env", {"VOTES_PART": part, "DATABASE_URL": "uri"})
    web, other = workload("web"), workload("other")
    for item in (web, other):
        pod(item)["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings"}}]
    shown = case(cluster(**keys), spec(web, databases=(use,)))
    [fork] = shown.forks
    beside = replace(fork, service="web", workload={"kind": "Deployment", **other}, databases=())
    assert len(found(replace(shown, forks=(fork, beside)), "parent-secret")) == accused


def test_where_no_secret_may_be_read_the_only_one_is_taken_for_the_parents() -> None:
    unknown = {"secret_keys": None}
    one = [{"secretRef": {"name": "votes-database"}}]
    whole, message = secret_found([secret_env("PGPASSWORD")], envFrom=one, cluster_with=unknown)
    assert message.startswith("variable PGPASSWORD")
    assert whole.startswith('`envFrom` of container "web" in the fork of Deployment web still takes all of')
    assert secret_found([], envFrom=one, cluster_with=unknown) == [whole]
    two = [*one, {"secretRef": {"name": "stripe"}}]
    assert secret_found([secret_env("PGPASSWORD")], envFrom=two, cluster_with=unknown) == []


def test_parent_credential_kept_only_without_the_lock() -> None:
    use = replace(VOTES, handover="sidecar")
    made = spec(workload("web", env=[secret_env("DATABASE_URL")]), databases=(use,))
    shown = case(cluster(), made, databases=DATABASES)
    assert len(found(shown, "parent-credential-kept")) == 1
    assert found(replace(shown, locked=frozenset({"web"})), "parent-credential-kept") == []
    assert found(shown, "parent-secret") == []


@pytest.mark.parametrize(
    ("annotations", "content"),
    [
        ({"traffic.sidecar.istio.io/excludeOutboundPorts": "5432"}, {}),
        ({"traffic.sidecar.istio.io/excludeOutboundIPRanges": "10.0.0.0/8"}, {}),
        ({"traffic.sidecar.istio.io/includeOutboundIPRanges": "10.96.0.0/12"}, {}),
        ({"sidecar.istio.io/interceptionMode": "NONE"}, {}),
        ({"proxy.istio.io/config": "concurrency: 1\ninterceptionMode: NONE\n"}, {}),
        ({"proxy.istio.io/config": '{"interceptionMode": "none"}'}, {}),
        ({"traffic.sidecar.istio.io/includeOutboundIPRanges": ""}, {}),
        ({"traffic.sidecar.istio.io/excludeInterfaces": "eth1"}, {}),
        ({"inject.istio.io/templates": "grpc-agent"}, {}),
        ({}, {"securityContext": {"runAsUser": 1337}}),
    ],
)
def test_lock_bypassed(annotations: dict[str, str], content: dict[str, Any]) -> None:
    item = workload("web")
    item["spec"]["template"]["metadata"]["annotations"] |= annotations
    pod(item).update(content)
    shown = case(cluster(), spec(item, locked=True), locked=frozenset({"web"}))
    assert len(found(shown, "lock-bypassed")) == 1
    assert found(replace(shown, locked=frozenset()), "lock-bypassed") == []


@pytest.mark.parametrize(
    "annotations",
    [
        {"proxy.istio.io/config": "interceptionMode: TPROXY"},
        {"inject.istio.io/templates": "sidecar,own"},
        {"proxy.istio.io/config": "holdApplicationUntilProxyStarts: true"},
        {"proxy.istio.io/config": "- : no {mapping"},
        {"proxy.istio.io/config": "text"},
        {"proxy.istio.io/config": ""},
        {"traffic.sidecar.istio.io/includeOutboundIPRanges": "*"},
        {"traffic.sidecar.istio.io/includeOutboundPorts": "5432"},
        {"traffic.sidecar.istio.io/excludeInboundPorts": "9090"},
    ],
)
def test_annotations_that_leave_no_way_out(annotations: dict[str, str]) -> None:
    item = workload("web")
    item["spec"]["template"]["metadata"]["annotations"] |= annotations
    assert found(case(cluster(), spec(item, locked=True), locked=frozenset({"web"})), "lock-bypassed") == []


def test_a_locked_fork_starts_its_sidecar_before_its_init_containers() -> None:
    item = workload("web")
    pod(item)["initContainers"] = [{"name": "migrate", "image": "m"}]
    locked = case(cluster(), spec(item, locked=True), locked=frozenset({"web"}))
    assert found(locked, "lock-bypassed") == []
    unlocked = case(cluster(), spec(item), locked=frozenset({"web"}))
    assert len(found(unlocked, "lock-bypassed")) == 1


def test_a_secret_of_a_database_that_the_fork_does_not_declare_is_seen_too() -> None:
    user = spec(workload("web", env=[secret_env("DATABASE_URL")]), databases=(VOTES,))
    other_item = workload("page", env=[secret_env("PGPASSWORD")])
    other = replace(spec(other_item), service="page", name="page-dev", container="page")
    shown = case(cluster(), user, databases=DATABASES, others={"page": {}})
    silent = case(cluster(), other, databases=DATABASES, others={"page": {}}).forks[0]
    [message] = found(replace(shown, forks=(*shown.forks, silent)), "parent-secret")
    assert "PGPASSWORD" in message


URL = "postgresql://u:hunter2@votes-db.internal/votes"
UNDECLARED: list[tuple[str, dict[str, Any]]] = [
    ("same Secret", {"env": [secret_env("OTHER")]}),
    ("host", {"env": [{"name": "REPORTING", "value": URL}]}),
    ("command", {"args": ["--database", URL]}),
    ("whole Secret", {"envFrom": [{"secretRef": {"name": "votes-database"}}]}),
]


@pytest.mark.parametrize("container", [item for _, item in UNDECLARED], ids=[name for name, _ in UNDECLARED])
def test_a_service_on_the_way_that_uses_a_branched_database_undeclared(container: dict[str, Any]) -> None:
    reports = workload("reports")
    pod(reports)["containers"][0] |= container
    web = workload("web", env=[secret_env("DATABASE_URL")])
    snapshot = replace(
        cluster(),
        services=[service("web"), service("reports")],
        deployments=[web, reports],
    )
    calls: dict[str, Any] = {
        "databases": DATABASES,
        "others": {"reports": {"ports": [{"port": 80}]}},
    }
    behind = case(snapshot, spec(web, databases=(VOTES,)), declared={"dependsOn": ["reports"]}, **calls)
    [message] = found(behind, "undeclared-database-user")
    assert message.startswith('service "reports" has the credential or names the host')
    assert "hunter2" not in message
    beside = case(snapshot, spec(web, databases=(VOTES,)), **calls)
    assert found(beside, "undeclared-database-user") == []
