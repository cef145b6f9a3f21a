"""The story of the demo: a flow beside production, from `pulumi up` to `pulumi destroy`, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.demo_app import Page
from lab.demo_cluster import differences
from lab.demo_production import BASELINE, DEV, SECOND, Production
from lab.demo_project import ROOT
from lab.demo_target import Target
from lab.demo_telling import Telling
from lab.screenshots import capture
from lab.settings import LabError

ARTIFACTS = ROOT / "artifacts"
OPTIONS = ["Cats", "Dogs"]
DEV_OPTIONS = [*OPTIONS, "Parrots"]
BRANCH = "kardinal/voting-app/{}/votes"


def tell(target: Target, telling: Telling) -> None:
    """Tells the story and checks each step.

    Args:
        target: Where it happens.
        telling: How it is told.

    Raises:
        LabError: A step failed; `CheckFailedError` when it worked and showed something else than it must.
    """
    with settings_kept(target.project.folder, (BASELINE, DEV)):
        _Story(target, telling).tell()


class _Story:
    def __init__(self, target: Target, telling: Telling) -> None:
        self.target = target
        self.telling = telling
        self.production = Production(target, telling)

    def tell(self) -> None:
        """All chapters in their order."""
        self._place()
        self._production()
        before = self.production.objects()
        branches = self.target.databases.branches()
        self._first_flow()
        self._isolation()
        self._second_flow()
        self._end_of_the_first()
        self._end_of_the_second()
        self._as_before(before, branches)
        self._by_hand()

    def _place(self) -> None:
        self.telling.chapter("The place")
        self.telling.say(f"{self.target.title}: Kubernetes {self.target.cluster.version()}")
        for line in self.target.toolchain:
            self.telling.say(line)
        self.telling.say(f"Neon API: {self.target.databases.host}, project {self.target.databases.project}")

    def _production(self) -> None:
        self.telling.chapter("Production, which knows nothing of flows")
        self.production.up()
        self.production.reset()
        page = self.production.page()
        seen = page.look()
        self.telling.check(f"production answers at {page.url}", 200, seen.status)
        self.telling.check("it offers two options", OPTIONS, list(seen.counts))
        page.vote("Cats", 2)
        page.vote("Dogs")
        wanted = {"Cats": seen.counts["Cats"] + 2, "Dogs": seen.counts["Dogs"] + 1}
        self.telling.check("three votes are counted", wanted, page.look().counts)

    def _first_flow(self) -> None:
        self.telling.chapter("A flow: the page with a third option, on a copy of production's votes")
        self.production.run("preview", "-s", DEV)
        self.production.run("up", "--yes", "--skip-preview", "-s", DEV)
        production, dev = self.production.page(), self.production.page(DEV)
        self.telling.say("Two URLs, side by side:")
        self.telling.say(f"  production  {production.url}")
        self.telling.say(f"  {DEV:<10}  {dev.url}")
        url = self.target.project.outputs(DEV)["url"]
        self.telling.check("the stack exports the flow's URL", dev.url, url)
        counts, seen = production.look().counts, dev.look()
        self.telling.check("the flow's fork answers there", f"voting-app-ui-{DEV}", seen.fork)
        self.telling.check("it offers three options", DEV_OPTIONS, list(seen.counts))
        copied = {option: seen.counts[option] for option in counts}
        self.telling.check("it shows production's counts", counts, copied)
        self.telling.check("production still offers two options", OPTIONS, list(counts))
        self.telling.check("which fork answers for production", None, production.look().fork)
        self._pictures({"production": production, DEV: dev})

    def _isolation(self) -> None:
        self.telling.chapter("Votes stay where they are cast")
        production, dev = self.production.page(), self.production.page(DEV)
        of_production, of_dev = production.look().counts, dev.look().counts
        dev.vote("Parrots", 3)
        dev.vote("Cats", 2)
        of_dev = {**of_dev, "Parrots": of_dev["Parrots"] + 3, "Cats": of_dev["Cats"] + 2}
        self.telling.check(f"five votes on {DEV} are counted there", of_dev, dev.look().counts)
        self.telling.check("production has not moved", of_production, production.look().counts)
        production.vote("Dogs", 4)
        of_production = {**of_production, "Dogs": of_production["Dogs"] + 4}
        self.telling.check("four votes on production are counted", of_production, production.look().counts)
        self.telling.check(f"{DEV} has not moved", of_dev, dev.look().counts)
        databases = self.target.databases
        self.telling.check("rows in the branch main", _rows(of_production), databases.votes("main"))
        branch = BRANCH.format(DEV)
        self.telling.check(f"rows in the branch {branch}", _rows(of_dev), databases.votes(branch))

    def _second_flow(self) -> None:
        self.telling.chapter("A second flow on the same service")
        first, production = self.production.page(DEV), self.production.page()
        of_first, of_production = first.look().counts, production.look().counts
        self.production.kardinal("flow", "create", "voting-app-ui", self.target.images.ui_dev, "--id", SECOND)
        second = self.production.page(SECOND)
        seen = second.look()
        self.telling.check("its own fork answers", f"voting-app-ui-{SECOND}", seen.fork)
        fresh = {**of_production, "Parrots": 0}
        self.telling.check("its votes are production's of now", fresh, seen.counts)
        second.vote("Dogs", 5)
        fresh["Dogs"] += 5
        self.telling.check("five votes on it are counted there", fresh, second.look().counts)
        self.telling.check(f"{DEV} has not moved", of_first, first.look().counts)
        self.telling.check("production has not moved", of_production, production.look().counts)
        self.production.kardinal("flow", "ls")
        self.production.kardinal("topology")

    def _end_of_the_first(self) -> None:
        self.telling.chapter("The first flow goes, the second stays")
        second, production = self.production.page(SECOND), self.production.page()
        counts, of_production = second.look().counts, production.look().counts
        self.production.run("destroy", "--yes", "--skip-preview", "-s", DEV)
        seen = second.look()
        self.telling.check("the second flow still answers", f"voting-app-ui-{SECOND}", seen.fork)
        self.telling.check("with its own votes", counts, seen.counts)
        self.telling.check("production has not moved", of_production, production.look().counts)
        self.telling.check("the first flow's URL is gone", 404, self.production.page(DEV).look().status)

    def _end_of_the_second(self) -> None:
        self.telling.chapter("The second flow goes")
        self.production.kardinal("flow", "delete", SECOND)
        self.telling.check("its URL is gone", 404, self.production.page(SECOND).look().status)

    def _as_before(self, before: dict[str, dict[str, object]], branches: dict[str, str]) -> None:
        self.telling.chapter("Everything is as before the first flow")
        after = self.production.objects()
        kinds = sorted({name.partition("/")[0] for name in after})
        self.telling.say(f"{len(after)} objects of {len(kinds)} kinds: {', '.join(kinds)}")
        self.telling.check_none(
            f"the same {len(after)} objects, field by field, with the same pods", differences(before, after)
        )
        routes = sorted(name for name in before if name.startswith("HTTPRoute/"))
        self.telling.check(
            "the same routes", routes, sorted(name for name in after if name.startswith("HTTPRoute/"))
        )
        self.telling.check("the same Neon branches", branches, self.target.databases.branches())

    def _by_hand(self) -> None:
        page, dev = self.production.page(), self.production.page(DEV)
        self.telling.chapter(f"All {self.telling.checks} checks hold. Go on by hand")
        if self.target.enter:
            self.telling.command(self.target.enter)
        for line in (
            f"pulumi up -s {DEV}                                  # then open {dev.url}",
            "kardinal flow create voting-app-ui voting-app-ui-dev  # a flow with a name of its own",
            "kardinal flow ls",
            "kardinal topology --format mermaid",
            f"pulumi destroy -s {DEV}",
        ):
            self.telling.command(line)
        self.telling.say(f"Production is at {page.url}; `make demo-down` removes everything.")

    def _pictures(self, pages: dict[str, Page]) -> None:
        host, _, _ = self.production.address.rpartition(":")
        for name, page in pages.items():
            target = ARTIFACTS / f"{name}.png"
            try:
                capture(f"{page.url}/", target, resolve={"*.localhost": host})
            except LabError as error:
                if self.target.enter:  # in the lab there is a browser
                    raise
                self.telling.say(f"No picture of {page.url}: {error}")
            else:
                self.telling.say(f"Picture: {target.relative_to(ROOT)}")


def _rows(counts: dict[str, int]) -> dict[str, int]:
    """Rows as SQL groups them: by name, without options that nobody voted for."""
    return {option: votes for option, votes in sorted(counts.items()) if votes}


@contextmanager
def settings_kept(folder: Path, stacks: tuple[str, ...]) -> Iterator[None]:
    """Leaves settings files as they were when all that Pulumi added is its encryption salt.

    The repository keeps these files without one, for it would tie them to one passphrase; Pulumi makes a new
    one whenever it is missing.
    """
    files = {folder / f"Pulumi.{stack}.yaml" for stack in stacks}
    before = {file: file.read_text() for file in files}
    try:
        yield
    finally:
        for file, text in before.items():
            lines = file.read_text().splitlines(keepends=True)
            if "".join(line for line in lines if not line.startswith("encryptionsalt:")) == text:
                file.write_text(text)
