"""When the provider process ends itself, whichever of our providers it serves."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from kardinal_infra.components.leftovers import LeftoversProvider
from kardinal_infra.components.probe import ProbeProvider
from kardinal_infra.databases.neon.provider import NeonBranchProvider
from kardinal_infra.engine import watch as engine_watch
from kardinal_infra.engine.watch import exit_with_engine, reachable, watch


@pytest.mark.parametrize(
    ("looks", "expected"),
    [([False, False], 2), ([True, False, True, False, False], 5), ([False, True, True, False, False], 5)],
)
def test_it_ends_after_two_refusals_in_a_row(looks: list[bool], expected: int) -> None:
    pauses: list[Any] = []
    ends: list[Any] = []
    answers = list(looks)
    watch(lambda: answers.pop(0), lambda: ends.append(len(pauses)), pauses.append)
    assert ends == [expected]


def test_only_a_refusal_is_a_dead_engine() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        assert not reachable("127.0.0.1", port)
        listener.listen()
        assert reachable("127.0.0.1", port)
    assert reachable("no-such-host.invalid", 1)


@pytest.mark.parametrize("arguments", [[], ["serve"], ["a:b"], ["127.0.0.1:1", "more"]])
def test_no_engine_means_no_watch(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    before = threading.active_count()
    exit_with_engine()
    assert threading.active_count() == before
    assert not engine_watch._started.is_set()


@pytest.fixture
def engine() -> Iterator[socket.socket]:
    """Listens where an engine would."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener


def test_the_process_of_every_provider_ends_with_its_engine(engine: socket.socket) -> None:
    command = [sys.executable, "-u", "-m", "pulumi.dynamic", f"127.0.0.1:{engine.getsockname()[1]}"]
    environment = {**os.environ, "PULUMI_PROJECT": "kardinal"}
    with contextlib.ExitStack() as running:
        processes = []
        for provider in (LeftoversProvider, NeonBranchProvider, ProbeProvider):
            process = running.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
            )
            running.callback(process.kill)
            assert process.stdout is not None
            configure(int(process.stdout.readline()), provider())
            # It has looked, and lives.
            engine.accept()[0].close()
            assert process.poll() is None
            processes.append(process)
        engine.close()
        assert [process.wait(60) for process in processes] == [1, 1, 1]


def configure(port: int, provider: ResourceProvider) -> None:
    """Makes the process load a provider, as the first call about one of its resources does."""
    news = json_format.ParseDict({"__provider": serialize_provider(provider)}, struct_pb2.Struct())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        stub.Configure(provider_pb2.ConfigureRequest(args=struct_pb2.Struct()))
        stub.Check(provider_pb2.CheckRequest(olds=struct_pb2.Struct(), news=news))
