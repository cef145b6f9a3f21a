"""A real Kubernetes API server with nothing behind it: no node, no controller, no mesh, no Gateway API."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import programs
from lab.gobuild import GoBuilder
from lab.report import Report
from lab.settings import from_environment

START_SECONDS = 120


@dataclass(frozen=True)
class BareCluster:
    """A running API server.

    Attributes:
        kubeconfig: Its administrator's kubeconfig.
        kubectl: The program.
    """

    kubeconfig: Path
    kubectl: Path

    def run(self, *arguments: str, text: str = "") -> str:
        """What kubectl answers."""
        command = [str(self.kubectl), f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Makes objects."""
        self.run(
            "apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        )

    def define(self, *definitions: str) -> None:
        """Waits until custom resource definitions are served."""
        self.run(
            "wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in definitions)
        )

    def objects(self) -> list[str]:
        """All objects of the kinds that a flow makes, as `kind/name` with their versions."""
        template = '{range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\\n"}{end}'
        kinds = "deployments,services,secrets,jobs,configmaps,serviceaccounts"
        return sorted(self.run("get", kinds, "-A", "-o", f"jsonpath={template}").splitlines())


@contextlib.contextmanager
def bare_cluster(folder: Path) -> Iterator[BareCluster]:
    """Starts etcd and the lab's kube-apiserver on the loopback.

    Args:
        folder: Where their data go.
    """
    kube = GoBuilder(from_environment(), Report()).ensure(programs.KUBE)
    store, peers, port = (_free_port() for _ in range(3))
    token, key = secrets.token_urlsafe(), folder / "service-account.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    etcd = [
        "etcd",
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls=http://127.0.0.1:{store}",
        f"--advertise-client-urls=http://127.0.0.1:{store}",
        f"--listen-peer-urls=http://127.0.0.1:{peers}",
        "--log-level=warn",
        "--unsafe-no-fsync",
    ]
    server = [
        str(kube / "kube-apiserver"),
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        # Nobody calls it by a Service: an address for documentation, and no endpoint is kept.
        "--advertise-address=192.0.2.1",
        "--endpoint-reconciler-type=none",
        "--authorization-mode=RBAC",
        f"--cert-dir={folder}",
        f"--etcd-servers=http://127.0.0.1:{store}",
        "--profiling=false",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--token-auth-file={folder}/tokens.csv",
    ]
    with _running(etcd, folder / "etcd.log"), _running(server, folder / "server.log") as process:
        _wait_until_ready(process, f"https://127.0.0.1:{port}", folder)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(_kubeconfig(port, folder / "apiserver.crt", token)))
        yield BareCluster(kubeconfig, kube / "kubectl")


@contextlib.contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        said = (folder / "server.log").read_text(errors="replace")[-2000:]
        assert process.poll() is None, said
        assert time.monotonic() < deadline, said
        # No certificate and no answer at first, then 403 or 500 while it still prepares.
        with contextlib.suppress(OSError):
            trust = ssl.create_default_context(cafile=str(folder / "apiserver.crt"))
            with urllib.request.urlopen(f"{url}/readyz", context=trust, timeout=2):
                return
        time.sleep(0.1)


def _kubeconfig(port: int, certificate: Path, token: str) -> dict[str, Any]:
    authority = base64.b64encode(certificate.read_bytes()).decode()
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": authority}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bare",
        "clusters": [{"name": "bare", "cluster": cluster}],
        "users": [{"name": "bare", "user": {"token": token}}],
        "contexts": [{"name": "bare", "context": {"cluster": "bare", "user": "bare"}}],
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
