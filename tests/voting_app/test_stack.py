"""The production stack's program, over Pulumi's mocks."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks, rpc

from stacks.voting_app import program

SECRET = "postgresql://owner:pa55word@db/votes"


class Cluster(mocks.Mocks):
    """Records what is declared, by Pulumi's name."""

    def __init__(self) -> None:
        self.declared: dict[str, tuple[str, dict[str, Any]]] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.declared[args.name] = (args.typ, args.inputs)
        return args.name, args.inputs

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(f"the program called {args.token}")


def declare(preview: bool = False, **config: object) -> dict[str, tuple[str, dict[str, Any]]]:
    """Runs the program with this configuration and returns what it declared."""
    cluster = Cluster()
    pulumi.runtime.set_mocks(cluster, project="kardinal", stack="voting-app", preview=preview)
    settings = {
        f"kardinal:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in config.items()
    }
    pulumi.runtime.set_all_config(settings, secret_keys=["kardinal:databaseUrl"])
    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    return cluster.declared


@pytest.mark.parametrize("preview", [True, False])
def test_everything_has_an_explicit_name_in_one_namespace(preview: bool) -> None:
    declared = declare(preview, databaseUrl=SECRET, namespace="scratch")

    assert sorted(
        (typ.rsplit(":", 1)[-1], inputs["metadata"]["name"]) for typ, inputs in declared.values()
    ) == [
        ("Deployment", "votes-api"),
        ("Deployment", "voting-app-ui"),
        ("Namespace", "scratch"),
        ("Secret", "votes-database"),
        ("Service", "votes-api"),
        ("Service", "voting-app-ui"),
        ("ServiceAccount", "voting-app"),
    ]
    spaces = {
        inputs["metadata"].get("namespace") for typ, inputs in declared.values() if "Namespace" not in typ
    }
    assert spaces == {"scratch"}


def test_services_select_their_own_pods_and_lead_to_their_port() -> None:
    declared = declare(databaseUrl=SECRET)

    for name in ("votes-api", "voting-app-ui"):
        service = declared[f"{name}-service"][1]["spec"]
        template = declared[name][1]["spec"]["template"]
        [container] = template["spec"]["containers"]
        assert service["selector"].items() <= template["metadata"]["labels"].items()
        assert service["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]
        assert [port["name"] for port in container["ports"]] == ["http"]


def test_the_database_s_address_is_in_the_secret_only() -> None:
    declared = declare(databaseUrl=SECRET)

    assert rpc.unwrap_rpc_secret(declared["database"][1]["stringData"]) == {"DATABASE_URL": SECRET}
    assert rpc.is_rpc_secret(declared["database"][1]["stringData"])
    [container] = declared["votes-api"][1]["spec"]["template"]["spec"]["containers"]
    assert {
        "name": "DATABASE_URL",
        "valueFrom": {"secretKeyRef": {"name": "votes-database", "key": "DATABASE_URL"}},
    } in (container["env"])
    rest = {name: inputs for name, (_, inputs) in declared.items() if name != "database"}
    assert "pa55word" not in json.dumps(rest)


def test_another_database_makes_new_pods() -> None:
    def pods(url: str) -> object:
        return declare(databaseUrl=url)["votes-api"][1]["spec"]["template"]["metadata"]["annotations"]

    assert pods(SECRET) == pods(SECRET)
    assert pods(SECRET) != pods(SECRET + "2")


def test_images_and_votes_can_be_set() -> None:
    declared = declare(databaseUrl=SECRET, images={"ui": "registry/ui:2"}, seedVotes={"Cats": 1, "Dogs": 2})

    [ui] = declared["voting-app-ui"][1]["spec"]["template"]["spec"]["containers"]
    [api] = declared["votes-api"][1]["spec"]["template"]["spec"]["containers"]
    assert (ui["image"], api["image"]) == ("registry/ui:2", "votes-api:1.0")
    assert {"name": "SEED_VOTES", "value": "Cats=1,Dogs=2"} in api["env"]


def test_all_mistakes_are_named_and_nothing_is_declared() -> None:
    with pytest.raises(pulumi.RunError) as refused:
        declare(databaseUrl=SECRET, images={"app": "x"}, seedVotes={"Cats,": 1})

    assert str(refused.value).splitlines() == [
        "kardinal:images.app: unknown, expected ui or api",
        "kardinal:seedVotes.Cats,: an option's name has no comma or equals sign",
    ]


@pytest.mark.parametrize("votes", [["Cats"], {"Cats": "many"}, {"Cats": -1}, {"Cats": True}])
def test_votes_are_numbers(votes: object) -> None:
    with pytest.raises(pulumi.RunError, match="seedVotes: expected a mapping of options to numbers"):
        declare(databaseUrl=SECRET, seedVotes=votes)


def test_the_database_is_required() -> None:
    with pytest.raises(pulumi.ConfigMissingError, match="databaseUrl"):
        declare()
