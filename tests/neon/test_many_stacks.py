"""Many stacks in one project at the same time, each with a provider process of its own."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest

from tests.depth import depth
from tests.neon.many_stacks import busy_service, inputs, with_providers

pytestmark = pytest.mark.postgres

STACKS = depth(8, 20)


def test_many_stacks_get_their_branches_at_the_same_time(capsys: pytest.CaptureFixture[str]) -> None:
    with busy_service() as server:
        measured, uris = with_providers(server, STACKS)
        with capsys.disabled():
            print(f"\n{measured}")

        # They got into each other's way, and every one of them got through.
        assert measured.refused > STACKS
        names = sorted(branch["name"] for branch in server.get("/branches")["branches"])
        assert names == sorted(["main", *uris])
        assert sorted(uris) == sorted(inputs(number)["name"] for number in range(STACKS))
        for uri in uris.values():
            with psycopg.connect(uri) as connection:
                assert connection.execute("SELECT current_user").fetchone() == ("votes_owner",)
        everybody = [urlsplit(uri) for uri in [server.uri(server.main()), *uris.values()]]
        assert len({(uri.hostname, uri.port) for uri in everybody}) == STACKS + 1
        assert len({uri.password for uri in everybody}) == STACKS + 1
