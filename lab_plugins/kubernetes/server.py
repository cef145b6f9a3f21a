"""The provider's RPCs: from protobuf to the operations and back."""

from __future__ import annotations

from typing import Any

from google.protobuf import empty_pb2

from lab_plugins.common import wire
from lab_plugins.common.engine_log import EngineLog
from lab_plugins.common.failures import OperationError
from lab_plugins.common.protos import provider_pb2
from lab_plugins.common.servicer import PluginServicer, answered
from lab_plugins.kubernetes import naming
from lab_plugins.kubernetes.check import check
from lab_plugins.kubernetes.create import create
from lab_plugins.kubernetes.delete import delete
from lab_plugins.kubernetes.diff import ChangeKind, changes
from lab_plugins.kubernetes.normalize import normalize
from lab_plugins.kubernetes.objects import name_of, namespace_of
from lab_plugins.kubernetes.property_paths import covers, parse, spell
from lab_plugins.kubernetes.provider_config import diff_config
from lab_plugins.kubernetes.read import read
from lab_plugins.kubernetes.replace_rules import forces_replacement, replacing_fields
from lab_plugins.kubernetes.session import Session, open_session
from lab_plugins.kubernetes.settings import read_settings
from lab_plugins.kubernetes.state import read_state, to_manifest
from lab_plugins.kubernetes.unready import PLACE, must_replace
from lab_plugins.kubernetes.update import update

_Diff = provider_pb2.PropertyDiff
_KINDS = {
    (ChangeKind.ADD, False): _Diff.ADD,
    (ChangeKind.ADD, True): _Diff.ADD_REPLACE,
    (ChangeKind.DELETE, False): _Diff.DELETE,
    (ChangeKind.DELETE, True): _Diff.DELETE_REPLACE,
    (ChangeKind.UPDATE, False): _Diff.UPDATE,
    (ChangeKind.UPDATE, True): _Diff.UPDATE_REPLACE,
}


class KubernetesServicer(PluginServicer):
    """Serves the kubernetes package.

    Args:
        version: the version to report.
        log: where messages for the user go.
    """

    def __init__(self, version: str, log: EngineLog) -> None:
        super().__init__("kubernetes", version, log)
        self._session: Session | None = None

    @property
    def _configured(self) -> Session:
        if self._session is None:
            raise OperationError("the kubernetes provider was used before it was configured")
        return self._session

    @answered
    def CheckConfig(self, request: Any) -> Any:  # noqa: N802
        """Accept the provider's inputs as they are."""
        return provider_pb2.CheckResponse(inputs=request.news)

    @answered
    def DiffConfig(self, request: Any) -> Any:  # noqa: N802
        """Tell whether the provider still means the same cluster."""
        diff = diff_config(wire.decode(request.olds), wire.decode(request.news))
        some = provider_pb2.DiffResponse.DIFF_SOME if diff.changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=some, diffs=diff.changed, replaces=diff.replaces)

    @answered
    def Configure(self, request: Any) -> Any:  # noqa: N802
        """Connect; an unreachable cluster is no failure yet."""
        self._session = open_session(read_settings(request.variables), self.log)
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    @answered
    def Check(self, request: Any) -> Any:  # noqa: N802
        """Complete the inputs."""
        session = self._configured
        if session.unreachable and session.settings.skip_update_unreachable:
            session.log.warning(
                request.urn, "Cluster is unreachable but skipUpdateUnreachable is set, skipping..."
            )
            return provider_pb2.CheckResponse(inputs=request.olds)
        options = provider_pb2.CheckRequest.AutonamingOptions
        proposed = ""
        if request.HasField("autonaming"):
            if request.autonaming.mode == options.DISABLE:
                inputs = to_manifest(wire.decode(request.news))
                if not naming.is_named(inputs) and not len(request.olds.fields):
                    raise OperationError(
                        "autonaming is disabled, resource requires the .metadata.name field to be set"
                    )
            proposed = request.autonaming.proposed_name
        checked = check(
            session,
            request.urn,
            wire.decode(request.olds),
            wire.decode(request.news),
            request.randomSeed,
            proposed,
        )
        return provider_pb2.CheckResponse(
            inputs=wire.encode(checked.inputs),
            failures=[
                provider_pb2.CheckFailure(property=place, reason=why) for place, why in checked.failures
            ],
        )

    @answered
    def Diff(self, request: Any) -> Any:  # noqa: N802
        """Compare the recorded object with the new inputs."""
        session = self._configured
        state = read_state(wire.decode(request.olds))
        inputs = normalize(to_manifest(wire.decode(request.news)))
        fields = replacing_fields(
            inputs,
            secret_mutable=session.settings.secret_mutable,
            config_map_mutable=session.settings.config_map_mutable,
        )
        ignored = [parse(text) for text in request.ignoreChanges]
        detailed, replaces = {}, []
        for change in changes(state, inputs, namespaced=session.namespaced(inputs)):
            if any(covers(place, change.path) for place in ignored):
                continue
            replace = forces_replacement(change.path, change.value, fields)
            place = spell(change.path)
            detailed[place] = _Diff(
                kind=_KINDS[change.kind, replace], inputDiff=change.kind is ChangeKind.DELETE
            )
            if replace:
                replaces.append(place)
        if must_replace(session, request.id, inputs):
            detailed[PLACE] = _Diff(kind=_KINDS[ChangeKind.UPDATE, True])
            replaces.append(PLACE)
        same_object = (name_of(inputs), namespace_of(inputs) or "default") == (
            name_of(state.live),
            namespace_of(state.live) or "default",
        )
        some = provider_pb2.DiffResponse.DIFF_SOME if detailed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some,
            replaces=replaces,
            detailedDiff=detailed,
            hasDetailedDiff=True,
            deleteBeforeReplace=bool(replaces)
            and naming.is_named(inputs)
            and not naming.is_autonamed(inputs)
            and same_object,
        )

    @answered
    def Create(self, request: Any) -> Any:  # noqa: N802
        """Create an object."""
        created = create(
            self._configured,
            request.urn,
            wire.decode(request.properties),
            request.timeout,
            preview=request.preview,
        )
        return provider_pb2.CreateResponse(id=created.id, properties=wire.encode(created.properties))

    @answered
    def Update(self, request: Any) -> Any:  # noqa: N802
        """Change an object in place."""
        properties = update(
            self._configured,
            request.urn,
            wire.decode(request.olds),
            wire.decode(request.news),
            list(request.ignoreChanges),
            request.timeout,
            preview=request.preview,
        )
        return provider_pb2.UpdateResponse(properties=wire.encode(properties))

    @answered
    def Read(self, request: Any) -> Any:  # noqa: N802
        """Read an object."""
        found = read(
            self._configured,
            request.urn,
            request.id,
            wire.decode(request.properties),
            wire.decode(request.inputs),
        )
        if not found.id:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=found.id, properties=wire.encode(found.properties), inputs=wire.encode(found.inputs)
        )

    @answered
    def Delete(self, request: Any) -> Any:  # noqa: N802
        """Delete an object."""
        delete(self._configured, request.urn, request.id, wire.decode(request.properties), request.timeout)
        return empty_pb2.Empty()

    @answered
    def Invoke(self, request: Any) -> Any:  # noqa: N802
        """Decline every function, with its name."""
        raise OperationError(
            f"the stand-in kubernetes plugin does not serve the function {request.tok}; "
            "install the official one (`pulumi plugin install resource kubernetes`)"
        )

    @answered
    def Cancel(self, request: Any) -> Any:  # noqa: ARG002, N802
        """End every wait; the objects stay in the state as not ready."""
        self.cancel()
        return empty_pb2.Empty()

    def cancel(self) -> None:
        """End every wait."""
        if self._session is not None:
            self._session.cancellation.request()
