"""The Pulumi command line, for machines that have none: built from the Go module proxy."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import programs
from lab.downloads import module_files
from lab.gobuild import GoBuilder
from lab.locks import exclusive
from lab.report import Report
from lab.settings import Lab, from_environment


def ensure_pulumi(lab: Lab | None = None, report: Report | None = None) -> Path:
    """The folder to put first on PATH so that ``pulumi`` runs Python programs.

    A ``pulumi`` that is on PATH already is used as it is; otherwise the CLI and the Python language host are
    built.

    Args:
        lab: Whose cache is used; default: the environment's.
        report: Where progress goes.

    Raises:
        LabError: It cannot be built.
    """
    lab = lab or from_environment()
    report = report or Report()
    if (found := _installed_by_user(lab)) is not None:
        return found.parent
    folder = _built(lab, report)
    link, unfinished = _link(lab), _link(lab).with_suffix(".unfinished")
    if not link.is_symlink() or link.readlink() != folder:
        unfinished.unlink(missing_ok=True)
        unfinished.symlink_to(folder)
        unfinished.rename(link)
    return link


def pulumi_folder(lab: Lab) -> Path | None:
    """The folder of the built toolchain, if it was built and the user has no ``pulumi`` of their own."""
    return _link(lab) if _installed_by_user(lab) is None and _link(lab).is_dir() else None


def _link(lab: Lab) -> Path:
    return lab.cache / "toolchain"


def _installed_by_user(lab: Lab) -> Path | None:
    found = shutil.which("pulumi")
    if found is None:
        return None
    # A link of the lab's own on PATH (someone loaded `lab env`) is no installation.
    inside = Path(found).resolve().is_relative_to(lab.cache.resolve())
    return None if inside else Path(found)


def _built(lab: Lab, report: Report) -> Path:
    builder = GoBuilder(lab, report)
    command_line = builder.ensure(programs.PULUMI)
    host = builder.ensure(programs.PULUMI_PYTHON)
    # The host starts these scripts; they belong to the SDK of the command line's version.
    scripts = module_files(
        lab,
        builder,
        programs.PULUMI,
        "github.com/pulumi/pulumi/sdk/v3",
        {"python/cmd/pulumi-language-python-exec": 0o755, "python/dist/pulumi-resource-pulumi-python": 0o755},
    )
    folder = lab.cache / "programs" / f"toolchain-{command_line.name}-{host.name}"
    with exclusive(lab.cache / "locks" / "toolchain"):
        if not folder.is_dir():
            unfinished = folder.with_name("unfinished-toolchain")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            # Hard links: a program looks for its companions beside the file that it really is.
            for source in (command_line / "pulumi", host / "pulumi-language-python", *scripts.iterdir()):
                (unfinished / source.name).hardlink_to(source)
            unfinished.rename(folder)
    return folder
