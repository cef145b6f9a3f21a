"""Debian packages that the lab runs, installed without starting their services."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.locks import exclusive
from lab.report import Report
from lab.settings import Lab, LabError

PACKAGES = (
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "etcd-server",
    "iproute2",
    "iptables",
    "mmdebstrap",
    "openssl",
    "runc",
    "socat",
    "util-linux",
)

_POLICY = Path("/usr/sbin/policy-rc.d")
_NO = "#!/bin/sh\n# Written by the lab for the time of an installation.\nexit 101\n"


def missing_packages(wanted: Sequence[str]) -> list[str]:
    """Those of the wanted packages that are not installed."""
    query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted]
    try:
        listing = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        raise LabError("the lab needs Debian or a system like it: dpkg-query is missing") from None
    installed = {line.split()[0] for line in listing.splitlines() if line.endswith(" installed")}
    return [package for package in wanted if package not in installed]


def ensure_packages(lab: Lab, report: Report, wanted: Sequence[str] = PACKAGES) -> None:
    """Install what is missing; no service of the machine is started or changed.

    Raises:
        LabError: apt-get cannot install them.
    """
    if not missing_packages(wanted):
        return
    with exclusive(
        lab.cache / "locks" / "apt", lambda: report.line("debian", "waiting for another installation")
    ):
        missing = missing_packages(wanted)
        if not missing:
            return
        with report.working("debian", f"install {' '.join(missing)}"), _services_kept_down():
            ensure_lists(report)
            _apt_get("install", "--yes", "--no-install-recommends", *missing)


def ensure_lists(report: Report) -> None:
    """Fetch the lists of packages if the machine has none."""
    if not any(Path("/var/lib/apt/lists").glob("*Packages*")):
        report.line("debian", "apt-get update")
        _apt_get("update")


@contextmanager
def _services_kept_down() -> Iterator[None]:
    # Debian's packages start their services unless this script says no (see invoke-rc.d(8)).
    # One of the lab's own is left over from a killed run.
    if _POLICY.exists() and _POLICY.read_text() != _NO:
        yield
        return
    _POLICY.write_text(_NO)
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def _apt_get(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "--quiet", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
