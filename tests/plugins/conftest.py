"""What the plugin tests share: a running plugin spoken to over gRPC, and a namespace on the lab."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from lab.settings import from_environment
from lab.toolchain import ensure_pulumi
from lab_plugins.common import wire
from lab_plugins.kubernetes.api import Api, ApiError
from lab_plugins.kubernetes.discovery import Discovery
from lab_plugins.kubernetes.kubeconfig import connect

ROOT = Path(__file__).resolve().parents[2]


class InitFailedError(Exception):
    """A partial failure as the engine would read it."""

    def __init__(self, detail: Any, message: str) -> None:
        super().__init__(message)
        self.id = detail.id
        self.reasons = list(detail.reasons)
        self.properties = wire.decode(detail.properties)
        self.inputs = wire.decode(detail.inputs)


class Plugin:
    """One plugin process, spoken to as the engine does."""

    def __init__(self, *command: str | Path, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self._channel = grpc.insecure_channel(
            f"127.0.0.1:{self.port}", options=[("grpc.max_receive_message_length", -1)]
        )
        self.stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self._pool = ThreadPoolExecutor()

    def close(self) -> None:
        """End the process."""
        self._channel.close()
        self.process.terminate()
        self.process.wait(timeout=10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._pool.shutdown(wait=False)

    def background(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Future[Any]:
        """Make a call in another thread."""
        return self._pool.submit(call, *arguments, **options)

    @staticmethod
    def urn(token: str, name: str) -> str:
        """Build a resource's URN."""
        return f"urn:pulumi:test::plugins::{token}::{name}"

    def configure(self, **variables: str) -> Any:
        """Configure with `kubernetes:config:` variables."""
        named = {f"kubernetes:config:{key}": value for key, value in variables.items()}
        return self.stub.Configure(provider_pb2.ConfigureRequest(variables=named, acceptSecrets=True))

    def check(
        self, token: str, name: str, news: dict[str, Any], olds: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Check inputs; fail on a mistake."""
        answer = self.check_raw(token, name, news, olds)
        assert not answer.failures, answer.failures
        return wire.decode(answer.inputs)

    def check_raw(
        self, token: str, name: str, news: dict[str, Any], olds: dict[str, Any] | None = None
    ) -> Any:
        """Check inputs."""
        return self.stub.Check(
            provider_pb2.CheckRequest(
                urn=self.urn(token, name),
                news=wire.encode(news),
                olds=wire.encode(olds or {}),
                randomSeed=name.encode() + uuid.uuid4().bytes,
            )
        )

    def diff(
        self,
        token: str,
        name: str,
        olds: dict[str, Any],
        news: dict[str, Any],
        identifier: str = "x",
        **options: Any,
    ) -> Any:
        """Compare a state with inputs."""
        return self.stub.Diff(
            provider_pb2.DiffRequest(
                urn=self.urn(token, name),
                id=identifier,
                olds=wire.encode(olds),
                news=wire.encode(news),
                **options,
            )
        )

    def create(
        self, token: str, name: str, inputs: dict[str, Any], **options: Any
    ) -> tuple[str, dict[str, Any]]:
        """Create a resource: (id, state)."""
        request = provider_pb2.CreateRequest(
            urn=self.urn(token, name), properties=wire.encode(inputs), **options
        )
        answer = self._call(self.stub.Create, request)
        return answer.id, wire.decode(answer.properties)

    def update(
        self,
        token: str,
        name: str,
        identifier: str,
        olds: dict[str, Any],
        news: dict[str, Any],
        **options: Any,
    ) -> dict[str, Any]:
        """Update a resource: its state."""
        request = provider_pb2.UpdateRequest(
            urn=self.urn(token, name),
            id=identifier,
            olds=wire.encode(olds),
            news=wire.encode(news),
            **options,
        )
        return wire.decode(self._call(self.stub.Update, request).properties)

    def read(
        self, token: str, name: str, identifier: str, state: dict[str, Any], inputs: dict[str, Any]
    ) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Read a resource: (id, state, inputs)."""
        request = provider_pb2.ReadRequest(
            urn=self.urn(token, name),
            id=identifier,
            properties=wire.encode(state),
            inputs=wire.encode(inputs),
        )
        answer = self._call(self.stub.Read, request)
        return answer.id, wire.decode(answer.properties), wire.decode(answer.inputs)

    def delete(self, token: str, name: str, identifier: str, state: dict[str, Any], **options: Any) -> None:
        """Delete a resource."""
        request = provider_pb2.DeleteRequest(
            urn=self.urn(token, name), id=identifier, properties=wire.encode(state), **options
        )
        self._call(self.stub.Delete, request)

    def cancel(self) -> None:
        """Give up."""
        self.stub.Cancel(empty_pb2.Empty())

    @staticmethod
    def _call(method: Any, request: Any) -> Any:
        try:
            return method(request)
        except grpc.RpcError as error:
            trailing: Any = error.trailing_metadata()
            for key, value in trailing or ():
                if key == "grpc-status-details-bin":
                    status = status_pb2.Status.FromString(value)
                    detail = provider_pb2.ErrorResourceInitFailed()
                    assert status.details[0].Unpack(detail)
                    raise InitFailedError(detail, status.message) from None
            raise


@pytest.fixture
def start() -> Iterator[Callable[..., Plugin]]:
    """Start plugins; they end with the test."""
    running: list[Plugin] = []

    def start_one(module: str, environment: dict[str, str] | None = None) -> Plugin:
        running.append(Plugin(sys.executable, "-m", module, environment=environment))
        return running[-1]

    yield start_one
    for plugin in running:
        plugin.close()


@pytest.fixture
def start_executable() -> Iterator[Callable[[Path], Plugin]]:
    """Start an installed plugin, with no Python variable in its environment; it ends with the test."""
    running: list[Plugin] = []

    def start_one(executable: Path) -> Plugin:
        unset = [f"--unset={name}" for name in os.environ if name.startswith("PYTHON")]
        running.append(Plugin("env", *unset, executable))
        return running[-1]

    yield start_one
    for plugin in running:
        plugin.close()


@pytest.fixture
def init_failed() -> type[InitFailedError]:
    """The partial failure's exception."""
    return InitFailedError


@pytest.fixture(scope="session")
def kubeconfig(lab_environment: dict[str, str]) -> str:
    """The lab's kubeconfig."""
    return lab_environment["KUBECONFIG"]


class Cluster:
    """The lab's API server, asked directly: what the plugin claims is checked here."""

    def __init__(self, kubeconfig: str) -> None:
        self.connection = connect(kubeconfig, None)
        self.api = Api(self.connection)
        self.discovery = Discovery(self.api)

    def path(self, api_version: str, kind: str, namespace: str, name: str) -> str:
        """Return an object's path."""
        return self.discovery.find(api_version, kind).path(namespace, name)

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Any:
        """Read an object, None if it is not there."""
        try:
            return self.api.get(self.path(api_version, kind, namespace, name))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def create(self, obj: dict[str, Any], manager: str = "somebody") -> dict[str, Any]:
        """Create an object as somebody else."""
        resource = self.discovery.find(obj["apiVersion"], obj["kind"])
        return self.api.create(
            resource.collection(obj["metadata"].get("namespace", "")), obj, manager, dry_run=False
        )

    def apply(self, obj: dict[str, Any], manager: str) -> dict[str, Any]:
        """Apply an object by force as somebody else."""
        path = self.path(
            obj["apiVersion"], obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        )
        return self.api.apply(path, obj, manager, force=True, dry_run=False)

    def delete(self, api_version: str, kind: str, namespace: str, name: str) -> None:
        """Delete an object in the background."""
        self.api.delete(self.path(api_version, kind, namespace, name), "Background")


@pytest.fixture(scope="session")
def cluster(kubeconfig: str) -> Iterator[Cluster]:
    """The lab's API server."""
    cluster = Cluster(kubeconfig)
    yield cluster
    cluster.connection.client.close()


@pytest.fixture(scope="session")
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of this run's own."""
    name = f"plugin-tests-{uuid.uuid4().hex[:6]}"
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    cluster.delete("v1", "Namespace", "", name)


@pytest.fixture(scope="session")
def kubernetes(kubeconfig: str, namespace: str) -> Iterator[Plugin]:
    """A configured kubernetes plugin."""
    plugin = Plugin(sys.executable, "-m", "lab_plugins.kubernetes")
    plugin.configure(kubeconfig=kubeconfig, namespace=namespace)
    yield plugin
    plugin.close()


@pytest.fixture
def doomed(start: Callable[..., Plugin], kubeconfig: str, namespace: str) -> Plugin:
    """A configured kubernetes plugin that may be cancelled."""
    plugin = start("lab_plugins.kubernetes")
    plugin.configure(kubeconfig=kubeconfig, namespace=namespace)
    return plugin


@pytest.fixture(scope="session")
def bin_dir() -> str:
    """The folder of the `pulumi` executable."""
    return str(ensure_pulumi(from_environment()))


@pytest.fixture
def unique() -> str:
    """A name that nothing else has."""
    return f"t{uuid.uuid4().hex[:8]}"
