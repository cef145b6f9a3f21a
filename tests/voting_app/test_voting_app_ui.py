"""The page, before a votes-api whose answers are given."""

import pytest

from tests.voting_app.harness import Start, Upstream

PRODUCTION, DEVELOPMENT = "voting-app-ui:1.0", "voting-app-ui-dev:latest"
COUNTS = {"options": ["Cats", "Dogs"], "counts": {"Cats": 1312, "Dogs": 288}, "total": 1600}


def test_the_page_shows_options_counts_shares_and_total(start: Start, upstream: Upstream) -> None:
    upstream.answers.append((200, COUNTS))
    ui = start(PRODUCTION, VOTES_API_URL=upstream.url)

    answer = ui.client.get("/")

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert 'data-option="Cats" data-votes="1312"' in answer.text
    assert '<button name="option" value="Dogs">Vote for Dogs</button>' in answer.text
    assert "82.0 %" in answer.text
    assert "<strong>1,600</strong> votes so far" in answer.text


def test_a_database_without_votes_is_shown(start: Start, upstream: Upstream) -> None:
    upstream.answers.append((200, {"options": ["Cats"], "counts": {"Cats": 0}, "total": 0}))
    ui = start(PRODUCTION, VOTES_API_URL=upstream.url)

    assert "0.0 %" in ui.client.get("/").text


def test_production_and_development_are_told_apart(start: Start, upstream: Upstream) -> None:
    upstream.answers.append((200, COUNTS))
    production = start(PRODUCTION, VOTES_API_URL=upstream.url).client.get("/").text
    development = start(DEVELOPMENT, VOTES_API_URL=upstream.url).client.get("/").text

    assert ('data-theme="production">' in production, 'data-theme="development">' in development) == (
        True,
        True,
    )
    assert '<b id="version">1.0</b>' in production
    assert '<b id="version">1.1-dev</b>' in development
    assert "<h1>Cats or dogs?</h1>" in production
    assert "<h1>Cats, dogs or parrots?</h1>" in development


@pytest.mark.parametrize(
    ("headers", "footer"),
    [
        ({"x-kardinal-flow": "dev"}, '<span id="flow">flow: dev</span>'),
        ({}, '<span id="flow">production</span>'),
        ({"x-kardinal-flow": "<b>"}, '<span id="flow">flow: &lt;b&gt;</span>'),
    ],
)
def test_the_footer_names_the_flow(
    start: Start, upstream: Upstream, headers: dict[str, str], footer: str
) -> None:
    upstream.answers.append((200, COUNTS))
    ui = start(DEVELOPMENT, VOTES_API_URL=upstream.url)

    assert footer in ui.client.get("/", headers=headers).text


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/api/votes"), ("POST", "/vote")])
def test_the_request_s_context_is_passed_on(start: Start, upstream: Upstream, method: str, path: str) -> None:
    upstream.answers.append((200, COUNTS))
    ui = start(PRODUCTION, VOTES_API_URL=upstream.url)
    context = {
        "x-kardinal-flow": "dev",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=1",
        "x-request-id": "7",
    }
    baggage = [("baggage", "user=1"), ("baggage", "kardinal-flow=dev")]
    other = {"authorization": "Bearer secret", "cookie": "session=secret"}

    ui.client.request(
        method,
        path,
        headers=[*context.items(), *baggage, *other.items()],
        content=b"option=Cats" if method == "POST" else None,
    )

    [(_, _, headers, _)] = upstream.seen
    assert {name: headers.get(name) for name in context} == context
    assert headers["baggage"] == "user=1, kardinal-flow=dev"
    assert headers.keys().isdisjoint(other)


def test_a_vote_is_handed_on_and_leads_back_to_the_page(start: Start, upstream: Upstream) -> None:
    upstream.answers.append((201, COUNTS))
    ui = start(PRODUCTION, VOTES_API_URL=upstream.url)

    answer = ui.client.post("/vote", data={"option": "Cats & dogs"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/?voted=Cats%20%26%20dogs")
    assert [(method, path, body) for method, path, _, body in upstream.seen] == [
        ("POST", "/votes", b'{"option": "Cats & dogs"}')
    ]


def test_thanks_are_for_real_options_only(start: Start, upstream: Upstream) -> None:
    upstream.answers.append((200, COUNTS))
    ui = start(PRODUCTION, VOTES_API_URL=upstream.url)

    assert "Thank you for your vote for Cats." in ui.client.get("/?voted=Cats").text
    assert "Thank you" not in ui.client.get("/?voted=%3Cscript%3E").text


def test_names_are_escaped(start: Start, upstream: Upstream) -> None:
    upstream.answers.append((200, {"options": [], "counts": {'<i>"../../release': 1}, "total": 1}))
    ui = start(PRODUCTION, VOTES_API_URL=upstream.url)

    page = ui.client.get("/").text

    assert "<i>&quot;" not in page
    assert 'data-option="&lt;i&gt;&quot;../../release"' in page


@pytest.mark.parametrize(
    "answer", [(503, {"error": "the database is not available"}), (200, "no counts at all")]
)
def test_an_api_in_trouble_is_a_page_for_people_and_json_for_programs(
    start: Start, upstream: Upstream, answer: tuple[int, object]
) -> None:
    upstream.answers.append(answer)
    ui = start(PRODUCTION, VOTES_API_URL=upstream.url)

    page, data = ui.client.get("/"), ui.client.get("/api/votes")

    assert (page.status_code, data.status_code) == (502, 502)
    assert "The votes cannot be reached at the moment." in page.text
    assert data.json() == {"error": "The votes cannot be reached at the moment."}


def test_an_api_that_is_not_there(start: Start) -> None:
    ui = start(PRODUCTION, VOTES_API_URL="http://127.0.0.1:1")

    assert ui.client.get("/").status_code == 502
    assert ui.client.get("/healthz").status_code == 200


def test_a_vote_for_nothing_and_for_an_unknown_option(start: Start, upstream: Upstream) -> None:
    upstream.answers.append((422, {"error": "there is no option"}))
    ui = start(PRODUCTION, VOTES_API_URL=upstream.url)

    nothing, unknown = ui.client.post("/vote"), ui.client.post("/vote", data={"option": "<Snakes>"})

    assert (nothing.status_code, unknown.status_code) == (400, 422)
    assert "Please choose an option." in nothing.text
    assert "There is no option &#x27;&lt;Snakes&gt;&#x27;." in unknown.text
