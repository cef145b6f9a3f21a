"""Passwords and keys stay out of the state, its history, and everything that is printed."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.e2e.production import Production

pytestmark = [pytest.mark.lab, pytest.mark.engine]


def test_no_secret_is_stored_or_printed_in_clear(production: Production, standing: str) -> None:
    project, databases = production.project, production.databases
    printed = [
        production.up(standing).output,
        project.pulumi("preview", "--diff", "-s", standing).output,
        project.pulumi("stack", "-s", standing).output,
        project.pulumi("stack", "output", "--json", "-s", standing).output,
        project.pulumi("stack", "history", "-s", standing).output,
        project.kardinal("flow", "ls").output,
        project.kardinal("topology", "--flow", standing, "--format", "json").output,
    ]
    state = Path(project.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    stored = [file for file in state.rglob("*") if file.is_file()]
    settings = list(project.folder.glob("Pulumi.*.yaml"))
    assert any("history" in file.parts for file in stored)
    assert standing in printed[0]

    uris = [databases.uri(name) for name in ("main", production.branch(standing))]
    secrets = {unquote(urlsplit(uri).password or "") for uri in uris} | {databases.key}
    assert "" not in secrets
    for secret in secrets:
        assert not [text[:60] for text in printed if secret in text]
        assert not [file.name for file in [*stored, *settings] if secret.encode() in file.read_bytes()]
