"""Everything that the lab builds or downloads, in parallel where that helps."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab import programs
from lab.debian import ensure_packages
from lab.downloads import ensure_envoy, module_files
from lab.gobuild import GoBuilder
from lab.mesh import mesh_images, pause_image
from lab.report import Report
from lab.settings import Lab


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


def build_cluster(lab: Lab, report: Report) -> Built:
    """Build or find every piece of the cluster.

    The compiler uses both cores of a small machine, so programs are built one after the other; what waits for
    the network (packages, root file system, Envoy) is fetched beside it.

    Raises:
        LabError: A piece cannot be built or had.
    """
    builder = GoBuilder(lab, report)
    with ThreadPoolExecutor(max_workers=3) as workers:
        packages = workers.submit(ensure_packages, lab, report)
        envoy = workers.submit(ensure_envoy, lab, report)
        pieces = [builder.ensure(program) for program in programs.CLUSTER]
        pause, kube, istio, coredns = pieces
        packages.result()
        return Built(
            kube=kube,
            coredns=coredns,
            istio=istio,
            definitions=module_files(
                lab, builder, programs.ISTIO, "sigs.k8s.io/gateway-api", {"config/crd/standard/*.yaml": 0o644}
            ),
            images=_images(lab, builder, pause, istio, envoy, report),
        )


def _images(
    lab: Lab, builder: GoBuilder, pause: Path, istio: Path, envoy: Future[Path], report: Report
) -> tuple[Path, ...]:
    bootstrap = {"tools/packaging/common/envoy_bootstrap.json": 0o644}
    extras = module_files(lab, builder, programs.ISTIO, "istio.io/istio", bootstrap)
    return (pause_image(lab, pause, report), *mesh_images(lab, istio, extras, envoy.result(), report))
