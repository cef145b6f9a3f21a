"""Fresh and shared stores of a flow: what is declared for them, in which order, and what is exported."""

from __future__ import annotations

from typing import Any

import pytest

from kardinal_infra.engine.stack_outputs import StackOutputs
from kardinal_infra.outputs import FlowOutputs, StoreOutput
from tests.components import recorder
from tests.components.flows import declare, environment
from tests.components.recorder import Hidden, Stack
from tests.pure import queued
from tests.pure.queued import FRESH_HOST, FRESH_URL

REQUESTED = {"api": {"image": "api:2.0"}}


def stack(*, preview: bool = False, **changes: Any) -> Stack:
    return declare(
        preview=preview,
        topology=queued.shop(),
        live=queued.cluster(),
        **{"services": REQUESTED, **changes},
    )


def read(found: Stack) -> FlowOutputs:
    return FlowOutputs.from_values(StackOutputs("organization/kardinal/dev", found.exports))


def test_a_fresh_store_is_there_before_its_users_start(preview: bool) -> None:
    found = stack(preview=preview)
    store = [found.one(recorder.STATEFUL_SET, "queue-dev"), found.one(recorder.SERVICE, "queue-dev")]
    for user in ("api-dev", "worker-dev"):
        deployment = found.one(recorder.DEPLOYMENT, user)
        assert all(found.waits_for(deployment, item) for item in store)
        assert not any(found.waits_for(item, deployment) for item in store)


def test_its_users_get_its_address_as_a_secret() -> None:
    found = stack()
    for user in ("api-dev", "worker-dev"):
        url = environment(found.one(recorder.DEPLOYMENT, user))["QUEUE_URL"]
        assert isinstance(url, Hidden)
        assert url == FRESH_URL


def test_its_volume_is_marked_as_the_flows() -> None:
    [claim] = stack().one(recorder.STATEFUL_SET).inputs["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["labels"]["kardinal.dev/flow"] == "dev"
    assert claim["metadata"]["annotations"]["kardinal.dev/stack"] == "organization/kardinal/dev"


def test_nothing_is_routed_to_it() -> None:
    found = stack()
    assert not [item for item in found.all(recorder.HTTP_ROUTE) if "queue" in item.name]


@pytest.mark.parametrize(
    ("mode", "store"),
    [
        ("fresh", StoreOutput("fresh", FRESH_HOST, 6379, "queue-dev")),
        ("share", StoreOutput("share", FRESH_HOST.replace("queue-dev", "queue"), 6379, None)),
    ],
)
def test_outputs_say_where_a_store_is(mode: str, store: StoreOutput) -> None:
    found = stack(stores={"queue": mode})
    assert read(found).stores == {"queue": store}
    reasons = {name: service.reason for name, service in read(found).services.items()}
    wanted = {"api": "requested", "worker": "uses-database", "queue": "fresh-store"}
    assert reasons == (wanted if mode == "fresh" else {"api": "requested"})


def test_a_flow_that_touches_no_store_exports_none() -> None:
    found = stack(services={"stats": {}})
    assert "stores" not in found.exports
    assert read(found).stores == {}
    assert read(found).services["stats"].image == "stats:1.0"
