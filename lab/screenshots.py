"""Pictures of pages, taken by headless Chromium (Debian's package `chromium`).

python -m lab.screenshots http://voting.localhost:8080/ production.png
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.debian import ensure_packages
from lab.report import Report
from lab.settings import Lab, LabError, from_environment

PACKAGES = ("chromium", "fonts-liberation")
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
CAPTURE_SECONDS = 60
SETTLE_MILLISECONDS = 2000  # virtual time: it passes as fast as the page has nothing to do


def ensure_chromium(lab: Lab | None = None, report: Report | None = None) -> None:
    """Installs Chromium unless there is a browser of its family on PATH.

    Args:
        lab: Whose locks are used; default: the environment's.
        report: Where progress goes.

    Raises:
        LabError: It cannot be installed.
    """
    if _chromium() is None:
        ensure_packages(lab or from_environment(), report or Report(), PACKAGES)


def capture(
    url: str,
    path: Path | str,
    *,
    size: tuple[int, int] = (1200, 800),
    resolve: dict[str, str] | None = None,
) -> Path:
    """Takes a picture of a page.

    Names under `.localhost` are this machine's loopback to Chromium without any set-up.

    Args:
        url: The page.
        path: Where the PNG goes; its folder is made.
        size: Width and height of the window in pixels.
        resolve: Host name (a leading `*.` stands for all below it) -> the address to use instead of DNS.

    Returns:
        The absolute path of the picture.

    Raises:
        LabError: Chromium is missing, or the page could not be loaded.
    """
    program = _chromium()
    if program is None:
        raise LabError(f"no Chromium on PATH; on Debian: apt-get install {' '.join(PACKAGES)}")
    target = Path(path).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="lab-chromium-", ignore_cleanup_errors=True) as profile:
        command = [
            program,
            "--headless",
            "--no-sandbox",  # the lab runs as root, where Chromium's sandbox cannot start
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            f"--window-size={size[0]},{size[1]}",
            f"--virtual-time-budget={SETTLE_MILLISECONDS}",
            f"--screenshot={target}",
        ]
        if resolve:
            rules = ", ".join(f"MAP {host} {address}" for host, address in resolve.items())
            command.append(f"--host-resolver-rules={rules}")
        try:
            run = subprocess.run(
                [*command, url], capture_output=True, text=True, timeout=CAPTURE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{url}: no picture after {CAPTURE_SECONDS} s") from error
    if run.returncode != 0 or not target.exists():
        # Chromium's exit code is 0 even then, and its output is long.
        reason = re.search(r"Page load failed: (\S+)", run.stderr)
        raise LabError(f"{url}: {reason[1] if reason else run.stderr.strip()[-2000:]}")
    return target


def _chromium() -> str | None:
    return next((found for program in PROGRAMS if (found := shutil.which(program))), None)


def main() -> None:
    """Takes one picture: `python -m lab.screenshots URL PATH`."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m lab.screenshots URL PATH")
    try:
        ensure_chromium()
        print(capture(sys.argv[1], sys.argv[2]))
    except LabError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
