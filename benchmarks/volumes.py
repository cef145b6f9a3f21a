"""File systems to measure on: loop images that exist for one run, and the machine's own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

MAKE = {"btrfs": ["mkfs.btrfs", "--quiet"], "reflink": ["mkfs.xfs", "-q", "-m", "reflink=1"]}
"""Program that makes the file system of a rung; `copy` uses the machine's own."""


@contextlib.contextmanager
def volume(rung: str, size: int, under: Path) -> Iterator[Path]:
    """A directory on a file system of its own.

    Args:
        rung: `btrfs`, `reflink` (XFS) or `copy` (whatever `under` is on).
        size: Bytes of the image, which is sparse.
        under: Where the image is made.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", dir=under) as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        place = folder / "volume"
        place.mkdir()
        if rung not in MAKE:
            yield place
            return
        image = folder / "image"
        with image.open("wb") as file:
            file.truncate(size)
        subprocess.run([*MAKE[rung], str(image)], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
        try:
            place.chmod(0o755)
            yield place
        finally:
            subprocess.run(["umount", str(place)], check=True)


def used(place: Path, rung: str) -> int:
    """Bytes in use below a directory.

    Blocks that files share count once, which only the file system knows; on the machine's own, where others
    write, too, the files are counted.

    Args:
        place: A directory that `volume` gave.
        rung: Its rung.
    """
    os.sync()
    if rung in MAKE:
        state = os.statvfs(place)
        return (state.f_blocks - state.f_bfree) * state.f_frsize
    total = 0
    for folder, _, files in os.walk(place):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(folder) / name).lstat().st_blocks * 512
    return total
