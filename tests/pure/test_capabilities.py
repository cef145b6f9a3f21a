"""What the plan asks of a branching backend: where parents are, which hand-over it has, whether it is one."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from kardinal_infra.config import Capabilities, CapabilitiesOf, read_flow
from kardinal_infra.errors import ConfigError, Problem
from kardinal_infra.model.topology import Topology
from kardinal_infra.plan import FlowPlan, make_plan
from tests.pure.samples import BASELINE_STACK, FLOW, STACK, TOPOLOGY, live

LOCKED = {"mode": "locked", "allow": ["tcp://10.0.0.5:5432"]}


def planned(capabilities: CapabilitiesOf | None, *, egress: Any = None, **database: Any) -> FlowPlan:
    databases = {"votes": {**deepcopy(TOPOLOGY["databases"]["votes"]), "backend": "any", **database}}
    app = Topology.from_plain({**deepcopy(TOPOLOGY), "databases": databases}, BASELINE_STACK)
    loaded = read_flow({**deepcopy(FLOW), **({"egress": egress} if egress else {})}, "dev")
    assert loaded.config is not None
    return make_plan(app, loaded.config, live(), stack=STACK, capabilities=capabilities)


def able(**changes: Any) -> CapabilitiesOf:
    return {"any": Capabilities(**changes)}.__getitem__


def refusals(capabilities: CapabilitiesOf | None, **changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        planned(capabilities, **changes)
    return str(caught.value).splitlines()


def test_a_project_that_is_a_server_is_a_parent_that_no_allow_list_leads_to() -> None:
    refused = [
        'kardinal:flow.egress.allow[0]: "tcp://10.0.0.5:5432" leads to the parent of a branched database,'
        " which the lock is there to close"
    ]
    for project in ("10.0.0.5", "10.0.0.5:5432"):
        assert refusals(able(project_is_server=True), egress=LOCKED, project=project) == refused
        assert planned(able(), egress=LOCKED, project=project).egress.locked
    # Of what nothing is known it may be one.
    assert refusals(None, egress=LOCKED, project="10.0.0.5") == refused


def test_a_hand_over_that_the_backend_does_not_have_is_refused() -> None:
    wanted = {"handover": "sidecar", "host": "votes-db"}
    assert refusals(able(), **wanted) == [
        "kardinal:flow.databases.votes.handover: the branching backend any has no hand-over"
        ' "sidecar"; use "env"'
    ]
    assert planned(able(sidecar_port=5432), **wanted).databases[0].handover == "sidecar"


def test_a_backend_that_is_not_installed_here_is_told_with_everything_else() -> None:
    def missing(name: str) -> Capabilities:
        raise ConfigError([Problem("backend", f'there is no branching backend "{name}"; installed are none')])

    assert refusals(missing, ttl="7d", protected=True) == [
        "kardinal:flow.databases.votes.ttl: cannot be set on a protected branch: those never expire",
        'topology.databases.votes.backend: there is no branching backend "any"; installed are none',
    ]
