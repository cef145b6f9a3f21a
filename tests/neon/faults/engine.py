"""What Pulumi's engine does with a flow's guard and branches, one call after the other, in this process.

The state is what the engine would have written: a resource is in it from the moment its create has answered,
and a step that dies leaves what was written before. Values pass through the engine's own wire format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format, struct_pb2
from pulumi.dynamic import ConfigureRequest
from pulumi.dynamic.config import Config

from kardinal_infra.components.leftovers import LeftoversProvider
from kardinal_infra.databases.neon.provider import NeonBranchProvider
from kardinal_infra.databases.request import BranchRequest

Props = dict[str, Any]


def wire(props: Mapping[str, Any]) -> Props:
    """Values as they come back from the engine: whole numbers as floats, no tuples."""
    return json_format.MessageToDict(json_format.ParseDict(dict(props), struct_pb2.Struct()))


@dataclass
class Known:
    """A branch in the state.

    Attributes:
        id: `<project id>/<branch id>`.
        outs: Its inputs and outputs.
    """

    id: str
    outs: Props


@dataclass(eq=False)
class Stack:
    """A flow's stack.

    Attributes:
        name: Stack name.
        saved: Called with what was done before it is written down; may be the end of the process.
        handed_out: Called with the outputs of every resource that answered.
        branches: The branches in the state, by resource name.
        guard: The guard in the state.
        unsure: What an update that failed was to bring about, by resource name, None for a delete: only a
            refresh, or the same once more, shows how much of it there is.
    """

    name: str
    saved: Callable[[str], None]
    handed_out: Callable[[Props], None]
    branches: dict[str, Known] = field(default_factory=dict)
    guard: Props | None = None
    unsure: dict[str, BranchRequest | None] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """Its owner annotation."""
        return f"organization/kardinal/{self.name}"

    def guarded(self) -> set[str]:
        """Names of the branches that the guard will look for when it is deleted."""
        marks = [*self.guard["branches"], *self.guard.get("former", ())] if self.guard else []
        return {mark["request"]["name"] for mark in marks}

    def up(self, wanted: Mapping[str, BranchRequest], *, refresh: bool = False) -> None:
        """`pulumi up`: the guard first, then the branches, then what is not wanted any more.

        Args:
            wanted: The program: request by resource name.
            refresh: Look at what there is first.
        """
        if refresh:
            self._refresh()
        self._guard(wanted)
        for name, request in wanted.items():
            self._branch(name, request)
        for name in [name for name in self.branches if name not in wanted]:
            self._delete(name)

    def destroy(self) -> None:
        """`pulumi destroy`: the branches, then the guard, which looks for what the state does not know."""
        for name in list(self.branches):
            self._delete(name)
        if self.guard is not None:
            configured(LeftoversProvider()).delete("leftovers", self.guard)
            self.saved("the end of the guard")
            self.guard = None

    def _guard(self, wanted: Mapping[str, BranchRequest]) -> None:
        guard = configured(LeftoversProvider())
        marks = [{"backend": "neon", "request": request.to_plain()} for request in wanted.values()]
        props = wire({"namespace": "shop", "flow": self.name, "stack": self.mark, "branches": marks})
        if self.guard is None:
            outs = guard.create(props).outs
        elif guard.diff("leftovers", self.guard, props).changes:
            outs = guard.update("leftovers", self.guard, props).outs
        else:
            return
        self.saved("the guard")
        self.guard = wire(outs or {})

    def _branch(self, name: str, request: BranchRequest) -> None:
        provider = configured(NeonBranchProvider())
        known = self.branches.get(name)
        checked = provider.check(known.outs if known else {}, wire(request.to_plain()))
        assert not checked.failures, [(item.property, item.reason) for item in checked.failures]
        if known is not None:
            plan = provider.diff(known.id, known.outs, checked.inputs)
            if plan.replaces:
                assert plan.delete_before_replace
                self._delete(name)
            elif plan.changes:
                self._update(name, request, known, checked.inputs)
                return
            else:
                return
        made = provider.create(checked.inputs)
        self.handed_out(made.outs or {})
        self.saved(f"the create of {name}")
        self.branches[name] = Known(made.id, wire(made.outs or {}))

    def _update(self, name: str, request: BranchRequest, known: Known, inputs: Props) -> None:
        if self.unsure.get(name, request) is not None:
            self.unsure[name] = request
        outs = configured(NeonBranchProvider()).update(known.id, known.outs, inputs).outs or {}
        self.handed_out(outs)
        self.saved(f"the update of {name}")
        self.branches[name] = Known(known.id, wire(outs))
        self.unsure.pop(name, None)

    def _delete(self, name: str) -> None:
        known = self.branches[name]
        self.unsure[name] = None
        configured(NeonBranchProvider()).delete(known.id, known.outs)
        self.saved(f"the delete of {name}")
        del self.branches[name]
        self.unsure.pop(name, None)

    def _refresh(self) -> None:
        for name, known in list(self.branches.items()):
            read = configured(NeonBranchProvider()).read(known.id, known.outs)
            if read.id is None:
                self.saved(f"the loss of {name}")
                del self.branches[name]
            else:
                self.handed_out(read.outs or {})
                self.saved(f"the refresh of {name}")
                self.branches[name] = Known(known.id, wire(read.outs or {}))
            self.unsure.pop(name, None)


def configured(provider: Any) -> Any:
    """A provider as a new process of it is."""
    provider.configure(ConfigureRequest(Config({}, "kardinal")))
    return provider
