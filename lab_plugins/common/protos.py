"""The Pulumi SDK's generated protobufs, loaded without the SDK around them.

`import pulumi` takes longer than everything else a plugin does at start, and a plugin starts in every phase
of every run. The generated package needs nothing of the SDK, so it is loaded on its own, under a name of its
own.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

_ALIAS = "kardinal_pulumi_protos"


def _load_package() -> None:
    if _ALIAS in sys.modules:
        return
    sdk = importlib.util.find_spec("pulumi")
    if sdk is None or not sdk.submodule_search_locations:
        raise ImportError("the Pulumi SDK (distribution 'pulumi') is not installed in this environment")
    folder = Path(sdk.submodule_search_locations[0]) / "runtime" / "proto"
    spec = importlib.util.spec_from_file_location(
        _ALIAS, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no protobufs in {folder}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_ALIAS] = module
    spec.loader.exec_module(module)


if TYPE_CHECKING:
    from pulumi.runtime.proto import engine_pb2, plugin_pb2, provider_pb2
    from pulumi.runtime.proto import engine_pb2_grpc as engine_grpc
    from pulumi.runtime.proto import provider_pb2_grpc as provider_grpc
else:
    _load_package()
    engine_pb2 = importlib.import_module(f"{_ALIAS}.engine_pb2")
    engine_grpc = importlib.import_module(f"{_ALIAS}.engine_pb2_grpc")
    plugin_pb2 = importlib.import_module(f"{_ALIAS}.plugin_pb2")
    provider_pb2 = importlib.import_module(f"{_ALIAS}.provider_pb2")
    provider_grpc = importlib.import_module(f"{_ALIAS}.provider_pb2_grpc")

__all__ = ["engine_grpc", "engine_pb2", "plugin_pb2", "provider_grpc", "provider_pb2"]
