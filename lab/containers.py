"""The lab's containerd: importing images, removing containers."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.settings import Lab, LabError


def import_image(lab: Lab, archive: Path) -> None:
    """Import an image archive; one that is there already costs nothing.

    Raises:
        LabError: containerd refuses it.
    """
    marks = lab.state / "images"
    marks.mkdir(parents=True, exist_ok=True)
    mark = marks / archive.name
    if mark.exists():
        return
    _ctr(lab, "images", "import", str(archive))
    mark.symlink_to(archive)


def imported_archives(lab: Lab) -> list[Path]:
    """Archives imported so far that still exist, to import them again into an empty containerd."""
    marks = sorted((lab.state / "images").glob("*"))
    return [archive for mark in marks if (archive := mark.readlink()).is_file()]


def remove_containers(lab: Lab) -> None:
    """End and remove every container, so that containerd starts clean the next time."""
    if running := _ctr(lab, "tasks", "list", "-q").split():
        _ctr(lab, "tasks", "delete", "--force", *running, check=False)
    if containers := _ctr(lab, "containers", "list", "-q").split():
        _ctr(lab, "containers", "delete", *containers, check=False)


def _ctr(lab: Lab, *arguments: str, check: bool = True) -> str:
    command = ["ctr", "--address", str(lab.containerd_socket), "--namespace", "k8s.io", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise LabError(f"ctr {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
