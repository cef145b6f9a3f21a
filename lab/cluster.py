"""The Kubernetes cluster: its programs, and the order in which they start."""

from __future__ import annotations

import ssl
import subprocess
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from lab import configuration
from lab.configuration import NODE, pki
from lab.containers import import_image
from lab.network import ensure_network, start_keeper
from lab.processes import Process, Processes
from lab.report import Report
from lab.settings import Lab, LabError


class Cluster:
    """Starts a lab's Kubernetes and waits until its node is ready.

    Args:
        lab: Whose cluster.
        kube: Folder with the Kubernetes programs.
        coredns: Folder with CoreDNS.
        report: Where progress goes.
    """

    def __init__(self, lab: Lab, kube: Path, coredns: Path, report: Report) -> None:
        self.lab = lab
        self.kube = kube
        self.coredns = coredns
        self.report = report
        self.processes = Processes(lab)

    def start(self, images: Sequence[Path]) -> None:
        """Start every program that does not run; ready at the end.

        Args:
            images: Archives that the node must have.
        """
        lab, report = self.lab, self.report
        configuration.write_configuration(lab)
        lab.sockets.mkdir(mode=0o700, exist_ok=True)
        with report.working("network", f"namespace {lab.name}, addresses {lab.prefix}.*"):
            ensure_network(lab)
            keeper = start_keeper(self.processes)
        with report.working("kubernetes", "control plane"):
            self._start(
                keeper, "containerd", ["containerd", "--config", str(lab.state / "etc/containerd.toml")]
            )
            self._start(keeper, "etcd", self._etcd())
            self._start(keeper, "kube-apiserver", self._apiserver())
            certificate = pki(lab) / "apiserver.crt"
            self.processes.wait("kube-apiserver", certificate.exists, "the API server's certificate", 60)
            configuration.write_kubeconfig(lab)
            self.processes.wait("kube-apiserver", self.api_ready, "the Kubernetes API", 90)
        with report.working("kubernetes", "node"):
            self._start(keeper, "kube-controller-manager", self._controller_manager())
            scheduler = [f"--kubeconfig={lab.kubeconfig}", "--leader-elect=false", "--profiling=false"]
            self._start(keeper, "kube-scheduler", [str(self.kube / "kube-scheduler"), *scheduler])
            proxy = [str(self.kube / "kube-proxy"), f"--config={lab.state}/etc/kube-proxy.json"]
            self._start(keeper, "kube-proxy", proxy)
            self._start(
                keeper, "coredns", [str(self.coredns / "coredns"), "-conf", str(lab.state / "etc/Corefile")]
            )
            self.processes.wait("containerd", lab.containerd_socket.exists, "containerd", 30)
            for image in images:
                import_image(lab, image)
            self._start(keeper, "kubelet", self._kubelet())
            self.processes.wait("kubelet", self.node_ready, "the node to be ready", 120)

    def kubectl(self, *arguments: str, text: str = "") -> str:
        """What kubectl answers.

        Raises:
            LabError: kubectl failed.
        """
        command = [str(self.kube / "kubectl"), f"--kubeconfig={self.lab.kubeconfig}", *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def api_ready(self) -> bool:
        """Whether the API server says that it is ready."""
        context = ssl.create_default_context(cafile=str(pki(self.lab) / "apiserver.crt"))
        with urllib.request.urlopen(f"{self.lab.api_url}/readyz", context=context, timeout=2) as answer:
            return bool(answer.status == 200)

    def node_ready(self) -> bool:
        """Whether the node says that it is ready."""
        question = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
        return self.kubectl("get", "nodes", "-o", question) == "True"

    def _start(self, keeper: Process, name: str, command: Sequence[str]) -> None:
        self.processes.start(name, command, inside=keeper)

    def _etcd(self) -> list[str]:
        return [
            "etcd",
            f"--data-dir={self.lab.state}/etcd",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--log-level=warn",
        ]

    def _apiserver(self) -> list[str]:
        keys = pki(self.lab)
        return [
            str(self.kube / "kube-apiserver"),
            f"--advertise-address={self.lab.node_address}",
            "--allow-privileged=true",
            "--authorization-mode=RBAC",
            "--bind-address=0.0.0.0",
            f"--cert-dir={keys}",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--kubelet-client-certificate={keys}/kubelet-client.crt",
            f"--kubelet-client-key={keys}/kubelet-client.key",
            # The node's host name is no name that anything resolves; exec and logs go to its address.
            "--kubelet-preferred-address-types=InternalIP",
            "--profiling=false",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={keys}/service-account.key",
            f"--service-account-signing-key-file={keys}/service-account.key",
            f"--service-cluster-ip-range={self.lab.service_range}",
            f"--token-auth-file={keys}/tokens.csv",
        ]

    def _controller_manager(self) -> list[str]:
        return [
            str(self.kube / "kube-controller-manager"),
            f"--kubeconfig={self.lab.kubeconfig}",
            "--leader-elect=false",
            "--profiling=false",
            f"--root-ca-file={pki(self.lab)}/apiserver.crt",
            f"--service-account-private-key-file={pki(self.lab)}/service-account.key",
            "--use-service-account-credentials=true",
        ]

    def _kubelet(self) -> list[str]:
        return [
            str(self.kube / "kubelet"),
            f"--config={self.lab.state}/etc/kubelet.json",
            f"--kubeconfig={self.lab.kubeconfig}",
            f"--hostname-override={NODE}",
            f"--node-ip={self.lab.node_address}",
            f"--root-dir={self.lab.state}/kubelet",
            f"--cert-dir={self.lab.state}/kubelet-pki",
        ]
