"""Everything that the lab builds or downloads, in parallel where that helps."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import programs
from lab.debian import ensure_packages
from lab.downloads import ensure_envoy, module_files
from lab.gobuild import GoBuilder, GoProgram
from lab.mesh import MESH_PACKAGES, mesh_images, pause_image
from lab.report import Report
from lab.rootfs import debian_root
from lab.settings import Lab
from lab.toolchain import ensure_pulumi

# Files of Go modules that are used as they are, and the permission bits of their copies.
_DEFINITIONS = {"config/crd/standard/*.yaml": 0o644}
_BOOTSTRAP = {"tools/packaging/common/envoy_bootstrap.json": 0o644}


@dataclass(frozen=True)
class Built:
    """Where the finished pieces are.

    Attributes:
        kube: Folder of the Kubernetes programs.
        coredns: Folder of CoreDNS.
        istio: Folder of the Istio programs.
        definitions: Folder of the Gateway API's custom resource definitions.
        images: Archives of the images that every lab needs.
    """

    kube: Path
    coredns: Path
    istio: Path
    definitions: Path
    images: tuple[Path, ...]


def build_everything(lab: Lab, report: Report) -> Built:
    """Build or find every piece of the cluster, and the Pulumi toolchain.

    The compiler uses both cores of a small machine, so programs are built one after the other; what waits for
    the network (packages, root file system, Envoy, sources) is fetched beside it.

    Raises:
        LabError: A piece cannot be built or had.
    """
    builder = GoBuilder(lab, report)
    with ThreadPoolExecutor(max_workers=3) as workers:
        debian = workers.submit(_debian, lab, report)
        envoy = workers.submit(ensure_envoy, lab, report)
        fetched: list[Future[Any]] = [debian, envoy, workers.submit(_sources, builder)]
        ensure_pulumi(lab, report)
        built = [_build(builder, program, fetched) for program in programs.CLUSTER]
        pause, kube, istio, agent, coredns = built
        debian.result()
        extras = module_files(lab, builder, programs.ISTIO, "istio.io/istio", _BOOTSTRAP)
        mesh = mesh_images(lab, istio, agent, extras, envoy.result(), report)
        return Built(
            kube=kube,
            coredns=coredns,
            istio=istio,
            definitions=module_files(lab, builder, programs.ISTIO, "sigs.k8s.io/gateway-api", _DEFINITIONS),
            images=(pause_image(lab, pause, report), *mesh),
        )


def _debian(lab: Lab, report: Report) -> None:
    ensure_packages(lab, report)
    debian_root(lab, report, MESH_PACKAGES)


def _sources(builder: GoBuilder) -> None:
    for program in programs.CLUSTER:
        if not builder.installed(program).is_dir():
            builder.fetch_sources(program)


def _build(builder: GoBuilder, program: GoProgram, fetched: Sequence[Future[Any]]) -> Path:
    # What cannot be fetched is said now, and not after the next program's minutes.
    for fetching in fetched:
        if fetching.done():
            fetching.result()
    return builder.ensure(program)
