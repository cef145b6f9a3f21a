"""Every program that the lab builds, in the order in which it is needed."""

from __future__ import annotations

from lab.gobuild import GoProgram
from lab.settings import ISTIO_VERSION, KUBERNETES_VERSION, PULUMI_VERSION

# A CLI that reports no version is refused by Pulumi's Automation API.
PULUMI = GoProgram(
    name="pulumi",
    module="pulumi",
    package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    variables=(("github.com/pulumi/pulumi/sdk/v3/go/common/version.Version", f"v{PULUMI_VERSION}"),),
)

# The last Python language host that lived inside the SDK's Go module, and so is on the module proxy.
PULUMI_PYTHON = GoProgram(
    name="pulumi-language-python",
    module="pulumi-python",
    package="github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",
    variables=(("github.com/pulumi/pulumi/sdk/v3/go/common/version.Version", "v3.76.0"),),
)

# A kubelet that reports v0.0.0 makes Istio inject ordinary containers instead of native sidecars.
KUBE = GoProgram(
    name="kube",
    module="cluster",
    package="./kube",
    variables=(
        ("k8s.io/component-base/version.gitVersion", f"v{KUBERNETES_VERSION}"),
        ("k8s.io/component-base/version.gitMajor", KUBERNETES_VERSION.split(".")[0]),
        ("k8s.io/component-base/version.gitMinor", KUBERNETES_VERSION.split(".")[1]),
    ),
    called=(
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
        "kubelet",
        "kubectl",
    ),
)

_ISTIO_VERSION = tuple(
    (f"istio.io/istio/pkg/version.{name}", value)
    for name, value in (
        ("buildVersion", ISTIO_VERSION),
        ("buildTag", ISTIO_VERSION),
        ("buildStatus", "Clean"),
    )
)
ISTIO = GoProgram(
    name="istio",
    module="cluster",
    package="./istio",
    variables=_ISTIO_VERSION,
    called=("pilot-discovery", "istioctl"),
)

# Runs in every pod: linked for itself it takes a third of the memory.
PILOT_AGENT = GoProgram(name="pilot-agent", module="cluster", package="./agent", variables=_ISTIO_VERSION)

COREDNS = GoProgram(name="coredns", module="cluster", package="./coredns")

PAUSE = GoProgram(name="pause", module="cluster", package="./pause")

TOOLCHAIN = (PULUMI, PULUMI_PYTHON)
CLUSTER = (PAUSE, KUBE, ISTIO, PILOT_AGENT, COREDNS)
