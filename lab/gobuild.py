"""Go programs built from the Go module proxy, kept in a cache keyed by content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.downloads import ensure_go
from lab.locks import exclusive
from lab.report import Report
from lab.settings import SOURCES, Lab, LabError

# No DWARF and no symbol table: nobody debugs these programs, and both cost build time.
COMPILER_FLAGS = ("-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false")
LINKER_FLAGS = "-s -w"
# The compiler collects garbage more rarely: it has the memory, and the time is what is short.
ENVIRONMENT = {"CGO_ENABLED": "0", "GOGC": "400", "GOFLAGS": "-mod=readonly"}


@dataclass(frozen=True)
class GoProgram:
    """A program to build.

    Attributes:
        name: File name of the built program.
        module: Folder under ``lab/go`` with ``go.mod`` and ``go.sum``.
        package: What to build, as ``go build`` takes it.
        variables: String variables set by the linker, by full name.
        called: Names under which the program is started, if not its own.
    """

    name: str
    module: str
    package: str
    variables: tuple[tuple[str, str], ...] = ()
    called: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The Go module's folder."""
        return SOURCES / "go" / self.module

    @property
    def linker_flags(self) -> str:
        """The value of ``-ldflags``."""
        return " ".join([LINKER_FLAGS, *(f"-X {name}={value}" for name, value in self.variables)])


def cache_key(program: GoProgram, go_version: str) -> str:
    """Name of the cached build: changes with everything that changes the built program.

    Args:
        program: What is built.
        go_version: As ``go env GOVERSION`` says it.

    Returns:
        Sixteen hexadecimal digits over the module's files, the flags and the compiler's version.
    """
    digest = hashlib.sha256()
    recipe = [go_version, program.package, program.linker_flags, *COMPILER_FLAGS, *program.called]
    recipe += [f"{name}={value}" for name, value in sorted(ENVIRONMENT.items())]
    digest.update(json.dumps(recipe).encode())
    for path in sorted(_inputs(program)):
        digest.update(json.dumps([path.relative_to(program.folder).as_posix(), path.read_text()]).encode())
    return digest.hexdigest()[:16]


def _inputs(program: GoProgram) -> Iterable[Path]:
    yield program.folder / "go.mod"
    yield program.folder / "go.sum"
    if program.package.startswith("./"):
        yield from (program.folder / program.package).glob("*.go")


class GoBuilder:
    """Builds programs one after the other and remembers them in ``cache/programs``."""

    def __init__(self, lab: Lab, report: Report) -> None:
        self.cache = lab.cache
        self.report = report
        self.go = ensure_go(lab, report)
        self._versions: dict[str, str] = {}

    def ensure(self, program: GoProgram) -> Path:
        """The folder with the built program (and links for each name it goes by).

        Raises:
            LabError: The build failed.
        """
        installed = self.installed(program)
        if installed.is_dir():
            return installed
        waiting = f"waiting for another build of {program.name}"
        with exclusive(
            self.cache / "locks" / f"go-{program.module}", lambda: self.report.line(program.name, waiting)
        ):
            if not installed.is_dir():
                self._build(program, installed)
        return installed

    def installed(self, program: GoProgram) -> Path:
        """Where the built program is or will be."""
        return self.cache / "programs" / f"{program.name}-{cache_key(program, self._go_version(program))}"

    def fetch_sources(self, program: GoProgram) -> list[str]:
        """Download what the program needs; the import paths of all its packages."""
        listing = self._go(program, "list", "-deps", program.package)
        return listing.split()

    def module_folder(self, program: GoProgram, module: str) -> Path:
        """Folder in Go's module cache of one dependency."""
        self._go(program, "mod", "download", module)
        return Path(self._go(program, "list", "-m", "-f", "{{.Dir}}", module).strip())

    def _build(self, program: GoProgram, installed: Path) -> None:
        with self.report.working(program.name, "build from source"):
            total = len(self.fetch_sources(program))
            # A killed build leaves its folder behind; the lock says that nobody uses it now.
            unfinished = installed.with_name(f"unfinished-{program.name}")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            command = [
                *("setpriv", "--pdeathsig", "TERM", str(self.go), "build", "-v", *COMPILER_FLAGS),
                *("-ldflags", program.linker_flags),
                *("-o", str(unfinished / program.name), program.package),
            ]
            self._run_build(program, command, total)
            for name in program.called:
                (unfinished / name).symlink_to(program.name)
            unfinished.rename(installed)

    def _run_build(self, program: GoProgram, command: list[str], total: int) -> None:
        output: list[str] = []
        with subprocess.Popen(
            command, cwd=program.folder, env=_environment(), stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr
            for number, line in enumerate(process.stderr, 1):
                output.append(line)
                self.report.progress(program.name, f"compiled {number} of at most {total} packages")
        if process.returncode:
            raise LabError(f"building {program.name} failed:\n" + "".join(output[-20:]))

    def _go_version(self, program: GoProgram) -> str:
        if program.module not in self._versions:
            self._versions[program.module] = self._go(program, "env", "GOVERSION").strip()
        return self._versions[program.module]

    def _go(self, program: GoProgram, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.go), *arguments],
            cwd=program.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LabError(
                f"go {' '.join(arguments)} (in lab/go/{program.module}) failed:\n{done.stderr[-2000:]}"
            )
        return done.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, **ENVIRONMENT}
