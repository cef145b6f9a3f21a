"""The lab's small helpers that run beside the cluster."""

from __future__ import annotations

import sys

from lab.processes import Processes
from lab.settings import SOURCES, Lab


def start_load_balancer(lab: Lab, processes: Processes) -> None:
    """Start the process that gives addresses to Services of type LoadBalancer, unless it runs."""
    environment = {"KUBECONFIG": str(lab.kubeconfig), "PYTHONPATH": str(SOURCES.parent)}
    command = [sys.executable, "-m", "lab.loadbalancer", lab.load_balancer_range]
    processes.start("load-balancer", command, inside=None, environment=environment)
