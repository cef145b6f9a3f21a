"""The lab's containerd: importing images, removing containers."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.locks import exclusive
from lab.settings import Lab, LabError


def import_image(lab: Lab, archive: Path) -> None:
    """Import an image archive of ``build_image``; one that is there already costs nothing.

    Two at once wait for each other.

    Raises:
        LabError: containerd refuses it.
    """
    # One link for each image name: the archive that the name stands for now.
    name = image_of(archive)
    with exclusive(lab.cache / "locks" / f"import-{lab.name}"):
        _link(lab.state / "images" / name, archive)
        # Beside containerd's own records, so that the note is gone when they are.
        imported = lab.state / "containerd" / "imported" / name
        if not (imported.is_symlink() and imported.readlink() == archive):
            _ctr(lab, "images", "import", str(archive))
            _link(imported, archive)


def wanted_images(lab: Lab, required: Sequence[Path]) -> list[Path]:
    """What a starting node imports: what the lab requires, and what users have imported before.

    Args:
        lab: Whose node.
        required: Archives that the lab itself needs; an older archive of the same image gives way to them.
    """
    links = sorted((lab.state / "images").glob("[!.]*"))
    names = {image_of(archive) for archive in required}
    imported = (link.readlink() for link in links if link.name not in names)
    return [*required, *(archive for archive in imported if archive.is_file())]


def image_of(archive: Path) -> str:
    """The image whose archive this is, as ``build_image`` writes it into the file's name."""
    return archive.name.partition("@")[0]


def remove_containers(lab: Lab) -> None:
    """End and remove every container, so that containerd starts clean the next time.

    Raises:
        LabError: containerd does not answer.
    """
    if running := _ctr(lab, "tasks", "list", "-q").split():
        _ctr(lab, "tasks", "delete", "--force", *running, check=False)
    if containers := _ctr(lab, "containers", "list", "-q").split():
        _ctr(lab, "containers", "delete", *containers, check=False)


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    unfinished = link.with_name(f".{link.name}")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(target)
    unfinished.rename(link)


def _ctr(lab: Lab, *arguments: str, check: bool = True) -> str:
    command = ["ctr", "--address", str(lab.containerd_socket), "--namespace", "k8s.io", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise LabError(f"ctr {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
