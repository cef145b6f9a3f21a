"""The lab's command line: ``python -m lab COMMAND``."""

from __future__ import annotations

import json
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab import lifecycle
from lab.build import build_everything
from lab.containers import import_image
from lab.demo import demo
from lab.demo_images import SHOP_IMAGES, load_demo_images
from lab.images import build_image
from lab.report import Report
from lab.settings import LabError, from_environment
from lab.status import print_logs, print_status
from lab.variables import environment, is_running

app = typer.Typer(
    help="A real Kubernetes with Istio on this machine.", no_args_is_help=True, add_completion=False
)
image_app = typer.Typer(help="Images without a registry.", no_args_is_help=True)
app.add_typer(image_app, name="image")
app.command()(demo)


class Format(StrEnum):
    """How variables are printed."""

    sh = "sh"
    json = "json"


@app.command()
def up() -> None:
    """Bring the lab up: build what is missing, start what does not run."""
    report = Report()
    lab = from_environment()
    lifecycle.up(lab, report)
    report.line("lab", 'ready; use it with: eval "$(python -m lab env)"', style="green")


@app.command()
def down(purge: Annotated[bool, typer.Option(help="Also delete the lab's data.")] = False) -> None:
    """Take the lab down; what was built stays."""
    lifecycle.down(from_environment(), Report(), purge=purge)


@app.command()
def build() -> None:
    """Only build and download everything, the Pulumi toolchain too."""
    build_everything(from_environment(), Report())


@app.command()
def status() -> None:
    """Say what runs, and how much memory it takes. Exit code 1 if the lab does not run."""
    lab = from_environment()
    print_status(lab, Console())
    if not is_running(lab):
        raise typer.Exit(1)


@app.command()
def logs(component: Annotated[str, typer.Argument(help="As `status` names it.")] = "") -> None:
    """Show the end of a component's log, or where the logs are."""
    print_logs(from_environment(), component)


@app.command()
def env(form: Annotated[Format, typer.Option("--format", help="Shell exports or JSON.")] = Format.sh) -> None:
    """Print the variables by which programs use the lab."""
    variables = environment(from_environment())
    if form is Format.json:
        print(json.dumps(variables, indent=1))
        return
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


@image_app.command("load")
def image_load(
    name: Annotated[str, typer.Argument(help="For example voting-app-ui:v1.")],
    folder: Annotated[list[str], typer.Option("--dir", help="FOLDER=/path/in/image; repeatable.")] = [],  # noqa: B006
    package: Annotated[list[str], typer.Option(help="A Debian package; repeatable.")] = [],  # noqa: B006
    entrypoint: Annotated[str, typer.Option(help="Words of the entry point.")] = "",
    user: Annotated[str, typer.Option(help="uid:gid in numbers.")] = "",
) -> None:
    """Build an image from folders and Debian packages and import it into the lab."""
    lab, report = from_environment(), Report()
    files = {
        target: Path(source).absolute() for source, _, target in (entry.partition("=") for entry in folder)
    }
    archive = build_image(
        name,
        packages=package,
        files=files,
        entrypoint=shlex.split(entrypoint),
        user=user,
        lab=lab,
        report=report,
    )
    import_image(lab, archive)
    report.line("images", f"{name} is in the lab")


@image_app.command("shop")
def image_shop() -> None:
    """Build the images of examples/shop and import them into the lab."""
    load_demo_images(from_environment(), Report(), SHOP_IMAGES)


def main() -> None:
    """Run a command; errors of the lab are one message."""
    try:
        app(standalone_mode=True)
    except LabError as error:
        Console(stderr=True).print(
            f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
