"""Volumes of a fork: never one that production writes, unless that is shared on purpose."""

from __future__ import annotations

from typing import Any

from kardinal_infra.forking.containers import all_containers
from kardinal_infra.forking.spec import ForkSpec
from kardinal_infra.observed.live import Object, name_of, pod_template, spec_of

_CLAIM_FIELDS = ("accessModes", "resources", "storageClassName", "volumeMode")


def claim_templates(workload: Object) -> list[Object]:
    """Returns a StatefulSet's volumeClaimTemplates; a Deployment has none.

    Args:
        workload: The workload.
    """
    return list(spec_of(workload).get("volumeClaimTemplates") or ())


def own_claims(spec: ForkSpec) -> list[dict[str, Any]]:
    """Makes the claim templates of a fork: new, empty volumes that are deleted with it.

    Args:
        spec: The fork.

    Returns:
        Templates of the same size and class as the baseline's; nothing that would bind an existing volume is
        kept, and those that the flow wants to be empty directories are left out.
    """
    marks = spec.owner.metadata("", spec.service)
    return [
        {
            "metadata": {
                "name": name_of(claim),
                "labels": marks["labels"],
                "annotations": marks["annotations"],
            },
            "spec": {key: claim["spec"][key] for key in _CLAIM_FIELDS if key in spec_of(claim)},
        }
        for claim in claim_templates(spec.workload)
        if spec.volumes.get(name_of(claim)) != "empty"
    ]


def volume_names(workload: Object) -> list[str]:
    """Names of all volumes of a workload's pods, claim templates included.

    Args:
        workload: The workload.
    """
    volumes = spec_of(pod_template(workload)).get("volumes") or ()
    return [*(volume["name"] for volume in volumes), *map(name_of, claim_templates(workload))]


def production_volumes(workload: Object) -> list[str]:
    """Names the volumes of a pod template that hold what production keeps: claims, and folders of the node.

    Args:
        workload: The workload.
    """
    volumes = spec_of(pod_template(workload)).get("volumes") or ()
    return [item["name"] for item in volumes if "persistentVolumeClaim" in item or "hostPath" in item]


def choose_volumes(pod: dict[str, Any], spec: ForkSpec) -> None:
    """Puts what the flow chose in the place of the baseline's volumes.

    Args:
        pod: The fork's pod specification; changed in place.
        spec: The fork.
    """
    emptied = {name for name, choice in spec.volumes.items() if choice == "empty"}
    claimed = [name for name in map(name_of, claim_templates(spec.workload)) if name in emptied]
    volumes = [volume for volume in pod.get("volumes") or () if volume["name"] not in claimed]
    volumes += [{"name": name} for name in claimed]
    if not volumes:
        return
    pod["volumes"] = [
        {"name": volume["name"], "emptyDir": {}} if volume["name"] in emptied else volume
        for volume in volumes
    ]
    for container in all_containers(pod):
        for mount in container.get("volumeMounts") or ():
            if spec.volumes.get(mount["name"]) == "readOnly":
                mount["readOnly"] = True
