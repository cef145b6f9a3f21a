"""Pictures of pages, taken by headless Chromium (Debian's package `chromium`).

python -m lab.screenshots http://voting.localhost:8080/ production.png
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = ("chromium", "fonts-liberation")  # what apt-get has to install
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
CAPTURE_SECONDS = 60
SETTLE_MILLISECONDS = 2000  # virtual time: it passes as fast as the page has nothing to do


class ScreenshotError(Exception):
    """No picture could be taken; the message says why."""


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
        ScreenshotError: Chromium is missing or failed, or the page could not be loaded.
    """
    target = Path(path).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="lab-chromium-", ignore_cleanup_errors=True) as profile:
        command = [
            _chromium(),
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
            raise ScreenshotError(f"{url}: no picture after {CAPTURE_SECONDS} s") from error
    if run.returncode != 0 or not target.exists():
        raise ScreenshotError(f"{url}: Chromium failed\n{run.stderr.strip()[-2000:]}")
    return target


def _chromium() -> str:
    for program in PROGRAMS:
        if found := shutil.which(program):
            return found
    raise ScreenshotError(
        f"no Chromium on PATH; on Debian: apt-get install --no-install-recommends {' '.join(PACKAGES)}"
    )


def main() -> None:
    """Takes one picture: `python -m lab.screenshots URL PATH`."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m lab.screenshots URL PATH")
    try:
        print(capture(sys.argv[1], sys.argv[2]))
    except ScreenshotError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
