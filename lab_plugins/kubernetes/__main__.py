"""`python -m lab_plugins.kubernetes ENGINE_ADDRESS`: what the launcher `pulumi-resource-kubernetes` runs."""

import sys
from importlib.metadata import version

from lab_plugins.common.engine_log import EngineLog
from lab_plugins.common.hosting import serve
from lab_plugins.kubernetes.server import KubernetesServicer


def main() -> None:
    """Serve until the engine ends."""
    address = sys.argv[1] if len(sys.argv) > 1 else None
    servicer = KubernetesServicer(version("pulumi-kubernetes"), EngineLog(address))
    serve(servicer, on_exit=servicer.cancel)


if __name__ == "__main__":
    main()
