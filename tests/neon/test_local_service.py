"""The provider process against the local Neon service: real PostgreSQL behind every branch."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kardinal_neon_local.testing.server import KEY, PROJECT, Server
from tests.neon.plugin import Plugin, PluginError, plugin
from tests.neon.relay import Relay, relay_to

pytestmark = pytest.mark.postgres

OURS = {"kardinal-stack": "organization/kardinal/dev", "kardinal-database": "votes"}


def inputs(name: str, **more: Any) -> dict[str, Any]:
    return {
        "project": PROJECT,
        "name": name,
        "parent": "main",
        "database": "votes",
        "role": "votes_owner",
        "ttl": "24h",
        "annotations": OURS,
        **more,
    }


def address(service: Server) -> str:
    return f"http://127.0.0.1:{service.port}"


def names(service: Server) -> list[str]:
    return sorted(branch["name"] for branch in service.get("/branches")["branches"])


def rows(uri: str, statement: str = "SELECT count(*) FROM vote") -> Any:
    with psycopg.connect(uri, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchone()


@pytest.fixture
def provider(service: Server, tmp_path: Path) -> Iterator[Plugin]:
    with plugin(tmp_path, NEON_API_KEY=KEY, NEON_API_HOST=address(service)) as started:
        yield started


def test_a_branch_lives_beside_its_parent_and_leaves_nothing(service: Server, provider: Plugin) -> None:
    wanted = inputs("kardinal/voting/life/votes")
    before = names(service)
    id, outs = provider.create(wanted)
    assert outs["parent_id"] == service.main()
    assert rows(outs["uri"]) == (300,)
    assert rows(outs["pooled_uri"]) == (300,)
    with psycopg.connect(outs["uri"], autocommit=True) as connection:
        connection.execute("DELETE FROM vote")
    assert rows(outs["uri"]) == (0,)
    assert service.sql(service.main(), "SELECT count(*) FROM vote") == [(300,)]

    assert provider.read(id, outs)[1:] == (outs, wanted)
    renamed = {**wanted, "name": "kardinal/voting/other/votes", "ttl": "48h"}
    updated = provider.update(id, outs, renamed)
    assert (updated["uri"], updated["branch_name"]) == (outs["uri"], renamed["name"])
    assert rows(updated["uri"]) == (0,)

    provider.delete(id, updated)
    assert names(service) == before
    provider.delete(id, updated)
    assert provider.read(id, updated)[0] == ""


def test_neither_password_opens_the_other_branch(service: Server, provider: Plugin) -> None:
    parents_uri = service.uri(service.main())
    id, outs = provider.create(inputs("kardinal/voting/passwords/votes"))
    parent = psycopg.conninfo.conninfo_to_dict(parents_uri)
    branch = psycopg.conninfo.conninfo_to_dict(outs["uri"])
    assert (parent["host"], parent["port"]) != (branch["host"], branch["port"])
    for target, other in ((parent, branch), (branch, parent)):
        wrong: dict[str, Any] = {**target, "password": other["password"]}
        with pytest.raises(psycopg.OperationalError, match=r"password authentication failed"):
            psycopg.connect(**wrong)
    assert rows(parents_uri) == (300,)
    provider.delete(id, outs)


def test_a_branch_of_a_protected_parent_has_passwords_already(service: Server, provider: Plugin) -> None:
    guarded = service.branch("guarded", protected=True)
    id, outs = provider.create(inputs("kardinal/voting/guarded/votes", parent="guarded"))
    assert outs["uri"] != service.uri(guarded)
    assert rows(outs["uri"]) == (300,)
    provider.delete(id, outs)
    with pytest.raises(PluginError, match=r"guarded.*protected"):
        provider.delete(f"{PROJECT}/{guarded}", {**outs, "branch_id": guarded})
    service.finish(service.call("PATCH", f"/branches/{guarded}", branch={"protected": False}))
    provider.delete(f"{PROJECT}/{guarded}", {**outs, "branch_id": guarded})


def test_children_made_by_hand_are_named_and_own_ones_go_along(service: Server, provider: Plugin) -> None:
    id, outs = provider.create(inputs("kardinal/voting/parent/votes", ttl=None) | {"ttl": None})
    child = service.branch("by-hand", parent_id=outs["branch_id"])
    with pytest.raises(PluginError, match=rf"by-hand.*{child}"):
        provider.delete(id, outs)
    service.finish(service.call("DELETE", f"/branches/{child}"))
    service.branch("our-child", parent_id=outs["branch_id"], annotations=OURS)
    provider.delete(id, {**outs, "delete_children": True})
    assert "our-child" not in names(service)


def test_stacks_that_create_at_the_same_time_all_succeed(service: Server, tmp_path: Path) -> None:
    before = names(service)
    environment: dict[str, Any] = {"NEON_API_KEY": KEY, "NEON_API_HOST": address(service)}

    def life(stack: int) -> list[str]:
        directory = tmp_path / f"stack-{stack}"
        directory.mkdir()
        with plugin(directory, **environment) as provider, ThreadPoolExecutor(2) as threads:
            wanted = [inputs(f"kardinal/voting/burst-{stack}-{n}/votes") for n in range(2)]
            made = list(threads.map(provider.create, wanted))
            uris = [outs["uri"] for _, outs in made]
            assert [rows(uri) for uri in uris] == [(300,)] * 2
            list(threads.map(provider.delete, *zip(*made, strict=True)))
            return uris

    with ThreadPoolExecutor(3) as stacks:
        uris = [uri for made in stacks.map(life, range(3)) for uri in made]
    assert len(set(uris)) == 6
    assert names(service) == before


def test_a_killed_create_is_completed_by_the_next(service: Server, tmp_path: Path) -> None:
    before = names(service)
    with relay_to(address(service)) as relay:
        environment: dict[str, Any] = {"NEON_API_KEY": KEY, "NEON_API_HOST": relay.url}
        with plugin(tmp_path, **environment) as whole:
            id, outs = whole.create(inputs("kardinal/voting/count/votes"))
            calls = list(relay.requests)
            whole.delete(id, outs)
        assert sum(call.startswith("POST ") for call in calls) == 2
        # By what is called and not by its number: how often an operation is asked for is a matter of time.
        writes = [("POST ", count, moment) for count in (1, 2) for moment in ("before", "after")]
        for number, (text, count, moment) in enumerate([*writes, ("/connection_uri", 1, "after")]):
            relay.requests.clear()
            name = f"kardinal/voting/killed-{number}/votes"
            with plugin(tmp_path, **environment) as victim:

                def kill(
                    n: int,
                    m: str,
                    text: str = text,
                    at: tuple[int, str] = (count, moment),
                    victim: Plugin = victim,
                ) -> None:
                    if (_calls(relay, n, text), m) == at and text in relay.requests[n - 1]:
                        victim.kill()

                relay.cut_in = kill
                with pytest.raises(PluginError):
                    victim.create(inputs(name))
            relay.cut_in = lambda number, moment: None
            with plugin(tmp_path, **environment) as heir:
                id, outs = heir.create(inputs(name))
                assert names(service) == sorted([*before, name])
                assert rows(outs["uri"]) == (300,)
                assert outs["adopted"] is True
                heir.delete(id, outs)
            assert names(service) == before


def _calls(relay: Relay, number: int, text: str) -> int:
    """How many of the first calls are of this kind."""
    return sum(text in call for call in relay.requests[:number])
