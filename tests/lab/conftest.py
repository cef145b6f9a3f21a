"""What the lab's own tests share."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator

import pytest

from lab.settings import Lab, from_environment
from lab.variables import is_running

Kubectl = Callable[..., str]


@pytest.fixture(scope="session")
def running() -> Lab:
    """The running lab."""
    lab = from_environment()
    if not is_running(lab):
        pytest.skip("the lab is not running: python -m lab up")
    return lab


@pytest.fixture(scope="session")
def kubectl(running: Lab) -> Kubectl:
    """Asks kubectl; ``text`` goes to its standard input."""

    def ask(*arguments: str, text: str = "", check: bool = True) -> str:
        command = [str(running.programs / "kubectl"), f"--kubeconfig={running.kubeconfig}", *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    return ask


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace whose pods get a sidecar; removed at the end."""
    name = f"lab-test-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "istio-injection=enabled")
    yield name
    kubectl("delete", "namespace", name, "--wait=true", "--timeout=120s")
