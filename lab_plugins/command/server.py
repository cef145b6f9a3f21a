"""The provider's RPCs."""

from __future__ import annotations

import secrets
from typing import Any

from google.protobuf import empty_pb2

from lab_plugins.command.properties import (
    INPUTS,
    differences,
    previewed,
    previous_output,
    problems,
    with_output,
)
from lab_plugins.command.runner import Output, Runner
from lab_plugins.common import wire
from lab_plugins.common.engine_log import EngineLog
from lab_plugins.common.failures import OperationError
from lab_plugins.common.protos import provider_pb2
from lab_plugins.common.servicer import PluginServicer, answered
from lab_plugins.common.urns import resource_name, resource_type

_RESOURCE = "command:local:Command"
_FUNCTION = "command:local:run"
_Diff = provider_pb2.PropertyDiff
_KINDS = {
    "add": (_Diff.ADD, _Diff.ADD_REPLACE),
    "delete": (_Diff.DELETE, _Diff.DELETE_REPLACE),
    "update": (_Diff.UPDATE, _Diff.UPDATE_REPLACE),
}


class CommandServicer(PluginServicer):
    """Serves the local half of the command package.

    Args:
        version: the version to report.
        log: where messages for the user go.
    """

    def __init__(self, version: str, log: EngineLog) -> None:
        super().__init__("command", version, log)
        self._runner = Runner()

    @answered
    def CheckConfig(self, request: Any) -> Any:  # noqa: N802
        """Accept everything; the provider has no inputs."""
        return provider_pb2.CheckResponse(inputs=request.news)

    @answered
    def DiffConfig(self, request: Any) -> Any:  # noqa: ARG002, N802
        """Find no difference."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    @answered
    def Configure(self, request: Any) -> Any:  # noqa: ARG002, N802
        """Say what the provider can do."""
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    @answered
    def Check(self, request: Any) -> Any:  # noqa: N802
        """Find mistakes in the inputs."""
        if resource_type(request.urn) != _RESOURCE:
            raise OperationError(
                f"the stand-in command plugin does not serve {resource_type(request.urn)}; "
                "install the official one (`pulumi plugin install resource command`)"
            )
        failures = [
            provider_pb2.CheckFailure(property=place, reason=reason)
            for place, reason in problems(wire.decode(request.news))
        ]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    @answered
    def Diff(self, request: Any) -> Any:  # noqa: N802
        """Compare the inputs; other triggers mean another resource."""
        olds = wire.decode(request.old_inputs if request.old_inputs.fields else request.olds)
        ignored = tuple(request.ignoreChanges)
        detailed, replaces = {}, []
        for place, kind in differences(olds, wire.decode(request.news)).items():
            if place.startswith(ignored) and ignored:
                continue
            replace = place.startswith("triggers")
            detailed[place] = _Diff(kind=_KINDS[kind][replace])
            if replace:
                replaces.append(place)
        some = provider_pb2.DiffResponse.DIFF_SOME if detailed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some, replaces=replaces, detailedDiff=detailed, hasDetailedDiff=True
        )

    @answered
    def Create(self, request: Any) -> Any:  # noqa: N802
        """Run `create`, if there is one."""
        inputs = wire.decode(request.properties)
        identifier = f"{resource_name(request.urn)}{secrets.token_hex(4)}"
        nothing = Output("", "")
        state = previewed(inputs) if request.preview else self._run("create", inputs, nothing, request)
        return provider_pb2.CreateResponse(id=identifier, properties=wire.encode(state))

    @answered
    def Update(self, request: Any) -> Any:  # noqa: N802
        """Run `update`, or `create` where there is none."""
        inputs = wire.decode(request.news)
        if request.preview:
            state = previewed(inputs)
        else:
            name = "update" if inputs.get("update") is not None else "create"
            state = self._run(name, inputs, previous_output(wire.decode(request.olds)), request)
        return provider_pb2.UpdateResponse(properties=wire.encode(state))

    @answered
    def Read(self, request: Any) -> Any:  # noqa: N802
        """Return what is recorded; nothing is there to be asked."""
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    @answered
    def Delete(self, request: Any) -> Any:  # noqa: N802
        """Run the recorded `delete`, if there is one."""
        state = wire.decode(request.properties)
        inputs = {key: value for key, value in state.items() if key in INPUTS}
        self._run("delete", inputs, previous_output(state), request)
        return empty_pb2.Empty()

    @answered
    def Invoke(self, request: Any) -> Any:  # noqa: N802
        """Run the command of `command:local:run`, in a preview too."""
        if request.tok != _FUNCTION:
            raise OperationError(f"the stand-in command plugin does not serve the function {request.tok}")
        inputs = wire.decode(request.args)
        mistakes = [f"{place}: {reason}" for place, reason in problems(inputs)]
        if mistakes:
            raise OperationError("; ".join(mistakes))
        plain = wire.reveal(inputs)
        output = self._runner.run(str(plain.get("command", "")), plain, Output("", ""), lambda _: None)
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(wire.encode(with_output(inputs, output)))
        return response

    @answered
    def Cancel(self, request: Any) -> Any:  # noqa: ARG002, N802
        """Kill every running command."""
        self.cancel()
        return empty_pb2.Empty()

    def cancel(self) -> None:
        """Kill every running command."""
        self._runner.cancel()

    def _run(self, name: str, inputs: dict[str, Any], previous: Output, request: Any) -> dict[str, Any]:
        plain = wire.reveal(inputs)
        if plain.get(name) is None:
            return with_output(inputs, previous)

        def show(line: str) -> None:
            self.log.status(request.urn, line)

        return with_output(inputs, self._runner.run(plain[name], plain, previous, show, request.timeout))
