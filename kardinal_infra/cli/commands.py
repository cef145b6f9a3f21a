"""The commands: they read arguments and print, `kardinal_infra.automation` does the work."""

import json
import secrets
import string
import sys
from enum import StrEnum
from importlib.metadata import version
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kardinal_infra.automation import FlowRequest, Project
from kardinal_infra.cli.common import Baseline, ProjectDir, UsageError, age, project_folder
from kardinal_infra.cli.doctor import doctor
from kardinal_infra.cli.drawing import mermaid, overview, table
from kardinal_infra.cli.reaping import reap
from kardinal_infra.errors import KardinalError
from kardinal_infra.outputs import FlowOutputs

app = typer.Typer(
    help="Ephemeral environments beside production, one Pulumi stack each.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
flows = typer.Typer(help="Make, list and remove flows.", no_args_is_help=True)
app.add_typer(flows, name="flow")
app.command("reap")(reap)
app.command("doctor")(doctor)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"kardinal {version('kardinal-infra')}")
        raise typer.Exit


@app.callback()
def everywhere(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version and end."),
    ] = False,
) -> None:
    """Take the options that no command has."""


class Isolation(StrEnum):
    """What a flow keeps apart."""

    services = "services"
    data = "data"
    full = "full"


class Format(StrEnum):
    """How a topology is printed."""

    table = "table"
    json = "json"
    mermaid = "mermaid"


@flows.command("create")
def create(
    service: Annotated[str, typer.Argument(help="Service to fork.")],
    image: Annotated[str, typer.Argument(help="Image of the fork.")],
    flow: Annotated[str | None, typer.Option("--id", help="Flow id. Default: a random one.")] = None,
    service_image: Annotated[
        list[str] | None, typer.Option("--service", help="A further SERVICE=IMAGE; repeatable.")
    ] = None,
    isolation: Annotated[Isolation | None, typer.Option(help="What the flow keeps apart.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only show what would be made.")] = False,
    baseline: Baseline = "baseline",
    project_dir: ProjectDir = None,
) -> None:
    """Make a flow, or bring the existing one of this id to what is asked."""
    project = Project(project_folder(project_dir))
    images = _images([(service, image), *map(_pair, service_image or [])])
    request = FlowRequest(flow or _random_id(), images, baseline, isolation.value if isolation else None)
    if preview:
        project.preview_flow(request, _show)
        return
    outputs = project.create_flow(request, _show)
    console = Console()
    console.print(f"\nFlow [bold]{outputs.flow}[/] is up.")
    if outputs.url:
        console.print(f"  {outputs.url}", soft_wrap=True)
    console.print(f"  kardinal flow delete {outputs.flow}   removes it")


@flows.command("ls")
def ls(project_dir: ProjectDir = None) -> None:
    """List the flows of the project."""
    found = Project(project_folder(project_dir)).flows()
    if not found:
        typer.echo("There are no flows.")
        return
    result = Table(box=None)
    for column in ("FLOW", "URL", "SERVICES", "UPDATED", "STATE"):
        result.add_column(column, overflow="fold")
    for summary in found:
        outputs = summary.outputs
        url = (outputs.url if outputs else None) or "-"
        updated = f"{age(summary.updated)} ago" if summary.updated else "never"
        result.add_row(summary.stack, url, _services(outputs), updated, summary.state)
    Console().print(result)


@flows.command("url")
def url(
    flow: Annotated[str, typer.Argument(metavar="ID", help="Flow id.")], project_dir: ProjectDir = None
) -> None:
    """Print the URL of a flow."""
    outputs = Project(project_folder(project_dir)).flow(flow)
    if outputs.url is None:
        raise UsageError(f'flow "{flow}" has no URL: no entry of the application is declared')
    typer.echo(outputs.url)


@flows.command("delete")
def delete(
    flow: Annotated[str, typer.Argument(metavar="ID", help="Flow id.")], project_dir: ProjectDir = None
) -> None:
    """Remove a flow with everything it made, and its stack."""
    Project(project_folder(project_dir)).delete_flow(flow, _show)
    typer.echo(f"Flow {flow} is gone.")


@app.command()
def topology(
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.table,
    flow: Annotated[str | None, typer.Option(help="Only this flow. Default: all of them.")] = None,
    baseline: Baseline = "baseline",
    project_dir: ProjectDir = None,
) -> None:
    """Show the application's services and databases, with the versions that flows add."""
    project = Project(project_folder(project_dir))
    graph: Any
    if flow is not None:
        graph = project.flow(flow).topology
    else:
        application = project.topology(baseline)
        graphs = [found.outputs.topology for found in project.flows() if found.outputs]
        graph = overview(application, [g for g in graphs if g["application"] == application.application])
    if form is Format.json:
        typer.echo(json.dumps(graph, indent=2))
    elif form is Format.mermaid:
        typer.echo(mermaid(graph))
    else:
        Console().print(table(graph))


def main() -> None:
    """Runs the command; what went wrong is told without a traceback, exit code 1."""
    try:
        app(standalone_mode=True)
    except KardinalError as error:
        Console(stderr=True, style="red").print(
            f"error: {error}", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(1)


def _pair(text: str) -> tuple[str, str]:
    service, separator, image = text.partition("=")
    if not (service and separator and image):
        raise UsageError(f'--service {text}: expected SERVICE=IMAGE, e.g. "votes-api=votes-api:2.0"')
    return service, image


def _images(pairs: list[tuple[str, str]]) -> dict[str, str]:
    names = [service for service, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"requested more than once: {', '.join(twice)}")
    return dict(pairs)


def _random_id() -> str:
    letters = string.ascii_lowercase + string.digits
    return "flow-" + "".join(secrets.choice(letters) for _ in range(6))


def _services(outputs: FlowOutputs | None) -> str:
    return ", ".join(outputs.services) if outputs else "-"


def _show(text: str) -> None:
    typer.echo(text.rstrip("\n"))
