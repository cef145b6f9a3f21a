"""The demo's production: the application and its baseline, brought up or brought back."""

from __future__ import annotations

from typing import Any

import yaml

from lab.demo_app import Page
from lab.demo_cluster import Object
from lab.demo_project import Project, Ran
from lab.demo_target import Target
from lab.demo_telling import CheckFailedError, Telling, wait_for

APPLICATION, BASELINE, DEV, SECOND = "voting-app", "baseline", "dev", "second"
"""The stacks of the demo."""

HOST = "voting.localhost"
GATEWAY = "kardinal"
HTTP_PORT = 80
HTTP_OK = 200


class Production:
    """The application as it stands beside no flow, and what the story does with it.

    Args:
        target: The place.
        telling: Where the story is told.
    """

    def __init__(self, target: Target, telling: Telling) -> None:
        self.target = target
        self.telling = telling
        self.project: Project = target.project
        self.address = target.address or ""

    def up(self) -> None:
        """Brings the application and its baseline up, whatever an earlier run left of them.

        Raises:
            LabError: It cannot be brought up.
        """
        settings = self._application_settings()
        for stack in (APPLICATION, BASELINE):
            self.project.ensure_stack(stack)
            self.project.settle(stack)
        self.project.configure(APPLICATION, settings)
        self.project.set_secret(APPLICATION, "kardinal:databaseUrl", self.target.databases.uri("main"))
        self.run("up", "--yes", "--skip-preview", "-s", APPLICATION)
        if not self.address:
            self._configure_baseline(entries=False)
            self.project.pulumi("up", "--yes", "--skip-preview", "-s", BASELINE)
            found = wait_for(
                lambda: self.target.cluster.gateway_address(APPLICATION, GATEWAY),
                "an address for the Gateway (or name one with --address HOST:PORT)",
            )
            self.address = f"{found}:{self.target.port}"
        self._configure_baseline(entries=True)
        self.run("up", "--yes", "--skip-preview", "-s", BASELINE)
        # An accepted route takes a moment to reach the Gateway's proxy.
        wait_for(lambda: self.page().look().status == HTTP_OK, f"an answer from {self.page().url}")

    def reset(self) -> None:
        """Removes flows that an earlier demo left, finished or killed.

        Raises:
            LabError: One cannot be removed.
        """
        self.project.ensure_stack(DEV)
        self._configure_flow()
        stacks = self.project.stacks()
        for stack in (DEV, SECOND):
            if stacks.get(stack):
                self.telling.say(f"An earlier demo left the flow {stack}: it is completed and removed.")
                self.project.settle(stack)
                # A killed `up` may have made objects that its state does not know: the next takes them in.
                self.project.pulumi("up", "--yes", "--skip-preview", "-s", stack)
                self.project.pulumi("destroy", "--yes", "--skip-preview", "-s", stack)
        if SECOND in stacks:
            self.project.pulumi("stack", "rm", "--yes", SECOND)

    def run(self, *arguments: str) -> Ran:
        """Runs a Pulumi command in front of the audience.

        Raises:
            LabError: It failed.
        """
        self.telling.command(f"pulumi {' '.join(arguments)}")
        return self.project.pulumi(
            *arguments, "--suppress-progress", "--suppress-outputs", show=self.telling.output
        )

    def kardinal(self, *arguments: str) -> Ran:
        """Runs a `kardinal` command in front of the audience.

        Raises:
            CheckFailedError: It failed.
        """
        self.telling.command(f"kardinal {' '.join(arguments)}")
        ran = self.project.kardinal(*arguments, show=self.telling.output)
        if ran.code != 0:
            raise CheckFailedError(f"`{ran.line}` failed with exit code {ran.code}: see its output above")
        return ran

    def page(self, flow: str = "") -> Page:
        """The page of a flow, or production's."""
        host = f"{flow}.{HOST}" if flow else HOST
        port = "" if self.target.port == HTTP_PORT else f":{self.target.port}"
        return Page(f"http://{host}{port}", self.address)

    def objects(self) -> dict[str, Object]:
        """Every object of the application's namespace."""
        return self.target.cluster.snapshot(APPLICATION)

    def _application_settings(self) -> dict[str, Any]:
        images = self.target.images
        return {
            "kardinal:stack": APPLICATION,
            "kardinal:images": {"ui": images.ui, "api": images.api},
            **self._kubernetes(),
        }

    def _configure_baseline(self, *, entries: bool) -> None:
        kept = self._settings(BASELINE)
        wanted = {**kept, **self._kubernetes()}
        baseline = {**kept["kardinal:baseline"]}
        gateway = {**baseline.get("gateway", {}), "port": self.target.port}
        baseline["gateway"] = {**gateway, "address": self.address} if entries else gateway
        baseline["entries"] = [{"service": "voting-app-ui", "host": HOST}] if entries else []
        votes = {**baseline["databases"]["votes"], "project": self.target.databases.project}
        baseline["databases"] = {"votes": {**votes, "role": self.target.databases.role}}
        self._change(BASELINE, kept, {**wanted, "kardinal:baseline": baseline})

    def _configure_flow(self) -> None:
        kept = self._settings(DEV)
        services = {"voting-app-ui": {"image": self.target.images.ui_dev}}
        flow = {**kept["kardinal:flow"], "services": services}
        self._change(DEV, kept, {**kept, **self._kubernetes(), "kardinal:flow": flow})

    def _kubernetes(self) -> dict[str, str]:
        return {"kubernetes:context": self.target.context} if self.target.context else {}

    def _settings(self, stack: str) -> dict[str, Any]:
        """The config that the repository keeps for a stack."""
        return dict(yaml.safe_load((self.project.folder / f"Pulumi.{stack}.yaml").read_text())["config"])

    def _change(self, stack: str, kept: dict[str, Any], wanted: dict[str, Any]) -> None:
        """Writes config only where it differs: in the lab, the repository's files stay as they are."""
        changed = {key: value for key, value in wanted.items() if kept.get(key) != value}
        if changed:
            self.project.configure(stack, changed)
