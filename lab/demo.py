"""``python -m lab demo``: the story of a flow, told and checked."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    context: Annotated[str, typer.Option(help="Context of a kubeconfig: a cluster of your own.")] = "",
    ui_image: Annotated[str, typer.Option(help="Image of voting-app-ui, on your own cluster.")] = "",
    ui_dev_image: Annotated[str, typer.Option(help="Image of voting-app-ui-dev, there.")] = "",
    api_image: Annotated[str, typer.Option(help="Image of votes-api, there.")] = "",
    neon_project: Annotated[str, typer.Option(help="Neon project, id or name, for it.")] = "",
    neon_role: Annotated[str, typer.Option(help="Owner of the database `votes` in it.")] = "votes_owner",
    address: Annotated[str, typer.Option(help="HOST:PORT of your Gateway. Default: as it says.")] = "",
) -> None:
    """Show a flow beside production, from `pulumi up` to `pulumi destroy`, and check every step.

    It runs in the lab, which is brought up; or on your own cluster with Istio, if KUBECONFIG is set or
    --context is given. Then NEON_API_KEY (and NEON_API_HOST, for a Neon other than neon.tech) must be set.
    """
    # Imported here: the other commands of the lab need none of it.
    from lab.demo_story import tell
    from lab.demo_target import Images, Wishes, find_target
    from lab.demo_telling import Telling
    from lab.report import Report

    wishes = Wishes(
        context=context or None,
        images=Images(ui_image, ui_dev_image, api_image),
        neon_project=neon_project,
        neon_role=neon_role,
        address=address or None,
    )
    tell(find_target(wishes, Report()), Telling())
