"""The local Neon-compatible service, on the machine's end of the link so that pods reach its databases."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path

from lab.configuration import pki, secret
from lab.processes import Processes
from lab.report import Report
from lab.settings import Lab

NAME = "neon"
PROJECT = "kardinal-demo"
KEY = "neon-api-key"


def start_neon(lab: Lab, processes: Processes, report: Report) -> None:
    """Start the service unless it runs, and wait until it is healthy. Its data outlives it.

    Raises:
        LabError: It does not become healthy.
    """
    secret(lab, KEY)
    command = [
        *(sys.executable, "-m", "kardinal_neon_local", "serve", "--host", lab.host_address, "--port", "9095"),
        *("--data-dir", str(neon_data(lab)), "--project", PROJECT, "--api-key-file", str(pki(lab) / KEY)),
        *("--database", "votes", "--role", "votes_owner"),
    ]
    with report.working(NAME, "local Neon service"):
        processes.start(NAME, command, inside=None)
        processes.wait(NAME, lambda: _healthy(lab), "the local Neon service", 120)


def neon_data(lab: Lab) -> Path:
    """Folder of the service's databases."""
    return lab.state / "neon"


def neon_environment(lab: Lab) -> dict[str, str]:
    """Variables by which programs find the service."""
    return {"NEON_API_HOST": lab.neon_url, "NEON_API_KEY": secret(lab, KEY)}


def _healthy(lab: Lab) -> bool:
    # The service is near: a proxy that the environment names must not be asked.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = lab.neon_url.removesuffix("/api/v2") + "/healthz"
    with direct.open(url, timeout=2) as answer:
        return bool(answer.status == 200)
