"""`python -m tests.e2e.churn`: the churn on an application of its own, in the running lab."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from lab import environment
from lab.demo_project import ROOT
from lab.report import Report
from lab.settings import from_environment
from lab.toolchain import ensure_pulumi
from lab_plugins.install import ensure_plugins
from tests.e2e import bringup
from tests.e2e.churn.patience import make_patient
from tests.e2e.churn.run import churn

NAMESPACE = "churn"
FILE = ROOT / "artifacts" / "churn.json"


def main(
    cycles: Annotated[int, typer.Option(help="Flows to create and destroy, at least.")] = 100,
    untagged: Annotated[int, typer.Option(help="Untagged requests to send, at least.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Of the order of creates and destroys.")] = 1,
) -> None:
    """Creates and destroys flows, four at a time, under load; exit code 1 when an answer was wrong."""
    lab, variables = from_environment(), environment()
    ensure_plugins(ensure_pulumi(lab), lab.cache, variables["PULUMI_HOME"])
    console = Console(highlight=False, soft_wrap=True)
    report = Report(console)
    with (
        bringup.workplace() as folder,
        bringup.neon_service(lab, folder) as neon,
        bringup.adopted(lab, variables, neon, folder, NAMESPACE) as production,
    ):
        make_patient(production)
        report.line("churn", f"production is up at http://{NAMESPACE}.localhost, and nothing beside it")
        verdict = churn(
            production,
            cycles=cycles,
            untagged=untagged,
            seed=seed,
            say=lambda text: report.line("churn", text),
        )
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(verdict.to_json(), indent=2) + "\n")
    console.print(verdict.table())
    for problem in verdict.problems():
        console.print(f"[red]✗[/] {escape(problem)}")
    if verdict.problems():
        sys.exit(1)
    console.print(f"[green]✓[/] no wrong answer, no failed request without a key, nothing left ({FILE})")


if __name__ == "__main__":
    typer.run(main)
