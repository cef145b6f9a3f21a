"""The user's way in: a port of 127.0.0.1 that leads to the first load balancer."""

from __future__ import annotations

import socket

from lab.loadbalancer import free_address
from lab.processes import Processes
from lab.report import Report
from lab.settings import Lab

NAME = "ingress"


def ingress_port(lab: Lab) -> int:
    """The port in use; the wished one before the ingress was started for the first time."""
    note = lab.state / "ingress-port"
    return int(note.read_text()) if note.exists() else lab.ingress_port


def start_ingress(lab: Lab, processes: Processes, report: Report) -> None:
    """Start the forwarder unless it runs; another port is taken, and said, when the wished one is in use."""
    if processes.find(NAME):
        return
    port = first_free_port(lab.ingress_port)
    if port != lab.ingress_port:
        report.warning(NAME, f"port {lab.ingress_port} is in use by another program: using {port}")
    (lab.state / "ingress-port").write_text(str(port))
    target = free_address(lab.load_balancer_range, ())
    command = [
        "socat",
        f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork",
        f"TCP:{target}:80,connect-timeout=5",
    ]
    processes.start(NAME, command, inside=None)


def first_free_port(wished: int) -> int:
    """The wished port of 127.0.0.1, or the next one that nobody listens on."""
    for port in range(wished, wished + 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return wished
