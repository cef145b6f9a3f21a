"""The lab's network: a namespace without a way out, and one link to the machine.

The machine's own firewall rules are not touched. Nothing inside has a default route; the machine does not
forward what comes out of the link, whatever its own settings are.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.processes import Process, Processes, wait_for
from lab.settings import Lab, LabError

KEEPER = "keeper"
# Places where container programs leave things; inside the lab they are in memory and gone with it.
_PRIVATE_FOLDERS = ("/run/netns", "/run/containerd", "/var/lib/cni", "/var/log/pods", "/var/log/containers")


def ensure_network(lab: Lab) -> None:
    """Make the namespace, the link and the routes; what is there already stays.

    Raises:
        LabError: The addresses are taken by something else, or the kernel refuses.
    """
    if not lab.network_namespace.exists():
        _refuse_taken_addresses(lab)
        _run("ip", "netns", "add", lab.name)
    inside = ("nsenter", f"--net={lab.network_namespace}", "--")
    if not Path(f"/sys/class/net/{lab.host_interface}").exists():
        _run(
            *("ip", "link", "add", lab.host_interface, "type", "veth"),
            *("peer", "name", "uplink", "netns", str(lab.network_namespace)),
        )
    # Per-interface settings: no packet from the lab is forwarded by the machine, and no IPv6.
    _sysctl((), f"net/ipv4/conf/{lab.host_interface}/forwarding", "0")
    _sysctl((), f"net/ipv6/conf/{lab.host_interface}/disable_ipv6", "1", optional=True)
    _run("ip", "address", "replace", f"{lab.host_address}/30", "dev", lab.host_interface)
    _run("ip", "link", "set", lab.host_interface, "up")

    _sysctl(inside, "net/ipv6/conf/all/disable_ipv6", "1", optional=True)
    _sysctl(inside, "net/ipv6/conf/default/disable_ipv6", "1", optional=True)
    _sysctl(inside, "net/ipv4/ip_forward", "1")
    _run(*inside, "ip", "link", "set", "lo", "up")
    _run(*inside, "ip", "address", "replace", f"{lab.node_address}/30", "dev", "uplink")
    _run(*inside, "ip", "link", "set", "uplink", "up")
    # Service addresses need some route, or local programs get "unreachable" before kube-proxy's rules are
    # asked. It leads to a bridge without ports, so that a packet no rule takes ends here.
    if "services:" not in _run(*inside, "ip", "-o", "link", "show"):
        _run(*inside, "ip", "link", "add", "services", "type", "bridge")
    _run(*inside, "ip", "link", "set", "services", "up")
    for virtual in (lab.service_range, lab.load_balancer_range):
        _run(*inside, "ip", "route", "replace", virtual, "dev", "services", "src", lab.node_address)
    for reached in (lab.pod_range, lab.service_range, lab.load_balancer_range):
        _run("ip", "route", "replace", reached, "via", lab.node_address, "dev", lab.host_interface)


def remove_network(lab: Lab) -> None:
    """Remove namespace, link and routes; nothing happens if there are none."""
    if Path(f"/sys/class/net/{lab.host_interface}").exists():
        _run("ip", "link", "delete", lab.host_interface)
    if lab.network_namespace.exists():
        _run("ip", "netns", "delete", lab.name)


def start_keeper(processes: Processes) -> Process:
    """Start the process that holds the lab's mount namespace.

    What is mounted inside (containers, volumes, pods' network namespaces) is gone with the last process.
    """
    if running := processes.find(KEEPER):
        return running
    mounts = "; ".join(f"mkdir -p {folder} && mount -t tmpfs lab {folder}" for folder in _PRIVATE_FOLDERS)
    script = f"set -e; {mounts}; touch /run/netns/.ready; exec sleep infinity"
    keeper = processes.start(
        KEEPER, ["unshare", "--mount", "--propagation", "private", "sh", "-c", script], inside=None
    )
    ready = Path(f"/proc/{keeper.pid}/root/run/netns/.ready")
    wait_for(ready.exists, "the lab's mount namespace", seconds=10, log=processes.log(KEEPER))
    return keeper


def remove_private_folders() -> None:
    """Remove the folders made as mount points, if they are empty and no other lab has them mounted.

    To remove a folder also unmounts what other mount namespaces have mounted there.
    """
    mounted = _mounted_anywhere()
    for folder in _PRIVATE_FOLDERS[1:]:
        path = Path(folder)
        if path.is_dir() and folder not in mounted and not any(path.iterdir()):
            path.rmdir()


def _mounted_anywhere() -> set[str]:
    found: set[str] = set()
    for table in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            found.update(line.split()[4] for line in table.read_text().splitlines())
        except OSError:
            continue  # the process has ended
    return found


def _refuse_taken_addresses(lab: Lab) -> None:
    taken = [
        line
        for line in _run("ip", "-4", "-o", "route", "show").splitlines()
        if line.startswith(f"{lab.prefix}.")
    ]
    if taken and lab.host_interface not in taken[0]:
        raise LabError(
            f"addresses {lab.prefix}.* are in use on this machine ({taken[0].strip()}); "
            "set KARDINAL_LAB_PREFIX to two other numbers, for example 10.221"
        )


def _sysctl(inside: tuple[str, ...], name: str, value: str, *, optional: bool = False) -> None:
    # A reader of /proc/sys/net sees its own network namespace, so the write happens inside.
    path = Path("/proc/sys") / name
    if optional and not path.exists():
        return
    _run(*inside, "sh", "-c", 'printf %s "$1" > "$0"', str(path), value)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout
