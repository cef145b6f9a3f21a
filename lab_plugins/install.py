"""Which kubernetes and command plugins Pulumi uses: the official ones, or the stand-ins of this package.

Run as `python -m lab_plugins.install BIN_DIR`.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

_PACKAGES = {"kubernetes": "pulumi-kubernetes", "command": "pulumi-command"}
# A download that has not begun to arrive by then will not come on this machine.
_DOWNLOAD_SECONDS = 60
_CLI_SECONDS = 120
# Stands in every launcher, so that a stand-in is told from an official plugin; no path, which may change.
_MARK = "# Stand-in for the official plugin"


class PluginError(Exception):
    """A plugin can be neither found nor installed; the text says what the Pulumi command line answered."""


def ensure_plugins(
    bin_dir: Path | str, cache: Path | str | None = None, home: Path | str | None = None
) -> list[str]:
    """Make sure that Pulumi finds both plugins; return one line for each that says which one is in use.

    An official plugin that is installed (in the home, in the user's own home, or on PATH) is used as it is.
    Otherwise the command line is asked to download it, once a day: a failure is remembered in the cache.
    Otherwise the stand-in is installed into the home, as Pulumi installs any plugin, so that nothing on PATH
    is needed; but not into the user's own home, where every other project would take it for the official one.

    Args:
        bin_dir: the folder of the `pulumi` executable; empty for the one on PATH.
        cache: where failed downloads are remembered; default: `kardinal-plugins` in the user's cache folder.
        home: the PULUMI_HOME to install into; default: `~/.pulumi`, into which no stand-in goes.

    Raises:
        PluginError: the Pulumi command line is missing or refuses the stand-in, or a plugin cannot be had
            without one.
    """
    cli = _command_line(bin_dir, home)
    folder = (
        Path(cache)
        if cache
        else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kardinal-plugins"
    )
    packages = {name: version(package) for name, package in _PACKAGES.items()}
    return [_ensure(cli, name, wanted, folder, stand_in=bool(home)) for name, wanted in packages.items()]


def install_stand_ins(bin_dir: Path | str, home: Path | str) -> None:
    """Install both stand-ins into a PULUMI_HOME, whatever else could be had: for the tests of the stand-ins.

    Args:
        bin_dir: the folder of the `pulumi` executable; empty for the one on PATH.
        home: the PULUMI_HOME to install into.

    Raises:
        PluginError: the Pulumi command line is missing or refuses them.
    """
    cli = _command_line(bin_dir, home)
    for name, package in _PACKAGES.items():
        _install_stand_in(cli, name, version(package))


def _command_line(bin_dir: Path | str, home: Path | str | None) -> _CommandLine:
    found = shutil.which("pulumi", path=f"{bin_dir}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise PluginError(f"no `pulumi` in {bin_dir} nor on PATH")
    return _CommandLine(Path(found), Path(home) if home else _user_home())


class _CommandLine:
    """The `pulumi` executable."""

    def __init__(self, executable: Path, home: Path) -> None:
        self._executable = executable
        self._home = home

    def run(self, *arguments: str, seconds: int = _CLI_SECONDS) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PULUMI_HOME": str(self._home), "PULUMI_SKIP_UPDATE_CHECK": "true"}
        # Not in a project's folder: the command line would read its Pulumi.yaml.
        with tempfile.TemporaryDirectory() as nowhere:
            return subprocess.run(
                [str(self._executable), *arguments, "--non-interactive"],
                check=False,
                capture_output=True,
                text=True,
                timeout=seconds,
                env=environment,
                cwd=nowhere,
            )

    def installed(self, name: str, wanted: str) -> Path | None:
        """Return the executable of an installed plugin, if this version of it is installed."""
        answer = self.run("plugin", "ls", "--json")
        if answer.returncode != 0:
            raise PluginError(f"`pulumi plugin ls` failed: {answer.stderr.strip()}")
        if not any(
            entry["name"] == name and entry["version"] == wanted
            for entry in json.loads(answer.stdout or "[]")
        ):
            return None
        return _executable(self._home, name, wanted)

    def install(self, name: str, wanted: str, folder: Path) -> None:
        """Install a plugin from a folder."""
        answer = self.run(
            "plugin", "install", "resource", name, f"v{wanted}", "--file", str(folder), "--reinstall"
        )
        if answer.returncode != 0:
            raise PluginError(f"the plugin {name} in {folder} cannot be installed: {answer.stderr.strip()}")


def _ensure(cli: _CommandLine, name: str, wanted: str, cache: Path, *, stand_in: bool) -> str:
    installed = cli.installed(name, wanted)
    if installed and not _is_stand_in(installed):
        return f"plugin {name} {wanted}: the official one, {installed}"
    users = _executable(_user_home(), name, wanted)
    if not _is_stand_in(users):
        cli.install(name, wanted, users.parent)
        return f"plugin {name} {wanted}: the official one, from {users.parent}"
    on_path = shutil.which(f"pulumi-resource-{name}")
    if on_path and not _is_stand_in(Path(on_path)):
        return f"plugin {name}: the official one on PATH, {on_path}"
    if _download(cli, name, wanted, cache):
        return f"plugin {name} {wanted}: the official one, downloaded"
    if not stand_in:
        raise PluginError(
            f"plugin {name} {wanted} is not installed and cannot be downloaded; to work with the stand-in of"
            " this project, set PULUMI_HOME to a folder other than your own ~/.pulumi"
        )
    if installed is None or installed.read_text(encoding="utf-8") != _launcher(name):
        _install_stand_in(cli, name, wanted)
    return (
        f"plugin {name} {wanted}: the stand-in of this project (the official one cannot be downloaded here)"
    )


def _user_home() -> Path:
    return Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")


def _executable(home: Path, name: str, wanted: str) -> Path:
    return home / "plugins" / f"resource-{name}-v{wanted}" / f"pulumi-resource-{name}"


def _is_stand_in(executable: Path) -> bool:
    try:
        with executable.open("rb") as file:
            return _MARK.encode() in file.read(4096)
    except OSError:
        return True  # a broken link or a folder without the executable: nothing official to keep


def _download(cli: _CommandLine, name: str, wanted: str, cache: Path) -> bool:
    """Try the download, at most once a day."""
    failure = cache / f"{name}-{wanted}-{datetime.now(UTC):%Y-%m-%d}.failed"
    if failure.exists():
        return False
    # A stand-in of this version that is installed already would make the command line do nothing.
    try:
        answer = cli.run(
            "plugin", "install", "resource", name, f"v{wanted}", "--reinstall", seconds=_DOWNLOAD_SECONDS
        )
        reason = "" if answer.returncode == 0 else answer.stderr
    except subprocess.TimeoutExpired:
        reason = f"no answer within {_DOWNLOAD_SECONDS} s"
    if not reason:
        return True
    cache.mkdir(parents=True, exist_ok=True)
    for older in cache.glob(f"{name}-*.failed"):
        older.unlink(missing_ok=True)
    failure.write_text(reason, encoding="utf-8")
    return False


def _launcher(name: str) -> str:
    sources = Path(__file__).resolve().parents[1]
    # Isolated (-I), so that neither the folder that Pulumi runs in, a user's project, nor PYTHONPATH
    # can bring other modules in. No variable is set: the command plugin hands its environment on to commands.
    module = f"lab_plugins.{name}.__main__"
    start = f"import sys; sys.path.insert(0, {str(sources)!r}); from {module} import main; main()"
    return f"""#!/bin/sh
{_MARK}: {name}
exec {shlex.quote(sys.executable)} -I -c {shlex.quote(start)} "$@"
"""


def _install_stand_in(cli: _CommandLine, name: str, wanted: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        executable = Path(folder) / f"pulumi-resource-{name}"
        executable.write_text(_launcher(name), encoding="utf-8")
        executable.chmod(0o755)
        cli.install(name, wanted, Path(folder))


if __name__ == "__main__":
    try:
        bin_dir = sys.argv[1] if len(sys.argv) > 1 else ""
        print("\n".join(ensure_plugins(bin_dir, home=os.environ.get("PULUMI_HOME"))))
    except PluginError as error:
        sys.exit(str(error))
