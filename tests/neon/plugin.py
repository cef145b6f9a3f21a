"""The process that the engine starts for dynamic resources, and a gRPC client in the engine's place."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format, struct_pb2
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc
from pulumi.runtime.rpc import _special_secret_sig, _special_sig_key

from kardinal_infra.databases.neon.provider import NeonBranchProvider

PROVIDER = serialize_provider(NeonBranchProvider())
URN = "urn:pulumi:dev::kardinal::pulumi-python:dynamic/neon:Branch::votes"

Props = dict[str, Any]


class PluginError(Exception):
    """What the engine would show to the user."""


def secret(value: str) -> Props:
    return {_special_sig_key: _special_secret_sig, "value": value}


def _struct(props: Mapping[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(dict(props), struct_pb2.Struct())


def _plain(struct: struct_pb2.Struct) -> Props:
    props = json_format.MessageToDict(struct)
    props.pop("__provider", None)
    return props


class Plugin:
    """One provider process; every method is one call of the engine."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.log = log
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = provider_pb2_grpc.ResourceProviderStub(self._channel)

    def _call(self, method: str, request: Any) -> Any:
        try:
            return getattr(self._stub, method)(request)
        except grpc.RpcError as error:
            raise PluginError(error.details()) from None

    def configure(self, config: Mapping[str, Any]) -> None:
        self._call("Configure", provider_pb2.ConfigureRequest(args=_struct(config)))

    def check(self, news: Props, olds: Props | None = None) -> tuple[Props, list[tuple[str, str]]]:
        answer = self._call(
            "Check",
            provider_pb2.CheckRequest(
                urn=URN, olds=_struct(olds or {}), news=_struct({**news, "__provider": PROVIDER})
            ),
        )
        return _plain(answer.inputs), [(item.property, item.reason) for item in answer.failures]

    def diff(self, id: str, olds: Props, news: Props) -> Any:
        return self._call(
            "Diff",
            provider_pb2.DiffRequest(
                id=id,
                urn=URN,
                olds=_struct({**olds, "__provider": PROVIDER}),
                news=_struct({**news, "__provider": PROVIDER}),
            ),
        )

    def create(self, props: Props) -> tuple[str, Props]:
        request = provider_pb2.CreateRequest(urn=URN, properties=_struct({**props, "__provider": PROVIDER}))
        answer = self._call("Create", request)
        return answer.id, _plain(answer.properties)

    def read(self, id: str, props: Props, inputs: Props | None = None) -> tuple[str, Props, Props]:
        request = provider_pb2.ReadRequest(
            id=id,
            urn=URN,
            properties=_struct({**props, "__provider": PROVIDER} if props else {}),
            inputs=_struct({**(inputs or {}), "__provider": PROVIDER}),
        )
        answer = self._call("Read", request)
        return answer.id, _plain(answer.properties), _plain(answer.inputs)

    def update(self, id: str, olds: Props, news: Props) -> Props:
        request = provider_pb2.UpdateRequest(
            id=id,
            urn=URN,
            olds=_struct({**olds, "__provider": PROVIDER}),
            news=_struct({**news, "__provider": PROVIDER}),
        )
        return _plain(self._call("Update", request).properties)

    def delete(self, id: str, props: Props) -> None:
        request = provider_pb2.DeleteRequest(
            id=id, urn=URN, properties=_struct({**props, "__provider": PROVIDER})
        )
        self._call("Delete", request)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def close(self) -> None:
        self._channel.close()
        self.kill()
        if self.process.stdout:
            self.process.stdout.close()


@contextlib.contextmanager
def plugin(directory: Path, config: Mapping[str, Any] | None = None, **environment: str) -> Iterator[Plugin]:
    """A configured provider process that finds neither key nor host in the environment unless given."""
    log = directory / "plugin.log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NEON_")}
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "pulumi.dynamic"],
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=directory,
            env={**clean, "PULUMI_PROJECT": "kardinal", **environment},
        )
    assert process.stdout is not None
    started = Plugin(process, int(process.stdout.readline()), log)
    try:
        started.configure(config or {})
        yield started
    finally:
        started.close()
