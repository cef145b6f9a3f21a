"""What other programs need to know of a lab."""

from __future__ import annotations

import os

from lab.ingress import ingress_port
from lab.neon import neon_environment
from lab.network import KEEPER
from lab.processes import Processes
from lab.settings import Lab, from_environment
from lab.toolchain import pulumi_folder

_NEEDED = (
    KEEPER,
    "containerd",
    "etcd",
    "kube-apiserver",
    "kubelet",
    "kube-proxy",
    "coredns",
    "load-balancer",
    "ingress",
    "neon",
)


def is_running(lab: Lab | None = None) -> bool:
    """Whether every program of the lab runs."""
    processes = Processes(lab or from_environment())
    return all(processes.find(name) for name in _NEEDED)


def environment(lab: Lab | None = None) -> dict[str, str]:
    """The variables by which programs use the lab; PATH has the lab's programs first.

    The variables hold the key of the local Neon service: do not print them into a log.
    """
    lab = lab or from_environment()
    return {
        "KUBECONFIG": str(lab.kubeconfig),
        "PATH": _path(lab),
        **_without_proxy(lab),
        **pulumi_environment(lab),
        **neon_environment(lab),
        "KARDINAL_LAB_INGRESS": f"127.0.0.1:{ingress_port(lab)}",
    }


def _without_proxy(lab: Lab) -> dict[str, str]:
    # A proxy of the user's cannot reach the lab. Programs differ in whether they understand a range.
    if not any(name in os.environ for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")):
        return {}
    near = [
        "127.0.0.1",
        "localhost",
        ".localhost",
        lab.host_address,
        lab.node_address,
        f"{lab.prefix}.0.0/16",
    ]
    present = (os.environ.get("NO_PROXY") or os.environ.get("no_proxy", "")).split(",")
    text = ",".join([*near, *(entry for entry in present if entry and entry not in near)])
    return {"NO_PROXY": text, "no_proxy": text}


def _path(lab: Lab) -> str:
    wanted = [str(lab.programs), *([str(folder)] if (folder := pulumi_folder(lab)) else [])]
    present = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*wanted, *(entry for entry in present if entry not in wanted)])


def pulumi_environment(lab: Lab) -> dict[str, str]:
    """Settings by which Pulumi keeps its state in the lab and downloads nothing."""
    backend = lab.state / "pulumi"
    backend.mkdir(parents=True, exist_ok=True)
    return {
        "PULUMI_BACKEND_URL": f"file://{backend}",
        "PULUMI_CONFIG_PASSPHRASE": "kardinal-demo",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_HOME": str(lab.state / "pulumi-home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
