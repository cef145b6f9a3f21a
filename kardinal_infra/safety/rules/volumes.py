"""The rule about volumes: what production writes no fork may write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kardinal_infra.observed.live import Object, spec_of
from kardinal_infra.safety.case import Case
from kardinal_infra.safety.findings import Hit, safety_rule

_OWN = frozenset(
    {"configMap", "downwardAPI", "emptyDir", "ephemeral", "gitRepo", "image", "projected", "secret"}
)
"""Sources of volumes that each pod has for itself, or nobody writes."""

_READ_ONLY_DRIVERS = frozenset({"csi.cert-manager.io", "csi.spiffe.io", "secrets-store.csi.k8s.io"})


@safety_rule("shared-writable-volume", "error")
def shared_writable_volume(case: Case) -> Iterator[Hit]:
    """The fork could write files of production: whatever can be in two pods at once."""
    for fork in case.forks:
        for volume in spec_of(fork.template).get("volumes") or ():
            what = _shared(volume)
            if what and any(_writes(item, volume["name"]) for item in fork.containers()):
                yield Hit(
                    fork.path,
                    f'the fork of {fork.title} would write to {what} (volume "{volume["name"]}"), as'
                    f" production does: choose `volumes: {{{volume['name']}: empty}}` or `readOnly`",
                    (what,),
                )


def _shared(volume: Mapping[str, Any]) -> str | None:
    """Says what a volume shares with production; None when nothing is, or nothing that it could write."""
    # A source that is not known here may be one of a later Kubernetes.
    for kind, source in volume.items():
        if kind in _OWN or not isinstance(source, Mapping):
            continue
        if source.get("readOnly") or (kind == "csi" and source.get("driver") in _READ_ONLY_DRIVERS):
            continue
        if kind == "persistentVolumeClaim":
            return f'PersistentVolumeClaim "{source["claimName"]}"'
        return "a folder of the node" if kind == "hostPath" else f'a volume of kind "{kind}"'
    return None


def _writes(container: Object, volume: str) -> bool:
    mounts, devices = container.get("volumeMounts") or (), container.get("volumeDevices") or ()
    mounted = any(mount["name"] == volume and not mount.get("readOnly") for mount in mounts)
    return mounted or any(device["name"] == volume for device in devices)
