"""The command `kardinal-neon-local`."""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from pydantic import SecretStr, ValidationError

from kardinal_neon_local.app import make_app
from kardinal_neon_local.errors import LocalNeonError
from kardinal_neon_local.ownership import stop as stop_service
from kardinal_neon_local.ownership import take_lock
from kardinal_neon_local.service import Service
from kardinal_neon_local.settings import Settings

cli = typer.Typer(
    name="kardinal-neon-local",
    help="A local service that speaks the Neon API over real PostgreSQL instances.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_KEY_VARIABLE = "NEON_LOCAL_API_KEY"


def _api_key(file: Path | None) -> SecretStr:
    if file is not None:
        try:
            key = file.read_text().strip()
        except OSError as error:
            raise LocalNeonError(f"cannot read the API key: {error}") from error
    else:
        key = os.environ.get(_KEY_VARIABLE, "").strip()
    if not key:
        raise LocalNeonError(f"no API key: give --api-key-file, or set {_KEY_VARIABLE}")
    return SecretStr(key)


def _allow_many_files() -> None:
    """Makes room for hundreds of branches with some connections each: two descriptors for each connection."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _settings(**values: object) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = [
            f"--{'-'.join(str(part) for part in problem['loc']).replace('_', '-')}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise LocalNeonError("; ".join(problems)) from None


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kardinal-neon-local {metadata.version('kardinal-neon-local')}")
        raise typer.Exit


@cli.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


@cli.command()
def serve(
    data_dir: Annotated[Path, typer.Option(help="Where metadata and data directories live.")],
    project: Annotated[str, typer.Option(help="Id of the project made at the first start.")],
    host: Annotated[str, typer.Option(help="Address of the API and of the branches.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the API.")] = 9095,
    api_key_file: Annotated[
        Path | None, typer.Option(help=f"File with the key that callers send; otherwise ${_KEY_VARIABLE}.")
    ] = None,
    branch: Annotated[str, typer.Option(help="Name of the default branch.")] = "main",
    database: Annotated[str, typer.Option(help="Name of its database.")] = "neondb",
    role: Annotated[str | None, typer.Option(help="Owner of it; default: <database>_owner.")] = None,
    sslmode: Annotated[str, typer.Option(help="sslmode in connection URIs.")] = "prefer",
    idle_timeout: Annotated[
        float, typer.Option(help="Seconds without a connection until an instance stops; 0: never.")
    ] = 300,
    postgres_bin: Annotated[Path | None, typer.Option(help="Directory of the PostgreSQL programs.")] = None,
    run_as: Annotated[
        str | None, typer.Option(help="System user of PostgreSQL when started as root.")
    ] = None,
    address_range: Annotated[
        str | None,
        typer.Option(
            help="Addresses of which each endpoint gets one, with port 5432; 'none': ports of --host."
        ),
    ] = None,
    tls: Annotated[bool, typer.Option(help="Whether connections to branches may be encrypted.")] = True,
    history: Annotated[
        float | None,
        typer.Option(
            help="Seconds of the default branch's past to keep; default: a day if copies cost nothing."
        ),
    ] = None,
    port_range: Annotated[str, typer.Option(help="Ports for branch endpoints.")] = "15500-19999",
    shared_buffers: Annotated[str, typer.Option(help="PostgreSQL's setting for every branch.")] = "16MB",
    fsync_default: Annotated[bool, typer.Option(help="Crash-safe default branch.")] = True,
    fsync_branches: Annotated[bool, typer.Option(help="Crash-safe other branches.")] = False,
    recovery_window: Annotated[float, typer.Option(help="Seconds to recover a deleted branch.")] = 600,
    branches_limit: Annotated[int, typer.Option(help="Branches per project.")] = 5000,
    root_branches_limit: Annotated[int, typer.Option(help="Branches without a parent per project.")] = 25,
    store_passwords: Annotated[bool, typer.Option(help="Whether passwords can be read back.")] = True,
    operation_delay: Annotated[float, typer.Option(help="Seconds that operations take at least.")] = 0,
) -> None:
    """Serve until SIGTERM or SIGINT."""
    first, _, last = port_range.partition("-")
    if not first.isdecimal() or not last.isdecimal() or not 0 < int(first) <= int(last) < 65536:
        raise LocalNeonError(f"--port-range must look like 15500-19999: {port_range}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    settings = _settings(
        host=host,
        port=port,
        data_dir=data_dir,
        api_key=_api_key(api_key_file),
        project=project,
        branch=branch,
        database=database,
        role=role or f"{database}_owner",
        sslmode=sslmode,
        idle_timeout=idle_timeout,
        postgres_bin=postgres_bin,
        run_as=run_as,
        address_range=address_range,
        history=history,
        tls=tls,
        first_port=int(first),
        last_port=int(last),
        shared_buffers=shared_buffers,
        fsync_default=fsync_default,
        fsync_branches=fsync_branches,
        recovery_window=recovery_window,
        branches_limit=branches_limit,
        root_branches_limit=root_branches_limit,
        store_passwords=store_passwords,
        operation_delay=operation_delay,
    )
    lock = take_lock(data_dir)  # held until the process ends, however it ends
    try:
        _allow_many_files()
        app = make_app(Service(settings))
        # Our own access log leaves queries out, so uvicorn's stays off.
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=10,
        )
        server = uvicorn.Server(config)
        server.run()
        if not server.started:
            raise LocalNeonError("the service did not start: see the lines above")
    finally:
        os.close(lock)


@cli.command()
def stop(data_dir: Annotated[Path, typer.Option(help="The data directory that was served.")]) -> None:
    """End the service of a data directory, and instances that a killed one left behind. Data stays."""
    stop_service(data_dir)


def main() -> None:
    """Runs the command; an expected error is one line on stderr and exit code 1."""
    # uvicorn repeats the signal that ended it when it is done: a wanted end is a success.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    try:
        cli()
    except LocalNeonError as error:
        typer.echo(f"kardinal-neon-local: {error}", err=True)
        raise SystemExit(1) from None
