"""Keys, passwords and URIs stay out of everything that is written, logged or shown."""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from kardinal_infra.databases.neon import provider
from kardinal_infra.databases.neon.client import NeonClient
from kardinal_infra.databases.neon.clock import Clock
from kardinal_infra.databases.neon.provider import NeonBranchProvider
from kardinal_infra.databases.neon.settings import NeonSettings
from kardinal_neon_local.testing.server import KEY, PROJECT, Server
from lab.demo_project import Project
from tests.engine import engine_project, everything_stored, write
from tests.neon.fake import KEY as NEON_KEY
from tests.neon.fake import PARENT_PASSWORD, FakeNeon, Request, error
from tests.neon.faults.engine import configured
from tests.neon.faults.injector import Injector
from tests.neon.plugin import PluginError, plugin
from tests.neon.ring import INPUTS
from tests.neon.served import served

WRONG_KEY = "napi_wrong_0123456789"
REQUEST: dict[str, Any] = {
    **INPUTS,
    "project": PROJECT,
    "name": "kardinal/shop/secrets/votes",
    "roles": ["reader"],
    "databases": {"log": "reader"},
}


@pytest.fixture
def watched(service: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Injector]:
    """A transport that remembers every secret that goes through it."""
    injector = Injector(lambda: "")
    monkeypatch.setenv("NEON_API_KEY", KEY)
    monkeypatch.setenv("NEON_API_HOST", f"http://127.0.0.1:{service.port}")

    def connect(settings: NeonSettings, *, clock: Clock) -> NeonClient:
        return NeonClient(settings, clock=clock, transport=injector)

    monkeypatch.setattr(provider, "NeonClient", connect)
    yield injector
    injector.shut()


@pytest.mark.postgres
def test_no_log_and_no_object_of_the_client_shows_a_secret(
    watched: Injector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    kept: list[Any] = [configured(NeonBranchProvider())]
    branch = kept[0]
    made = branch.create(REQUEST)
    outs = made.outs or {}
    kept += [branch.read(made.id, outs), branch.update(made.id, outs, {**REQUEST, "ttl": "48h"})]
    ours = [thing for thing in gc.get_objects() if _is_ours(thing)]
    branch.delete(made.id, outs)

    secrets = {KEY, outs["password"], outs["uri"], outs["role_passwords"]["reader"], *watched.secrets}
    assert len(secrets) >= 4
    kinds = {type(thing).__name__ for thing in ours}
    assert {"NeonSettings", "NeonClient", "NeonHttp", "_Bearer"} <= kinds
    logged = "\n".join([*(record.getMessage() for record in caplog.records), caplog.text])
    assert "connection_uri" in logged
    assert "httpcore" in {record.name.partition(".")[0] for record in caplog.records}
    for secret in secrets:
        assert secret not in logged
        for thing in ours:
            shown = f"{thing!r} {thing!s}"
            assert secret not in shown, type(thing)


def _is_ours(thing: object) -> bool:
    module = str(type(thing).__module__)
    return module.startswith(("kardinal_infra.", "httpx")) and not isinstance(thing, type | Injector)


@pytest.mark.postgres
def test_no_answer_of_the_client_shows_a_secret(service: Server) -> None:
    """Every model that an answer becomes, however it is printed."""
    settings = NeonSettings(SecretStr(KEY), f"http://127.0.0.1:{service.port}/api/v2")
    with NeonClient(settings) as client:
        main = service.main()
        role = client.roles.create(PROJECT, main, "watcher")
        client.operations.wait(role.operations)
        answers: list[Any] = [
            settings,
            client,
            role,
            client.projects.get(PROJECT),
            list(client.branches.list(PROJECT)),
            client.endpoints.list(PROJECT, main),
            client.roles.list(PROJECT, main),
            client.roles.reveal_password(PROJECT, main, "watcher"),
            client.connections.uri(PROJECT, branch_id=main, database="votes", role="watcher"),
        ]
        password = client.roles.reveal_password(PROJECT, main, "watcher").get_secret_value()
        deleted = client.roles.delete(PROJECT, main, "watcher")
        client.operations.wait(deleted.operations if deleted else ())
    assert role.role.password is not None
    assert role.role.password.get_secret_value() == password
    for answer in [*answers, role.model_dump(), role.model_dump_json()]:
        assert password not in f"{answer!r} {answer!s}"
        assert KEY not in f"{answer!r} {answer!s}"


CALLS = ["GET /projects", "branches", "endpoints", "roles", "databases", "reset_password", "connection_uri"]


@pytest.mark.parametrize("part", CALLS)
def test_an_error_with_its_whole_traceback_shows_no_secret(tmp_path: Path, part: str) -> None:
    """The server itself talks too much, and the user asked for tracebacks."""
    neon = FakeNeon()
    uri = f"postgresql://votes_owner:{PARENT_PASSWORD}@ep-main.eu-1.test/votes"

    def talkative(request: Request, number: int, moment: str) -> Any:
        told = f"no: {uri} for {request.headers['authorization']}"
        return error(400, told) if moment == "after" and part in str(request) else None

    neon.fault = talkative
    with served(neon) as host:
        variables = {"NEON_API_KEY": NEON_KEY, "NEON_API_HOST": host, "KARDINAL_TRACEBACK": "1"}
        with plugin(tmp_path, None, **variables) as process, pytest.raises(PluginError) as caught:
            process.create(INPUTS)
        log = (tmp_path / "plugin.log").read_text()
    shown = f"{caught.value} {log}"
    assert "Traceback" in shown
    assert "***" in shown
    for secret in (NEON_KEY, PARENT_PASSWORD, *neon.passwords.values()):
        assert secret not in shown


PROGRAM = """
    import pulumi
    from kardinal_infra import NeonBranch

    branch = NeonBranch("votes", ARGS)
    pulumi.export("uri", branch.uri)
    pulumi.export("pooled", branch.pooled_uri)
    pulumi.export("password", branch.password)
    pulumi.export("roles", branch.role_passwords)
"""

ENGINES_OWN = "arshaling property for RPC["
"""From level 9 on the engine logs every property of every provider, secret ones too: its own doing."""


def wanted(**changes: Any) -> str:
    return PROGRAM.replace("ARGS", repr({**REQUEST, **changes}))


@pytest.mark.engine
@pytest.mark.postgres
def test_neither_state_nor_history_nor_the_engines_verbose_log_holds_a_secret(
    service: Server, tmp_path: Path
) -> None:
    host = f"http://127.0.0.1:{service.port}"
    project = engine_project(tmp_path, wanted(), NEON_API_HOST=host, KARDINAL_TRACEBACK="1")
    project.set_secret("dev", "kardinal:neonApiKey", KEY)
    told = [_verbose(project, "up")]
    secrets = _secrets(project)
    told += [_verbose(project, "refresh")]
    write(tmp_path, wanted(ttl="48h", roles=["reader", "writer"]))
    told += [_verbose(project, "up")]
    secrets |= _secrets(project)
    stored = everything_stored(project)
    write(tmp_path, wanted(name="0/1A"))
    told += [_verbose(project, "up", check=False)]
    project.environment["NEON_API_KEY"] = WRONG_KEY
    told += [_verbose(project, "refresh", check=False)]
    assert "HTTP 401" in told[-1]
    del project.environment["NEON_API_KEY"]
    for command in (["stack", "export"], ["stack", "history", "--json"], ["stack"], ["config"], ["preview"]):
        told.append(project.pulumi(*command, check=False).output)
    told.append(_verbose(project, "destroy"))

    stored += everything_stored(project)
    assert REQUEST["name"] in stored
    assert len(secrets) >= 4
    for secret in {*secrets, KEY, WRONG_KEY}:
        assert secret not in stored
        for text in told:
            shown = [line for line in text.splitlines() if ENGINES_OWN not in line]
            assert not [line.replace(secret, "***") for line in shown if secret in line]


def _verbose(project: Project, command: str, *, check: bool = True) -> str:
    options = ["-v=9", "--logtostderr", "--logflow"]
    return project.pulumi(command, "--yes", "--skip-preview", *options, check=check).output


def _secrets(project: Project) -> set[str]:
    shown = json.loads(project.pulumi("stack", "output", "--json", "--show-secrets").output)
    return {shown["uri"], shown["pooled"], shown["password"], *shown["roles"].values()}
