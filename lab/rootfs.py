"""Debian root file systems for images, made once for each list of packages."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.debian import ensure_lists, ensure_packages
from lab.locks import exclusive
from lab.report import Report
from lab.settings import Lab, LabError

SUITE = "bookworm"
# Documentation and translations are of no use in a container; dpkg leaves them out while it unpacks.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
# mmdebstrap's "extract" runs no package scripts, which would have made these files.
_ACCOUNTS = (
    "root:x:0:0:root:/root:/bin/sh\n"
    "app:x:1000:1000:app:/tmp:/usr/sbin/nologin\n"
    "istio-proxy:x:1337:1337:istio-proxy:/var/lib/istio:/usr/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
)
_GROUPS = "root:x:0:\napp:x:1000:\nistio-proxy:x:1337:\nnogroup:x:65534:\n"
_MADE = "1577836800"


def debian_root(lab: Lab, report: Report, packages: Sequence[str]) -> Path:
    """A tar of a Debian root file system with these packages and what they depend on.

    Package scripts are not run: there is no cache of shared libraries (the loader does without), no user
    made by a package, and no "alternatives" link; ``files`` of ``build_image`` can add what is needed.

    Raises:
        LabError: mmdebstrap cannot make it.
    """
    recipe = "\n".join([SUITE, *sorted(packages), *_LEFT_OUT, _ACCOUNTS, _GROUPS])
    folder = lab.cache / "rootfs"
    target = folder / f"{SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.tar"
    if target.is_file():
        return target
    with exclusive(
        lab.cache / "locks" / "rootfs", lambda: report.line("images", "waiting for another root file system")
    ):
        if not target.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            ensure_packages(lab, report, ["mmdebstrap"])
            with report.working("images", f"Debian root file system with {' '.join(sorted(packages))}"):
                ensure_lists(report)
                _make(target, packages)
    return target


def _make(target: Path, packages: Sequence[str]) -> None:
    unfinished = target.with_suffix(".unfinished.tar")
    command = [
        *("mmdebstrap", "--quiet", "--variant=extract", f"--include={','.join(sorted(packages))}"),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        f"--customize-hook=printf %s '{_ACCOUNTS}' > \"$1/etc/passwd\"",
        f"--customize-hook=printf %s '{_GROUPS}' > \"$1/etc/group\"",
        *(SUITE, str(unfinished)),
    ]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _MADE}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        unfinished.unlink(missing_ok=True)
        raise LabError(f"mmdebstrap failed:\n{done.stderr[-2000:]}")
    unfinished.rename(target)
