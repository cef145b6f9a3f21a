"""The public claims to belong to a flow: production's host never believes it, a flow's host knows better."""

import httpx
import pytest

from kardinal_infra.model.names import HEADER_FLOW, HEADER_FORK
from tests.e2e.production import NAMESPACE, Production

pytestmark = [pytest.mark.lab, pytest.mark.engine]


def forgeries(flow: str) -> list[dict[str, str]]:
    """Headers that say in one way or another that a request is of a flow."""
    baggage = f"kardinal-flow={flow}"
    return [
        {HEADER_FLOW: flow},
        {HEADER_FLOW.upper(): flow},
        {HEADER_FLOW: f"nobody, {flow}"},
        {"baggage": baggage},
        {"baggage": f"user=1, {baggage};p=1"},
        {HEADER_FLOW: flow, "baggage": baggage},
        {HEADER_FLOW: flow, "x-forwarded-host": f"{flow}.{NAMESPACE}.localhost"},
        {HEADER_FORK: f"votes-api-{flow}"},
    ]


def test_forged_headers_at_the_public_host_reach_no_fork(production: Production, standing: str) -> None:
    page, counts = production.page, production.page.look().counts
    of_flow = production.databases.votes(production.branch(standing))
    for sent, headers in enumerate(forgeries(standing), start=1):
        shown = page.ask("GET", "/api/votes", headers=headers)
        assert shown.status_code == httpx.codes.OK, headers
        # The flow's branch knows one option more.
        assert list(shown.json()["options"]) == ["Cats", "Dogs"], headers
        voted = page.ask("POST", "/vote", {"option": "Dogs"}, headers=headers)
        assert voted.status_code == httpx.codes.SEE_OTHER, headers
        for answer in (shown, voted):
            assert not {HEADER_FLOW, HEADER_FORK} & answer.headers.keys(), headers
        # What was written is production's, too.
        assert page.look().counts == {**counts, "Dogs": counts["Dogs"] + sent}, headers
        refused = page.ask("POST", "/vote", {"option": "Parrots"}, headers=headers)
        assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY, headers
    assert production.databases.votes(production.branch(standing)) == of_flow


def test_forged_headers_at_a_flows_host_do_not_change_whose_it_is(
    production: Production, standing: str
) -> None:
    page = production.flow_page(standing)
    for headers in forgeries("another"):
        answer = page.ask("GET", "/api/votes", headers=headers)
        assert answer.status_code == httpx.codes.OK, headers
        assert answer.headers[HEADER_FLOW] == standing, headers
        assert answer.headers[HEADER_FORK] == f"voting-app-ui-{standing}", headers
        assert list(answer.json()["options"]) == ["Cats", "Dogs", "Parrots"], headers
