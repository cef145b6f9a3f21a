"""The life of a plugin process."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import psutil
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from tests.plugins.conftest import Plugin

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("module", "name"),
    [("lab_plugins.kubernetes", "pulumi-kubernetes"), ("lab_plugins.command", "pulumi-command")],
)
def test_reports_the_installed_sdks_version(start: Callable[..., Plugin], module: str, name: str) -> None:
    from importlib.metadata import version

    assert start(module).stub.GetPluginInfo(empty_pb2.Empty()).version == version(name)


@pytest.mark.parametrize("module", ["lab_plugins.kubernetes", "lab_plugins.command"])
def test_what_is_not_served_is_declined_in_words(start: Callable[..., Plugin], module: str) -> None:
    plugin = start(module)
    for call, request in (
        (plugin.stub.GetSchema, provider_pb2.GetSchemaRequest()),
        (plugin.stub.Handshake, provider_pb2.ProviderHandshakeRequest()),
        (plugin.stub.Construct, provider_pb2.ConstructRequest()),
    ):
        with pytest.raises(grpc.RpcError, match="does not serve") as error:
            call(request)
        assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_functions_of_the_kubernetes_package_are_declined_by_name(start: Callable[..., Plugin]) -> None:
    with pytest.raises(grpc.RpcError, match="does not serve the function kubernetes:yaml:decode"):
        start("lab_plugins.kubernetes").stub.Invoke(provider_pb2.InvokeRequest(tok="kubernetes:yaml:decode"))


def test_writes_nothing_but_the_port(start: Callable[..., Plugin]) -> None:
    plugin = start("lab_plugins.kubernetes")
    plugin.stub.GetPluginInfo(empty_pb2.Empty())
    plugin.process.terminate()
    assert plugin.process.wait(timeout=10) == 0
    assert plugin.process.stdout is not None
    assert plugin.process.stdout.read() == ""


@pytest.mark.parametrize("module", ["lab_plugins.kubernetes", "lab_plugins.command"])
def test_ends_when_its_parent_is_killed(module: str) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import subprocess, sys; subprocess.Popen([sys.executable, '-m', '{module}']).wait()",
        ],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    (plugin,) = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    plugin.wait(timeout=10)
    assert not plugin.is_running()


def test_large_objects_pass(start: Callable[..., Plugin]) -> None:
    plugin = start("lab_plugins.command")
    value = "x" * (8 * 1024 * 1024)
    checked = plugin.check("command:local:Command", "c", {"create": value})
    assert checked["create"] == value
