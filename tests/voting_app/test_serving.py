"""The HTTP server that both programs share."""

import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.voting_app.harness import Program, Start, eventually

UI = "voting-app-ui:1.0"


def listens(program: Program) -> bool:
    try:
        httpx.get(f"{program.client.base_url}/healthz", timeout=5)
    except httpx.TransportError:
        return False
    return True


def test_head_is_get_without_a_body(start: Start) -> None:
    answer = start(UI).client.head("/healthz")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "16"
    assert answer.headers["server"] == "voting-app"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/no", 404), ("POST", "/healthz", 405)])
def test_unknown_requests(start: Start, method: str, path: str, status: int) -> None:
    assert start(UI).client.request(method, path).status_code == status


def test_a_connection_serves_many_requests_and_their_bodies(start: Start) -> None:
    ui = start(UI)
    address = (ui.client.base_url.host, ui.client.base_url.port or 80)

    with socket.create_connection(address) as connection:
        request = b"POST /no HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
        connection.sendall(request * 3)
        connection.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: connection.recv(65536), b""))

    assert received.count(b"HTTP/1.1 404") == 3


@pytest.mark.parametrize(
    "header", [b"Content-Length: 65537", b"Content-Length: -1", b"Transfer-Encoding: chunked"]
)
def test_a_body_that_cannot_be_read_whole_ends_the_connection(start: Start, header: bytes) -> None:
    ui = start(UI)
    address = (ui.client.base_url.host, ui.client.base_url.port or 80)

    with socket.create_connection(address) as connection:
        connection.sendall(b"POST /vote HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))  # ends when the server hangs up

    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nConnection: close\r\n" in received


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_although_a_client_keeps_its_connection(start: Start, sign: int) -> None:
    ui = start(UI)
    ui.client.get("/healthz")  # the client's pool holds the connection open from here on

    ui.process.send_signal(sign)

    assert ui.process.wait(timeout=30) == 0
    assert ui.log.read_text().rstrip().endswith("voting-app-ui stopped")


def test_a_request_under_way_is_answered_before_the_end(start: Start) -> None:
    asked, answer_now = threading.Event(), threading.Event()
    upstream = socket.create_server(("127.0.0.1", 0))

    def answer_late() -> None:
        connection, _ = upstream.accept()
        with connection:
            connection.recv(65536)
            asked.set()
            answer_now.wait(30)
            body = b'{"counts": {"Cats": 1}}'
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with upstream, ThreadPoolExecutor() as pool:
        late = pool.submit(answer_late)
        ui = start(UI, VOTES_API_URL=f"http://127.0.0.1:{upstream.getsockname()[1]}")
        request = pool.submit(ui.client.get, "/")
        assert asked.wait(30)
        ui.process.send_signal(signal.SIGTERM)
        eventually(lambda: not listens(ui))  # so that the answer comes after the end has begun
        answer_now.set()
        late.result(30)

        assert request.result(30).status_code == 200
        assert ui.process.wait(timeout=30) == 0


def test_it_still_answers_while_the_cluster_learns_that_it_stops(start: Start) -> None:
    ui = start(UI, DRAIN_SECONDS="30")
    ui.process.send_signal(signal.SIGTERM)

    answers = []

    def told_to_go() -> bool:
        answers.append(httpx.get(f"{ui.client.base_url}/healthz"))
        return bool(answers[-1].headers.get("connection") == "close")

    eventually(told_to_go)
    assert {answer.status_code for answer in answers} == {200}


def test_probes_are_not_logged_and_flows_are(start: Start) -> None:
    ui = start(UI, VOTES_API_URL="http://127.0.0.1:1")
    ui.client.get("/healthz")
    ui.client.get("/api/votes", headers={"x-kardinal-flow": "dev"})

    log = ui.log.read_text()

    assert "/healthz" not in log
    assert "flow='dev' \"GET /api/votes HTTP/1.1\" 502" in log
