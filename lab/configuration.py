"""Files that the cluster's programs read: keys, tokens and settings. Pure functions make their contents."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
from pathlib import Path
from typing import Any

from lab.settings import Lab, LabError

NODE = "lab"
REGISTRY = "kardinal.lab"
PAUSE_IMAGE = f"{REGISTRY}/pause:1"


def write_configuration(lab: Lab) -> None:
    """Write every settings file; keys and tokens are made once and kept for the lab's life."""
    pki(lab).mkdir(parents=True, exist_ok=True)
    pki(lab).chmod(0o700)
    token = secret(lab, "admin-token")
    write_private(pki(lab) / "tokens.csv", f'{token},admin,admin,"system:masters"\n')
    _make_keys(lab)
    write_private(lab.state / "resolv.conf", f"nameserver {lab.node_address}\n")
    for name, content in {
        "kubelet.json": json.dumps(kubelet(lab), indent=1),
        "kube-proxy.json": json.dumps(kube_proxy(lab), indent=1),
        "containerd.toml": containerd(lab),
        "Corefile": corefile(lab),
    }.items():
        write_private(lab.state / "etc" / name, content)
    write_private(lab.state / "etc" / "cni" / "10-lab.conflist", json.dumps(network(lab), indent=1))


def pki(lab: Lab) -> Path:
    """Folder of keys, certificates and tokens."""
    return lab.state / "pki"


def secret(lab: Lab, name: str) -> str:
    """A random secret of the lab, made at first use and kept in a file that only its owner reads."""
    path = pki(lab) / name
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text()


def write_private(path: Path, content: str) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.touch(mode=0o600)
    unfinished.write_text(content)
    unfinished.rename(path)


def write_kubeconfig(lab: Lab) -> None:
    """Write the administrator's kubeconfig; the API server must have made its certificate."""
    authority = base64.b64encode((pki(lab) / "apiserver.crt").read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": lab.name,
        "clusters": [
            {"name": lab.name, "cluster": {"server": lab.api_url, "certificate-authority-data": authority}}
        ],
        "users": [{"name": lab.name, "user": {"token": secret(lab, "admin-token")}}],
        "contexts": [{"name": lab.name, "context": {"cluster": lab.name, "user": lab.name}}],
    }
    write_private(lab.kubeconfig, json.dumps(config, indent=1))


def kubelet(lab: Lab) -> dict[str, Any]:
    """Settings of the kubelet, for a machine whose cgroups may be old, new or mixed."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": lab.node_address,
        # Pods and other users of the machine reach the kubelet's port: it obeys the API server only.
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki(lab) / "kubelet-client.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "clusterDNS": [lab.node_address],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{lab.containerd_socket}",
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "100Mi"},
        "failCgroupV1": False,
        "failSwapOn": False,
        # Images come from no registry: one that is removed to save space could not be had again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "podLogsDir": str(lab.state / "pods"),
        "readOnlyPort": 0,
        "registerNode": True,
        "resolvConf": str(lab.state / "resolv.conf"),
        "serializeImagePulls": False,
    }


def kube_proxy(lab: Lab) -> dict[str, Any]:
    """Settings of kube-proxy; the machine's connection tracking limits are left alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": lab.node_address,
        "clientConnection": {"kubeconfig": str(lab.kubeconfig)},
        "clusterCIDR": lab.pod_range,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpCloseWaitTimeout": "0s", "tcpEstablishedTimeout": "0s"},
        "healthzBindAddress": "127.0.0.1:10256",
        "hostnameOverride": NODE,
        "metricsBindAddress": "127.0.0.1:10249",
        "mode": "iptables",
    }


def containerd(lab: Lab) -> str:
    """Settings of a containerd of the lab's own, beside any other on the machine."""
    skipped = ["io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing"]
    skipped += [f"io.containerd.snapshotter.v1.{name}" for name in ("aufs", "btrfs", "devmapper", "zfs")]
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{lab.state}/containerd"
state = "{lab.sockets}/containerd"
disabled_plugins = {json.dumps(skipped)}
[grpc]
  address = "{lab.containerd_socket}"
[{cri}]
  enable_unprivileged_icmp = true
  enable_unprivileged_ports = true
  # Machines without CAP_SYS_RESOURCE cannot lower a process's out-of-memory score.
  restrict_oom_score_adj = true
  sandbox_image = "{PAUSE_IMAGE}"
[{cri}.cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{lab.state}/etc/cni"
[{cri}.containerd]
  default_runtime_name = "runc"
  snapshotter = "overlayfs"
[{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
  BinaryName = "runc"
"""


def network(lab: Lab) -> dict[str, Any]:
    """The pods' network: one routed link for each pod, so that no bridge filter module is needed."""
    addresses = {
        "type": "host-local",
        "dataDir": str(lab.sockets / "addresses"),
        "ranges": [[{"subnet": lab.pod_range}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {
        "cniVersion": "0.4.0",
        "name": "lab",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": addresses},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def corefile(lab: Lab) -> str:
    """Names of the cluster; every other name does not exist, said at once."""
    return f""". {{
    errors
    ready {lab.node_address}:8181
    cache 5
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {lab.kubeconfig}
        pods insecure
        ttl 5
    }}
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
"""


def _make_keys(lab: Lab) -> None:
    folder = pki(lab)
    if not (folder / "service-account.key").exists():
        _openssl("genrsa", "-out", str(folder / ".key"), "2048")
        (folder / ".key").rename(folder / "service-account.key")
    if not (folder / "kubelet-client.crt").exists():
        # The API server shows this certificate to the kubelet, which trusts it alone.
        options = [
            "-x509",
            "-newkey",
            "rsa:2048",
            "-noenc",
            "-days",
            "3650",
            "-subj",
            "/O=system:masters/CN=lab",
        ]
        _openssl("req", *options, "-keyout", str(folder / "kubelet-client.key"), "-out", str(folder / ".crt"))
        (folder / ".crt").rename(folder / "kubelet-client.crt")


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"openssl {arguments[0]}: {done.stderr.strip()}")
