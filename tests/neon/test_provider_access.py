"""Key, host, error texts and killed provider processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic import Config, ConfigureRequest

from kardinal_infra.databases.neon.clock import Clock
from kardinal_infra.databases.neon.errors import NeonAuthError
from kardinal_infra.databases.neon.provider import NeonBranchProvider
from tests.neon.fake import KEY, MAIN, PARENT_PASSWORD, FakeNeon, error
from tests.neon.plugin import Plugin, PluginError, plugin, secret
from tests.neon.ring import INPUTS, Ring, changes
from tests.neon.served import served

# Key and host.


def test_a_preview_works_without_a_key_and_an_update_says_what_to_set(tmp_path: Path) -> None:
    neon = FakeNeon()
    with served(neon) as host, plugin(tmp_path, NEON_API_HOST=host) as started:
        assert started.check(INPUTS)[1] == []
        olds = {**INPUTS, "endpoint_id": "ep-1", "uri": "x"}
        assert not changes(started.diff("p/b", olds, INPUTS))
        with pytest.raises(PluginError) as caught:
            started.create(INPUTS)
    assert "set NEON_API_KEY or `pulumi config set --secret kardinal:neonApiKey`" in str(caught.value)
    assert "\n" not in str(caught.value).strip()
    assert neon.requests == []


def test_key_and_host_come_from_configuration_unless_the_environment_has_them(tmp_path: Path) -> None:
    neon = FakeNeon()
    with served(neon) as host:
        config = {"kardinal:neonApiKey": secret(KEY), "kardinal:neonApiHost": host}
        with plugin(tmp_path, config) as started:
            started.create(INPUTS)
        stale = {"kardinal:neonApiKey": secret("rotated-away"), "kardinal:neonApiHost": "http://127.0.0.1:1"}
        with plugin(tmp_path, stale, NEON_API_KEY=KEY, NEON_API_HOST=f"{host}/api/v2/") as started:
            started.create({**INPUTS, "name": "second"})
        with plugin(tmp_path, {"mine:neonApiKey": KEY}, PULUMI_PROJECT="mine", NEON_API_HOST=host) as started:
            started.create({**INPUTS, "name": "third"})
    assert len(neon.branches) == 4


def test_a_wrong_key_is_one_line_that_does_not_show_it(tmp_path: Path) -> None:
    with (
        served(FakeNeon()) as host,
        plugin(tmp_path, NEON_API_KEY="wrong-key-1234", NEON_API_HOST=host) as started,
        pytest.raises(PluginError) as caught,
    ):
        started.create(INPUTS)
    text = str(caught.value).strip()
    assert text.startswith(f"{NeonAuthError.__module__}.NeonAuthError: Neon GET /projects/voting: HTTP 401")
    assert "\n" not in text
    assert "wrong-key-1234" not in text + (tmp_path / "plugin.log").read_text()


def test_every_failure_is_one_line_even_when_it_comes_from_another(ring: Ring) -> None:
    ring.neon.add_branch(INPUTS["name"], parent=MAIN, annotations={"kardinal-stack": "organization/x/y"})
    with pytest.raises(PluginError, match=r"OwnershipError: .*belongs to stack organization/x/y") as caught:
        ring.plugin.create(INPUTS)
    assert "\n" not in str(caught.value).strip()
    ring.neon.fault = lambda request, number, moment: (
        error(409, "exists") if request.method == "POST" else None
    )
    with pytest.raises(PluginError) as caught:
        ring.plugin.create({**INPUTS, "name": "other"})
    assert "\n" not in str(caught.value).strip()


def test_tracebacks_can_be_had(tmp_path: Path) -> None:
    with plugin(tmp_path, KARDINAL_TRACEBACK="1") as started, pytest.raises(PluginError) as caught:
        started.create(INPUTS)
    assert "Traceback" in str(caught.value)
    assert "provider.py" in str(caught.value)


def test_a_host_that_nobody_answers_at_is_named(tmp_path: Path) -> None:
    provider = NeonBranchProvider()
    seconds = [0.0]
    provider.clock = Clock(
        monotonic=lambda: seconds[0], sleep=lambda pause: seconds.__setitem__(0, seconds[0] + pause)
    )
    config = {"kardinal:neonApiKey": KEY, "kardinal:neonApiHost": "http://127.0.0.1:1"}
    provider.configure(ConfigureRequest(Config(config, "kardinal")))
    with pytest.raises(Exception, match=r"no connection to http://127.0.0.1:1/api/v2"):
        provider.create(dict(INPUTS))


# Killed processes.


def test_a_provider_killed_at_any_call_leaves_what_the_next_one_completes(tmp_path: Path) -> None:
    neon = FakeNeon()
    with served(neon) as host:
        environment: dict[str, Any] = {"NEON_API_KEY": KEY, "NEON_API_HOST": host}
        kill_at = (0, "")
        victim: Plugin | None = None

        def fault(request: Any, number: int, moment: str) -> None:
            if victim and (number, moment) == kill_at:
                victim.kill()

        neon.fault = fault
        # The one that completes has served others before, as the engine's does.
        with plugin(tmp_path, **environment) as next_one:
            next_one.create(INPUTS)
            calls = len(neon.requests)
            assert calls > 10
            for number in range(1, calls + 1, 4):
                moment = "before" if number % 2 else "after"
                neon.reset()
                neon.fault = fault
                kill_at = (number, moment)
                with plugin(tmp_path, **environment) as victim, pytest.raises(PluginError):
                    victim.create(INPUTS)
                victim = None
                id, outs = next_one.create(INPUTS)
                assert [branch["id"] for branch in neon.named(INPUTS["name"])] == [outs["branch_id"]]
                assert outs["password"] == neon.passwords[outs["branch_id"], "votes_owner"]
                assert outs["password"] != PARENT_PASSWORD
                next_one.delete(id, outs)
                assert list(neon.branches) == [MAIN]
