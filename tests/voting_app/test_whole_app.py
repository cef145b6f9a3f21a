"""Page, API and database together, as processes."""

import pytest

from tests.voting_app.harness import Database, Start

pytestmark = pytest.mark.postgres


def test_a_vote_on_the_page_is_counted(start: Start, database: Database, empty: str) -> None:
    api = start("votes-api:1.0", DATABASE_URL=database.url(empty), SEED_VOTES="Cats=312,Dogs=288")
    ui = start("voting-app-ui:1.0", VOTES_API_URL=str(api.client.base_url))

    answer = ui.client.post("/vote", data={"option": "Dogs"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/?voted=Dogs")
    assert ui.client.get("/api/votes").json()["counts"] == {"Cats": 312, "Dogs": 289}
    page = ui.client.get(answer.headers["location"]).text
    assert "Thank you for your vote for Dogs." in page
    assert 'data-option="Dogs" data-votes="289"' in page
