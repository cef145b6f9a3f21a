"""Container images without a registry: a Debian root file system, files on top, imported into containerd.

``build_image`` is what others use; the result is a docker archive (Docker Image Specification v1.2), the
same bytes for the same input.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lab.locks import exclusive
from lab.report import Report
from lab.rootfs import debian_root
from lab.settings import Lab, LabError, from_environment

# The specification wants a time; one for all keeps the archives reproducible.
_EPOCH = "2020-01-01T00:00:00Z"
_FILE_NAME = str.maketrans("/:", "_=")


@dataclass(frozen=True)
class File:
    """One entry of an image.

    Attributes:
        source: Bytes, or a path on this machine that is read at build time. A folder's path adds its files.
        mode: Permission bits; for a path ``None`` keeps the file's own.
        owner: User and group id.
        link: Target of a symbolic link; then ``source`` is not used.
        folder: An empty folder; then ``source`` is not used.
    """

    source: bytes | Path = b""
    mode: int | None = None
    owner: int = 0
    link: str = ""
    folder: bool = False


@dataclass(frozen=True)
class ImageSpec:
    """What goes into an image; see ``build_image``."""

    name: str
    packages: tuple[str, ...] = ()
    files: Mapping[str, File | Path | bytes | str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    working_folder: str = "/"


def build_image(
    name: str,
    *,
    packages: Sequence[str] = (),
    files: Mapping[str, File | Path | bytes | str] | None = None,
    entrypoint: Sequence[str] = (),
    command: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    user: str = "",
    working_folder: str = "/",
    lab: Lab | None = None,
    report: Report | None = None,
) -> Path:
    """Build an image and keep it in the cache.

    Args:
        name: Reference, for example ``voting-app-ui:v1``; like a pod's ``image: voting-app-ui:v1`` it means
            ``docker.io/library/voting-app-ui:v1``.
        packages: Debian bookworm packages of the root file system; none: an image of ``files`` alone.
        files: Path in the image -> content: bytes, text, a ``Path`` to copy (file or folder), or a ``File``.
        entrypoint: As in a Dockerfile.
        command: As in a Dockerfile.
        environment: Variables.
        user: ``uid`` or ``uid:gid`` in numbers.
        working_folder: Where the program starts.
        lab: Whose cache is used; default: the environment's.
        report: Where progress goes.

    Returns:
        The archive, for ``load_image``.

    Raises:
        LabError: A file is missing or a package cannot be had.
    """
    lab = lab or from_environment()
    report = report or Report()
    spec = ImageSpec(
        name=reference(name),
        packages=tuple(packages),
        files=dict(files or {}),
        entrypoint=tuple(entrypoint),
        command=tuple(command),
        environment=dict(environment or {}),
        user=user,
        working_folder=working_folder,
    )
    layers = [debian_root(lab, report, spec.packages)] if spec.packages else []
    top = files_layer(spec.files)
    folder = lab.cache / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(lab.cache / "locks" / "images"):
        archive = folder / f"{_identity(spec, layers, top)}.tar"
        if not archive.is_file():
            unfinished = archive.with_suffix(".unfinished")
            _write_archive(unfinished, spec, layers, top)
            unfinished.rename(archive)
    return archive


def reference(name: str) -> str:
    """The full reference that containerd stores for a short one, as Kubernetes resolves it.

    Raises:
        LabError: The name has no tag, so Kubernetes would always try to pull it.
    """
    path, _, tag = name.rpartition(":")
    if not path or "/" in tag:
        raise LabError(f"image {name!r}: give it a tag, for example {name}:v1")
    if "/" not in path:
        return f"docker.io/library/{path}:{tag}"
    domain = path.split("/")[0]
    return (
        f"{path}:{tag}"
        if "." in domain or ":" in domain or domain == "localhost"
        else f"docker.io/{path}:{tag}"
    )


def files_layer(files: Mapping[str, File | Path | bytes | str]) -> bytes:
    """A layer with these files: sorted, without times or names of users, so that it is reproducible.

    Raises:
        LabError: A file to copy does not exist.
    """
    entries: dict[str, File] = {}
    for path, content in files.items():
        entries.update(_expand(path, content))
    for path in list(entries):
        for parent in PurePosixPath(path).parents:
            if parent.as_posix() != ".":
                entries.setdefault(parent.as_posix(), File(folder=True))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(entries):
            _add(tar, path, entries[path])
    return buffer.getvalue()


def _expand(path: str, content: File | Path | bytes | str) -> dict[str, File]:
    target = path.lstrip("/")
    file = (
        content
        if isinstance(content, File)
        else File(content.encode() if isinstance(content, str) else content)
    )
    if not isinstance(file.source, Path):
        return {target: file}
    if not file.source.exists():
        raise LabError(f"image file /{target}: {file.source} does not exist")
    if not file.source.is_dir():
        return {target: file}
    found = (
        child
        for child in sorted(file.source.rglob("*"))
        if child.is_file() and "__pycache__" not in child.parts
    )
    return {
        f"{target}/{child.relative_to(file.source).as_posix()}": File(child, file.mode, file.owner)
        for child in found
    }


def _add(tar: tarfile.TarFile, path: str, file: File) -> None:
    entry = tarfile.TarInfo(path)
    entry.uid = entry.gid = file.owner
    if file.link:
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, file.link, 0o777
        tar.addfile(entry)
    elif file.folder:
        entry.type, entry.mode = tarfile.DIRTYPE, file.mode or 0o755
        tar.addfile(entry)
    elif isinstance(file.source, Path):
        entry.size = file.source.stat().st_size
        entry.mode = file.mode or (0o755 if file.source.stat().st_mode & 0o100 else 0o644)
        with file.source.open("rb") as source:
            tar.addfile(entry, source)
    else:
        entry.size, entry.mode = len(file.source), file.mode or 0o644
        tar.addfile(entry, io.BytesIO(file.source))


def _config(spec: ImageSpec, digests: Sequence[str]) -> bytes:
    settings = {
        "Entrypoint": list(spec.entrypoint),
        "Cmd": list(spec.command),
        "Env": [f"{name}={value}" for name, value in _environment(spec).items()],
        "User": spec.user,
        "WorkingDir": spec.working_folder,
    }
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": _EPOCH,
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
    }
    return json.dumps(config, sort_keys=True).encode()


def _environment(spec: ImageSpec) -> dict[str, str]:
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **spec.environment}


def _identity(spec: ImageSpec, layers: Sequence[Path], top: bytes) -> str:
    # A root file system's name already holds the hash of its recipe.
    digest = hashlib.sha256(
        _config(spec, [*(layer.name for layer in layers), hashlib.sha256(top).hexdigest()])
    )
    digest.update(spec.name.encode())
    return f"{spec.name.translate(_FILE_NAME)}@{digest.hexdigest()[:16]}"


def _write_archive(target: Path, spec: ImageSpec, layers: Sequence[Path], top: bytes) -> None:
    blobs: list[Path | bytes] = [*layers, top]
    digests = [_sha256(blob) for blob in blobs]
    config = _config(spec, digests)
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    names = [f"{digest}/layer.tar" for digest in digests]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [spec.name], "Layers": names}]).encode()
    with tarfile.open(target, "w") as tar:
        for name, blob in zip(names, blobs, strict=True):
            _add(tar, name, File(blob, 0o644))
        _add(tar, config_name, File(config))
        _add(tar, "manifest.json", File(manifest))


def _sha256(blob: Path | bytes) -> str:
    if isinstance(blob, bytes):
        return hashlib.sha256(blob).hexdigest()
    with blob.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
