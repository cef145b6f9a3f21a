"""The doctor on the real mesh: what it finds, what it leaves behind, and what production notices."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from kardinal_infra.cli.doctor import DROPPED
from kardinal_infra.cluster.client import connect
from kardinal_infra.cluster.snapshot import read_live
from kardinal_infra.doctor import Diagnosis, Question, diagnose, plan_probe
from kardinal_infra.doctor.making import remove_dead
from kardinal_infra.doctor.marks import new_key
from kardinal_infra.routing.key import Key
from lab.demo_project import Project, project_environment
from lab.toolchain import ensure_pulumi
from tests.doctor.conftest import FLOW, FORK, IMAGE, Shop, eventually

pytestmark = pytest.mark.lab

PRODUCTION = "front middle back"


def ask(shop: Shop, path: str, *, seconds: float) -> Diagnosis:
    question = Question(shop.topology, paths=(path,), seconds=seconds, key=Key(asked=("header", "baggage")))
    return diagnose(question, kubeconfig=shop.kubeconfig)


def states(found: Diagnosis) -> dict[str, tuple[str, str | None, list[str]]]:
    return {
        trace.carrier: (trace.state, trace.first_drop, [edge.state for edge in trace.edges])
        for trace in found.traces
    }


@contextmanager
def untagged(shop: Shop) -> Iterator[list[str]]:
    """Production's users, all the while."""
    answers: list[str] = []
    over = threading.Event()

    def use() -> None:
        with httpx.Client(headers={"host": "shop.example"}, timeout=20, trust_env=False) as client:
            while not over.wait(0.05):
                answer = client.get(f"http://{shop.address}/")
                answers.append(answer.text if answer.status_code == 200 else str(answer.status_code))

    # The Gateway takes its routes some time after it has an address.
    with httpx.Client(headers={"host": "shop.example"}, timeout=20, trust_env=False) as client:
        eventually(lambda: client.get(f"http://{shop.address}/").text == PRODUCTION, "production")
    user = threading.Thread(target=use)
    user.start()
    try:
        yield answers
    finally:
        over.set()
        user.join()


def test_a_service_that_drops_the_key_is_named_and_production_notices_nothing(running: Shop) -> None:
    with untagged(running) as answers:
        before = running.objects()
        whole = states(ask(running, "/", seconds=10))
        dropped = states(ask(running, "/?drop=middle", seconds=1))
        assert running.objects() == before
    assert whole == {
        "header": ("passed", None, ["passed", "passed"]),
        "baggage": ("passed", None, ["passed", "passed"]),
    }
    assert dropped == {
        "header": ("dropped", "middle", ["passed", "missing"]),
        "baggage": ("dropped", "middle", ["passed", "missing"]),
    }
    assert len(answers) > 20
    assert set(answers) == {PRODUCTION}


RUN = """
import json, sys
from kardinal_infra.doctor import Question, diagnose
from kardinal_infra.model.topology import Topology
topology = Topology.model_validate(json.loads(sys.argv[1]))
diagnose(Question(topology, paths=("/?drop=middle",), seconds=60), kubeconfig=sys.argv[2])
"""


def test_the_cluster_itself_removes_what_a_killed_run_has_left(running: Shop) -> None:
    before = running.objects()
    command = [sys.executable, "-c", RUN, json.dumps(running.plain), running.kubeconfig]
    process = subprocess.Popen(command)
    try:
        eventually(lambda: any("front-doctor" in name for name in running.objects()), "the routes")
    finally:
        process.kill()
        process.wait()
    with connect(running.namespace, kubeconfig=running.kubeconfig) as client:
        assert remove_dead(client, [running.namespace]) == []  # for it could still be alive
    [job] = json.loads(running.kubectl("get", "jobs", "-o", "json"))["items"]
    # What the Job's own deadline does, only sooner.
    running.kubectl("patch", "job", job["metadata"]["name"], "-p", '{"spec": {"activeDeadlineSeconds": 1}}')
    eventually(lambda: running.objects() == before, "the cluster to clean up")


def test_the_next_run_removes_what_has_no_job_any_more(running: Shop) -> None:
    before = running.objects()
    live = read_live(running.namespace, kubeconfig=running.kubeconfig)
    plan = plan_probe(running.topology, live, new_key(), IMAGE)
    running.apply(*plan.objects)
    with connect(running.namespace, kubeconfig=running.kubeconfig) as client:
        removed = remove_dead(client, [running.namespace])
    assert len(removed) == len(plan.objects)
    assert running.objects() == before


# One stack that is baseline and flow: a second one would only cost time.
PROGRAM = """
import json, pathlib, pulumi
pulumi.export("topology", json.loads(pathlib.Path("topology.json").read_text()))
pulumi.export("schemaVersion", 1)
pulumi.export("flow", "FLOW")
for name in ("hosts", "header", "databases"):
    pulumi.export(name, {})
pulumi.export("baggage", "")
pulumi.export("baselineVersion", "1")
pulumi.export("services", {"middle": {"image": "middle:2", "fork": "FORK", "reason": "requested"}})
""".replace("FORK", FORK).replace("FLOW", FLOW)


@pytest.mark.engine
def test_the_command_looks_at_a_flow_through_its_forks_and_cleans_up_when_it_is_ended(
    running: Shop, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    variables = {
        "PATH": os.pathsep.join([str(ensure_pulumi()), os.environ["PATH"]]),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}/state",
        "PULUMI_CONFIG_PASSPHRASE": "of-the-tests",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    (tmp_path / "Pulumi.yaml").write_text(
        f"name: kardinal\nruntime:\n  name: python\n  options: {{toolchain: pip, virtualenv: {sys.prefix}}}\n"
    )
    (tmp_path / "__main__.py").write_text(PROGRAM)
    (tmp_path / "topology.json").write_text(json.dumps(running.plain))
    project = Project(tmp_path, project_environment(variables, Path(sys.executable).parent))
    project.pulumi("stack", "init", FLOW)
    project.configure(FLOW, {"kubernetes:kubeconfig": running.kubeconfig})
    project.pulumi("up", "--yes", "--skip-preview", "-s", FLOW)
    both = ("--baseline", FLOW, "--wait")

    told = project.kardinal("doctor", FLOW, "--path", f"/?header={FORK}", *both, "1", "--json", "--baggage")
    assert told.code == DROPPED, told.output
    found = json.loads(told.output)
    assert found["flow"] == FLOW
    told_traces = [(trace["carrier"], trace["state"], trace["firstDrop"]) for trace in found["traces"]]
    assert told_traces == [("header", "dropped", "middle"), ("baggage", "passed", None)]

    before = running.objects()
    command = ["kardinal", "doctor", "--path", "/?drop=front", *both, "60"]
    process = subprocess.Popen(command, cwd=tmp_path, env=project.environment)
    try:
        eventually(lambda: any("front-doctor" in name for name in running.objects()), "the routes")
    finally:
        process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert running.objects() == before
