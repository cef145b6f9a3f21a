"""Where the lab keeps its files, and which names and addresses it uses."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

KUBERNETES_VERSION = "1.36.3"
ISTIO_VERSION = "1.31.0"
PULUMI_VERSION = "3.259.0"

SOURCES = Path(__file__).resolve().parent


class LabError(Exception):
    """Something the user can act on; its text is shown without a traceback."""


@dataclass(frozen=True)
class Lab:
    """One lab: its folders, its network name and its address ranges.

    Attributes:
        name: Name of the network namespace and of the link's interface on the machine, hence at most 15
            characters.
        cache: What is kept between labs: built programs, root file systems, images.
        state: What belongs to this lab: cluster data, logs, keys. PostgreSQL runs in it as an unprivileged
            user, who must be able to get there: a folder in root's home would not do.
        prefix: First two numbers of every address of the lab, for example ``10.213``.
        ingress_port: Wished port on 127.0.0.1 that leads to the first load balancer.
    """

    name: str
    cache: Path
    state: Path
    prefix: str
    ingress_port: int

    @property
    def host_address(self) -> str:
        """The machine's own end of the link: what pods call to reach the machine."""
        return f"{self.prefix}.0.1"

    @property
    def node_address(self) -> str:
        """The cluster's end of the link: the node, the API server and CoreDNS."""
        return f"{self.prefix}.0.2"

    @property
    def pod_range(self) -> str:
        """Addresses of pods."""
        return f"{self.prefix}.64.0/18"

    @property
    def service_range(self) -> str:
        """Addresses of Services (ClusterIP)."""
        return f"{self.prefix}.128.0/20"

    @property
    def load_balancer_range(self) -> str:
        """Addresses given to Services of type LoadBalancer."""
        return f"{self.prefix}.160.0/24"

    @property
    def host_interface(self) -> str:
        """The link's interface on the machine."""
        return self.name

    @property
    def network_namespace(self) -> Path:
        """The file that names the lab's network namespace."""
        return Path("/run/netns") / self.name

    @property
    def sockets(self) -> Path:
        """Folder of sockets: their paths must stay short."""
        return Path("/run") / self.name

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.sockets / "containerd.sock"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def logs(self) -> Path:
        """One log file per program."""
        return self.state / "logs"

    @property
    def programs(self) -> Path:
        """Links to the programs a user of the lab wants first on PATH."""
        return self.state / "bin"

    @property
    def api_url(self) -> str:
        """The Kubernetes API."""
        return f"https://{self.node_address}:6443"

    @property
    def neon_url(self) -> str:
        """The local Neon-compatible service."""
        return f"http://{self.host_address}:9095/api/v2"


def from_environment() -> Lab:
    """The lab that the environment asks for.

    Read are ``KARDINAL_LAB_CACHE``, ``KARDINAL_LAB_STATE``, ``KARDINAL_LAB_NAME``,
    ``KARDINAL_LAB_PREFIX`` (first two numbers of all addresses) and ``KARDINAL_LAB_PORT``.

    Raises:
        LabError: A value cannot be used.
    """
    environment = os.environ
    user_cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(environment.get("KARDINAL_LAB_CACHE") or user_cache / "kardinal-lab").absolute()
    name = environment.get("KARDINAL_LAB_NAME") or "kardinal-lab"
    state = Path(environment.get("KARDINAL_LAB_STATE") or Path("/var/lib") / name).absolute()
    prefix = environment.get("KARDINAL_LAB_PREFIX") or "10.213"
    port = environment.get("KARDINAL_LAB_PORT") or "8080"
    if not re.fullmatch("[a-z][a-z0-9-]{0,14}", name):
        raise LabError(
            f"KARDINAL_LAB_NAME: {name!r} is not a name of at most 15 characters in a-z, 0-9 and -"
        )
    numbers = prefix.split(".")
    if len(numbers) != 2 or not all(part.isdigit() and int(part) < 256 for part in numbers):
        raise LabError(f"KARDINAL_LAB_PREFIX: {prefix!r} is not two numbers such as 10.213")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise LabError(f"KARDINAL_LAB_PORT: {port!r} is not a port")
    return Lab(name=name, cache=cache, state=state, prefix=prefix, ingress_port=int(port))
