"""`python -m lab_plugins.command ENGINE_ADDRESS`: what the launcher `pulumi-resource-command` runs."""

import sys
from importlib.metadata import version

from lab_plugins.command.server import CommandServicer
from lab_plugins.common.engine_log import EngineLog
from lab_plugins.common.hosting import serve


def main() -> None:
    """Serve until the engine ends."""
    address = sys.argv[1] if len(sys.argv) > 1 else None
    servicer = CommandServicer(version("pulumi-command"), EngineLog(address))
    serve(servicer, on_exit=servicer.cancel)


if __name__ == "__main__":
    main()
