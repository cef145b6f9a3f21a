"""The outputs contract: what a stack exports, another program reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from kardinal_infra import BaselineOutputs, FlowOutputs
from kardinal_infra.engine.stack_outputs import FLOW_SCHEMA_VERSION, StackOutputs, read_stack_outputs
from kardinal_infra.errors import OutputsError
from kardinal_infra.outputs import DatabaseOutput, ServiceOutput
from tests.components import recorder
from tests.components.flows import URL, declare
from tests.components.recorder import Hidden, run
from tests.components.test_baseline import declare as declare_baseline
from tests.pure import samples

DEV = "organization/kardinal/dev"


def exported() -> dict[str, Any]:
    """What the demonstration's flow exports, as another program gets it: in clear, numbers as floats."""
    exports = dict(declare(databases={"votes": {"ttl": "24h"}}).exports)
    exports["connectionUris"] = json.loads(exports["connectionUris"])
    assert exports["schemaVersion"] == FLOW_SCHEMA_VERSION
    return exports


def read(outputs: Mapping[str, Any], name: str = "dev", preview: bool = False) -> FlowOutputs:
    found: list[FlowOutputs] = []
    stacks = {DEV: outputs}
    run(lambda: found.append(FlowOutputs.from_stack(name)), preview=preview, stacks=stacks)
    return found[0]


def refused(outputs: Mapping[str, Any]) -> str:
    with pytest.raises(OutputsError) as caught:
        read(outputs)
    return str(caught.value)


@pytest.mark.parametrize("name", ["dev", "kardinal/dev", "organization/kardinal/dev"])
def test_a_flow_comes_back_as_it_was_exported(name: str, preview: bool) -> None:
    outputs = exported()
    flow = read(outputs, name, preview)

    assert flow.flow == "dev"
    assert flow.url == "http://dev.voting.localhost:8080"
    assert flow.hosts == {"voting-app-ui": "dev.voting.localhost"}
    assert flow.header == {"name": "x-kardinal-flow", "value": "dev"}
    assert flow.baggage == "kardinal-flow=dev"
    assert flow.services == {
        "votes-api": ServiceOutput("votes-api:1.0", "votes-api-dev", "uses-database", "voting-app"),
        "voting-app-ui": ServiceOutput("voting-app-ui-dev", "voting-app-ui-dev", "requested", "voting-app"),
    }
    assert flow.databases == {
        "votes": DatabaseOutput(
            "br-dev-votes",
            "kardinal/voting-app/dev/votes",
            "br-main",
            "ep-dev-votes.example.test",
            "2026-12-01T00:00:00Z",
        )
    }
    assert flow.expires_at == "2026-12-01T00:00:00Z"
    assert flow.topology == outputs["topology"]
    assert flow.topology["schemaVersion"] == 1
    assert isinstance(flow.topology["schemaVersion"], int)
    assert flow.baseline_version == outputs["baselineVersion"]


def test_connection_uris_stay_secret(preview: bool) -> None:
    def program() -> None:
        flow = FlowOutputs.from_stack("dev")
        assert flow.connection_uris is not None
        pulumi.export("uri", flow.connection_uris["votes"])
        assert "pa%27ss" not in repr(flow)

    exports = run(program, preview=preview, stacks={DEV: exported()}).exports
    assert exports["uri"] == Hidden(URL)
    assert isinstance(exports["uri"], Hidden)


def test_outputs_that_were_got_elsewhere_need_no_secrets() -> None:
    values = {key: value for key, value in exported().items() if key != "connectionUris"}
    outputs = StackOutputs(DEV, values)

    flow = FlowOutputs.from_values(outputs)
    assert flow.connection_uris is None
    assert flow.flow == "dev"


def test_what_a_flow_may_lack() -> None:
    outputs = exported()
    for key in ("url", "expiresAt"):
        del outputs[key]
    del outputs["databases"]["votes"]["expiresAt"]

    flow = read(outputs)
    assert (flow.url, flow.expires_at) == (None, None)
    assert flow.databases["votes"].expires_at is None


def test_what_a_flow_accepts_is_told_by_the_names_of_the_rules() -> None:
    accepted = [{"rule": rule, "path": path} for rule, path in (("b", "x"), ("a", "x"), ("b", "y"))]
    assert read({**exported(), "acknowledged": accepted}).acknowledged == ("a", "b")
    assert read(exported()).acknowledged == ()


def test_an_unknown_stack_is_named() -> None:
    with pytest.raises(OutputsError) as caught:
        run(lambda: FlowOutputs.from_stack("pr-9"))

    assert str(caught.value) == (
        'stack "organization/kardinal/pr-9" cannot be read: unknown stack "organization/kardinal/pr-9"'
    )


def test_a_stack_that_is_no_flow_is_named() -> None:
    assert refused({"topology": {}, "connectionUris": {}}) == (
        f'stack "{DEV}" is not a flow: it exports no "flow"'
    )
    assert refused({}) == f'stack "{DEV}" is not a flow: it exports no "flow"'


@pytest.mark.parametrize("version", [0, 2, None])
def test_another_version_is_refused_with_what_to_do(version: int | None) -> None:
    message = refused({**exported(), "schemaVersion": version})

    assert f"outputs of version {version}, this library reads 1: run `pulumi up` on it" in message


@pytest.mark.parametrize("key", ["hosts", "services", "databases", "baselineVersion", "connectionUris"])
def test_a_missing_output_is_named(key: str) -> None:
    outputs = exported()
    del outputs[key]

    assert f'stack "{DEV}" exports no "{key}"' in refused(outputs)


@pytest.mark.parametrize(
    "change",
    [
        {"services": {"ui": {"image": "x"}}},
        {"services": ["ui"]},
        {"databases": {"votes": {"branchId": "br-1"}}},
        {"databases": None},
        {"acknowledged": [{"severity": "error"}]},
    ],
)
def test_an_output_of_another_shape_is_an_error_of_the_reader(change: dict[str, Any]) -> None:
    message = refused({**exported(), **change})

    assert f'stack "{DEV}"' in message
    assert next(iter(change)) in message


def test_later_versions_may_tell_more_of_a_service() -> None:
    outputs = exported()
    outputs["services"]["votes-api"]["replicas"] = 2
    outputs["region"] = "eu"

    assert read(outputs).services["votes-api"].fork == "votes-api-dev"


def test_a_baseline_comes_back_as_it_was_exported(preview: bool) -> None:
    stacks = {"organization/shop/live": declare_baseline().exports}
    found: list[BaselineOutputs] = []
    run(lambda: found.append(BaselineOutputs.from_stack("shop/live")), preview=preview, stacks=stacks)

    assert found[0].stack == "organization/shop/live"
    assert found[0].topology == samples.topology()


@pytest.mark.parametrize(
    ("outputs", "message"),
    [({}, 'exports no "topology"'), ({"topology": {"schemaVersion": 9}}, "newer (schemaVersion 9)")],
)
def test_a_stack_that_is_no_baseline_is_named(outputs: dict[str, Any], message: str) -> None:
    stacks = {"organization/kardinal/live": outputs}
    with pytest.raises(OutputsError) as caught:
        run(lambda: BaselineOutputs.from_stack("live"), stacks=stacks)

    assert message in str(caught.value)
    assert "organization/kardinal/live" in str(caught.value)


def test_no_repr_shows_a_value_of_another_stack() -> None:
    found: list[StackOutputs] = []
    run(lambda: found.append(read_stack_outputs("dev")), stacks={DEV: exported()})

    [outputs] = found
    assert URL in outputs.values["connectionUris"].values()
    assert "pa%27ss" not in repr(outputs)
    assert "connectionUris" in repr(outputs)


def test_the_reader_asks_the_engine_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    call = recorder.Cloud.call

    def counted(self: recorder.Cloud, args: Any) -> Any:
        asked.append(args.args["name"])
        return call(self, args)

    monkeypatch.setattr(recorder.Cloud, "call", counted)
    read(exported())
    assert asked == [DEV]
