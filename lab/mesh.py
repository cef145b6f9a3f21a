"""Istio in the lab: its images, its installation, and the Gateway API's resource types."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lab.cluster import Cluster
from lab.configuration import PAUSE_IMAGE, REGISTRY
from lab.images import File, build_image
from lab.processes import wait_for
from lab.report import Report
from lab.settings import ISTIO_VERSION, Lab, LabError

# Debian chooses among iptables' variants by links that package scripts make; images have none.
_IPTABLES_LINKS = {
    f"/usr/sbin/{family}{action}": File(link="xtables-nft-multi")
    for family in ("iptables", "ip6tables")
    for action in ("", "-save", "-restore")
}
MESH_PACKAGES = ("ca-certificates", "dash", "iptables")

# A stock Envoy has none of Istio's own filters; these settings keep istiod from sending them.
_INSTALL_SETTINGS = {
    "profile": "minimal",
    "hub": REGISTRY,
    "tag": ISTIO_VERSION,
    "values.global.imagePullPolicy": "Never",
    "values.pilot.env.PILOT_ENABLE_ALPN_FILTER": "false",
    "values.pilot.env.PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "values.telemetry.enabled": "false",
    "meshConfig.enablePrometheusMerge": "false",
    # A small machine: little is asked for, and each proxy works with one thread.
    "values.pilot.autoscaleEnabled": "false",
    "values.pilot.resources.requests.cpu": "50m",
    "values.pilot.resources.requests.memory": "128Mi",
    "values.global.proxy.resources.requests.cpu": "10m",
    "values.global.proxy.resources.requests.memory": "40Mi",
    "meshConfig.defaultConfig.concurrency": "1",
}


def mesh_images(lab: Lab, istio: Path, agent: Path, extras: Path, envoy: Path, report: Report) -> list[Path]:
    """Archives of istiod's and the sidecar's images.

    Args:
        lab: Whose cache is used.
        istio: Folder with istiod.
        agent: Folder with the proxy agent.
        extras: Folder with ``envoy_bootstrap.json`` of the Istio sources.
        envoy: The Envoy program.
        report: Where progress goes.
    """
    pilot = build_image(
        f"{REGISTRY}/pilot:{ISTIO_VERSION}",
        packages=MESH_PACKAGES,
        files={"/usr/local/bin/pilot-discovery": istio / "istio"},
        entrypoint=["/usr/local/bin/pilot-discovery"],
        user="1337:1337",
        lab=lab,
        report=report,
    )
    proxy = build_image(
        f"{REGISTRY}/proxyv2:{ISTIO_VERSION}",
        packages=MESH_PACKAGES,
        files={
            **_IPTABLES_LINKS,
            "/usr/local/bin/pilot-agent": agent / "pilot-agent",
            "/usr/local/bin/envoy": File(envoy, 0o755),
            "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json": extras / "envoy_bootstrap.json",
            "/etc/istio/proxy": File(folder=True, mode=0o777),
            "/var/lib/istio/data": File(folder=True, mode=0o777),
        },
        entrypoint=["/usr/local/bin/pilot-agent"],
        environment={
            "ISTIO_META_ISTIO_VERSION": ISTIO_VERSION,
            "ISTIO_META_ISTIO_PROXY_SHA": "istio-proxy:stock",
        },
        lab=lab,
        report=report,
    )
    return [pilot, proxy]


def pause_image(lab: Lab, pause: Path, report: Report) -> Path:
    """Archive of the image that holds a pod's namespaces."""
    return build_image(
        PAUSE_IMAGE, files={"/pause": pause / "pause"}, entrypoint=["/pause"], lab=lab, report=report
    )


def install_mesh(cluster: Cluster, istio: Path, definitions: Path, report: Report) -> None:
    """Install the Gateway API's types and Istio, unless they are there; ready at the end.

    Args:
        cluster: A running cluster.
        istio: Folder with ``istioctl``.
        definitions: Folder with the Gateway API's custom resource definitions.
        report: Where progress goes.

    Raises:
        LabError: istioctl failed, or istiod did not become ready.
    """
    if "istiod" in cluster.kubectl("get", "deployments", "-n", "istio-system", "-o", "name") and mesh_ready(
        cluster
    ):
        return
    with report.working("istio", "Gateway API types"):
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(definitions))
    with report.working("istio", f"install Istio {ISTIO_VERSION}"):
        settings = [
            word for name, value in _INSTALL_SETTINGS.items() for word in ("--set", f"{name}={value}")
        ]
        command = [str(istio / "istioctl"), "install", "--skip-confirmation", *settings]
        environment = {**os.environ, "KUBECONFIG": str(cluster.lab.kubeconfig)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"istioctl install failed:\n{(done.stdout + done.stderr)[-2000:]}")
        wait_for(
            lambda: mesh_ready(cluster), "istiod to be ready and to offer its gateway class", seconds=120
        )


def mesh_ready(cluster: Cluster) -> bool:
    """Whether istiod serves and its Gateway API class is accepted."""
    ready = cluster.kubectl(
        "get", "deployment", "istiod", "-n", "istio-system", "-o", "jsonpath={.status.readyReplicas}"
    )
    classes = cluster.kubectl("get", "gatewayclasses", "-o", "name", "--ignore-not-found")
    return ready == "1" and "gatewayclass.gateway.networking.k8s.io/istio\n" in classes
