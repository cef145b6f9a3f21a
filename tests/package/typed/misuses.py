"""Mistakes that mypy and pyright find: a comment that suppresses nothing is itself an error. Never run."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

import pulumi

from kardinal_infra import (
    Baseline,
    BranchedDatabase,
    Flow,
    FlowOutputs,
    FlowRoutes,
    ForkedWorkload,
    NeonBranch,
)

Flow("dev", {})  # type: ignore[typeddict-item]
Flow("dev", {"baseline": 5})  # type: ignore[typeddict-item]
Flow("dev", {"baseline": "b", "isolaton": "full"})  # type: ignore[typeddict-unknown-key]
Flow("dev", {"baseline": "b", "hooks": "make seed"})  # type: ignore[typeddict-item]
Flow("dev", {"baseline": "b"}, baseline="b")  # type: ignore[call-arg]
pulumi.export("url", Flow("dev", {"baseline": "b"}).urls)  # type: ignore[attr-defined]
Flow({"baseline": "b"})  # type: ignore[call-arg, arg-type]

Baseline("app", {"namespace": "n", "domain": "d"})  # type: ignore[typeddict-item]
Baseline("app", {"namespace": "n", "domain": "d", "services": []})  # type: ignore[typeddict-item]

ForkedWorkload("web", {"workload": "web"})  # type: ignore[typeddict-item]
FlowRoutes("web", {"mesh": [], "entries": [], "drain_seconds": "2"})  # type: ignore[typeddict-item]
BranchedDatabase("b", {"request": {}, "metadata": {}, "consumers": {}})  # type: ignore[typeddict-item]

NeonBranch("b", {"project": "p", "name": "n", "database": "d"})  # type: ignore[typeddict-item]
NeonBranch.get("b", "p/br-1", database="d")  # type: ignore[call-arg]
plain: str = FlowOutputs.from_stack("dev").connection_uris  # type: ignore[assignment]
number: int = FlowOutputs.from_stack("dev").url  # type: ignore[assignment]
pulumi.export("port", NeonBranch.get("b", "p/b", database="d", role="r").ports)  # type: ignore[attr-defined]
