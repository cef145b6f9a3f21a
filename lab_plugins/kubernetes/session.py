"""One configured provider: its settings, its API server, and whether that server answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab_plugins.common.engine_log import EngineLog
from lab_plugins.common.failures import OperationError
from lab_plugins.kubernetes.api import Api, ApiError, UnreachableError
from lab_plugins.kubernetes.cancellation import Cancellation
from lab_plugins.kubernetes.discovery import Discovery, ResourceType
from lab_plugins.kubernetes.kubeconfig import KubeconfigError, connect
from lab_plugins.kubernetes.objects import Object
from lab_plugins.kubernetes.settings import Settings


@dataclass
class Session:
    """What every operation works with.

    Attributes:
        settings: the provider's inputs.
        log: messages to the user.
        cancellation: the engine's Cancel.
        namespace: the namespace of objects that name none.
        unreachable: why the cluster cannot be used; empty while it can.
    """

    settings: Settings
    log: EngineLog
    cancellation: Cancellation = field(default_factory=Cancellation)
    namespace: str = "default"
    unreachable: str = ""
    _api: Api | None = None
    _discovery: Discovery | None = None

    @property
    def api(self) -> Api:
        """The API server.

        Raises:
            OperationError: the cluster cannot be used.
        """
        if self._api is None:
            raise OperationError(f"configured Kubernetes cluster is unreachable: {self.unreachable}")
        return self._api

    @property
    def discovery(self) -> Discovery:
        """The kinds that the API server serves.

        Raises:
            OperationError: the cluster cannot be used.
        """
        if self._discovery is None:
            raise OperationError(f"configured Kubernetes cluster is unreachable: {self.unreachable}")
        return self._discovery

    def resource_type(self, obj: Object) -> ResourceType:
        """Return where objects like this one live."""
        return self.discovery.find(obj.get("apiVersion", ""), obj.get("kind", ""))

    def exists(self, obj: Object) -> bool:
        """Tell whether the API server answers and serves this kind."""
        return not self.unreachable and self.discovery.exists(obj.get("apiVersion", ""), obj.get("kind", ""))

    def namespaced(self, obj: Object) -> bool:
        """Tell whether objects of this kind live in a namespace, as far as can be known."""
        if self.unreachable:
            return bool((obj.get("metadata") or {}).get("namespace"))
        return self.discovery.namespaced(obj.get("apiVersion", ""), obj.get("kind", ""))


def open_session(settings: Settings, log: EngineLog) -> Session:
    """Connect and ask the API server once whether it is there.

    A cluster that cannot be used is remembered, not refused: a preview works without one.
    """
    session = Session(settings, log)
    try:
        connection = connect(settings.kubeconfig, settings.context, settings.cluster)
    except KubeconfigError as error:
        source = "`kubernetes:config:kubeconfig`" if settings.kubeconfig else "the environment"
        session.unreachable = f"failed to load the kubeconfig from {source}: {error}"
        session.namespace = settings.namespace or "default"
        return session
    session.namespace = settings.namespace or connection.namespace or "default"
    api = Api(connection)
    discovery = Discovery(api)
    try:
        # Unlike /version this needs valid credentials, and the answer is used again.
        discovery.find("v1", "Namespace")
    except (UnreachableError, ApiError) as error:
        session.unreachable = f"unable to load schema information from the API server: {error}"
        return session
    session._api = api
    session._discovery = discovery
    return session
