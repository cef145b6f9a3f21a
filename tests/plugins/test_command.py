"""The command plugin over gRPC, with real commands."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2

from lab_plugins.common import wire
from lab_plugins.common.wire import UNKNOWN, Secret
from tests.plugins.conftest import Plugin

COMMAND = "command:local:Command"


@pytest.fixture
def command(start: Callable[..., Plugin]) -> Plugin:
    plugin = start("lab_plugins.command")
    plugin.stub.Configure(provider_pb2.ConfigureRequest(acceptSecrets=True))
    return plugin


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie waits for its parent to read its status; it runs no more.
    return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"


def test_create_update_and_delete_run_their_commands(command: Plugin, tmp_path: Path) -> None:
    file = tmp_path / "log"
    inputs = {
        "create": "printf 'made %s\\n' $NAME; cat; echo trouble >&2",
        "update": f"echo was $PULUMI_COMMAND_STDOUT, $PULUMI_COMMAND_STDERR >> {file}; echo updated",
        "delete": f"echo deleted after $PULUMI_COMMAND_STDOUT >> {file}",
        "environment": {"NAME": "it"},
        "stdin": "given",
    }
    identifier, state = command.create(COMMAND, "c", command.check(COMMAND, "c", inputs))
    assert identifier.startswith("c")
    assert (state["stdout"], state["stderr"]) == ("made it\ngiven", "trouble")
    state = command.update(COMMAND, "c", identifier, state, {**inputs, "environment": {"NAME": "other"}})
    assert (state["stdout"], state["stderr"]) == ("updated", "")
    command.delete(COMMAND, "c", identifier, state)
    assert file.read_text() == "was made it given, trouble\ndeleted after updated\n"


def test_update_falls_back_on_create(command: Plugin) -> None:
    _, state = command.create(COMMAND, "c", {"create": "echo $PULUMI_COMMAND_STDOUT+"})
    assert (
        command.update(COMMAND, "c", "c1", state, {"create": "echo $PULUMI_COMMAND_STDOUT+"})["stdout"]
        == "++"
    )
    quiet = {"create": "echo $PULUMI_COMMAND_STDOUT+", "addPreviousOutputInEnv": False}
    assert command.update(COMMAND, "c", "c1", state, quiet)["stdout"] == "+"


def test_nothing_to_run_is_fine(command: Plugin) -> None:
    identifier, state = command.create(COMMAND, "c", {"delete": "true"})
    assert (state["stdout"], state["stderr"]) == ("", "")
    command.delete(COMMAND, "c", identifier, {"create": "false", "stdout": "", "stderr": ""})


def test_where_and_by_what_it_runs(command: Plugin, tmp_path: Path) -> None:
    inputs = {
        "create": "import os; print(os.getcwd())",
        "interpreter": ["python3", "-c"],
        "dir": str(tmp_path),
    }
    assert command.create(COMMAND, "c", inputs)[1]["stdout"] == str(tmp_path)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            {"create": "echo out; echo oops >&2; exit 3"},
            'exit status 3: running "echo out; echo oops >&2; exit 3":\n',
        ),
        ({"create": "kill -9 $$"}, "signal: SIGKILL"),
        ({"create": "true", "dir": "/not/there"}, "/not/there"),
        ({"create": "true", "interpreter": ["/not/there"]}, "/not/there"),
    ],
)
def test_a_failed_command_says_what_it_wrote(command: Plugin, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        command.create(COMMAND, "c", inputs)
    assert message in (error.value.details() or "")
    if "oops" in message:
        assert sorted((error.value.details() or "").splitlines()[1:]) == ["oops", "out"]


def test_a_preview_runs_nothing(command: Plugin, tmp_path: Path) -> None:
    inputs = {"create": f"touch {tmp_path}/made"}
    _, state = command.create(COMMAND, "c", inputs, preview=True)
    assert (state["stdout"], state["stderr"]) == (UNKNOWN, UNKNOWN)
    assert (
        command.update(COMMAND, "c", "c1", {**inputs, "stdout": "x"}, inputs, preview=True)["stdout"]
        is UNKNOWN
    )
    assert not list(tmp_path.iterdir())


def test_one_secret_input_makes_the_output_secret(command: Plugin) -> None:
    _, state = command.create(COMMAND, "c", {"create": "echo $A", "environment": {"A": Secret("hunter2")}})
    assert state["stdout"] == Secret("hunter2")
    assert state["environment"] == {"A": Secret("hunter2")}
    assert command.create(COMMAND, "c", {"create": "echo x"})[1]["stdout"] == "x"


def test_other_triggers_mean_another_resource(command: Plugin) -> None:
    state = {
        "create": "x",
        "triggers": ["a", {"b": 1}],
        "environment": {"A": "1"},
        "stdout": "s",
        "stderr": "",
    }
    same = {key: state[key] for key in ("create", "triggers", "environment")}
    assert command.diff(COMMAND, "c", state, same).changes == provider_pb2.DiffResponse.DIFF_NONE
    diff = command.diff(
        COMMAND, "c", state, {**same, "triggers": ["a", {"b": 2}, "c"], "environment": {"A": "2"}}
    )
    assert sorted(diff.replaces) == ["triggers[1].b", "triggers[2]"]
    assert diff.detailedDiff["environment.A"].kind == provider_pb2.PropertyDiff.UPDATE
    assert not diff.deleteBeforeReplace
    unknown = command.diff(COMMAND, "c", state, {**same, "triggers": [UNKNOWN, {"b": 1}]})
    assert list(unknown.replaces) == ["triggers[0]"]
    ignored = command.diff(
        COMMAND, "c", state, {**same, "environment": {"A": "2"}}, ignoreChanges=["environment"]
    )
    assert not ignored.detailedDiff


def test_mistakes_are_all_named(command: Plugin) -> None:
    inputs = {"assetPaths": ["*"], "create": 3, "environment": {"A": 1}, "logging": "loud"}
    failures = {
        failure.property: failure.reason for failure in command.check_raw(COMMAND, "c", inputs).failures
    }
    assert set(failures) == {"assetPaths", "create", "environment.A", "logging"}
    assert "does not collect files" in failures["assetPaths"]


def test_remote_commands_are_declined(command: Plugin) -> None:
    with pytest.raises(grpc.RpcError, match="does not serve command:remote:Command"):
        command.check("command:remote:Command", "c", {})


def test_the_function_runs_at_once(command: Plugin) -> None:
    def invoke(token: str, **arguments: Any) -> Any:
        request = provider_pb2.InvokeRequest(tok=token, args=wire.encode(arguments))
        return wire.decode(getattr(command.stub.Invoke(request), "return"))

    assert invoke("command:local:run", command="echo hi")["stdout"] == "hi"
    with pytest.raises(grpc.RpcError, match="exit status 2"):
        invoke("command:local:run", command="exit 2")
    with pytest.raises(grpc.RpcError, match="does not serve the function x:y:z"):
        invoke("x:y:z")


def test_cancel_kills_the_command_and_its_children(command: Plugin, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    os.mkfifo(pids)
    script = f"sleep 600 & echo $$ $! > {pids}; wait"
    running = command.background(command.create, COMMAND, "c", {"create": script})
    shell, child = (int(pid) for pid in pids.read_text().split())
    command.cancel()
    with pytest.raises(grpc.RpcError, match="signal: SIGKILL"):
        running.result(timeout=10)
    assert not alive(shell)
    assert not alive(child)
    with pytest.raises(grpc.RpcError, match="cancelled"):
        command.create(COMMAND, "c", {"create": "true"})


def test_a_command_that_takes_too_long_is_killed(command: Plugin) -> None:
    with pytest.raises(grpc.RpcError, match="signal: SIGKILL"):
        command.create(COMMAND, "c", {"create": "sleep 600"}, timeout=0.2)


def test_the_end_of_the_plugin_is_the_end_of_its_commands(command: Plugin, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    os.mkfifo(pids)
    running = command.background(command.create, COMMAND, "c", {"create": f"echo $$ > {pids}; sleep 600"})
    shell = int(pids.read_text())
    command.process.send_signal(signal.SIGTERM)
    command.process.wait(timeout=10)
    with pytest.raises(grpc.RpcError):
        running.result(timeout=10)
    assert not alive(shell)
