"""The rule about volumes: what production writes no fork may write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kardinal_infra.forking import ForkSpec
from tests.pure.forked import case, pod, spec
from tests.pure.judged import cluster, found
from tests.pure.samples import workload


def shared(made: ForkSpec, *, mount: dict[str, Any] | None = None, **volume: Any) -> list[str]:
    item = workload("web")
    pod(item)["volumes"] = [{"name": "data", **volume}]
    pod(item)["containers"][0].update(mount or {"volumeMounts": [{"name": "data", "mountPath": "/data"}]})
    shown = case(cluster(), replace(made, workload={"kind": "Deployment", **item}))
    return found(shown, "shared-writable-volume")


def test_shared_writable_volume() -> None:
    claim = {"persistentVolumeClaim": {"claimName": "uploads"}}
    assert len(shared(spec(), **claim)) == 1
    assert len(shared(spec(), hostPath={"path": "/var"})) == 1
    assert shared(spec(), persistentVolumeClaim={"claimName": "uploads", "readOnly": True}) == []
    assert shared(spec(volumes={"data": "empty"}), **claim) == []
    assert shared(spec(volumes={"data": "readOnly"}), **claim) == []


@pytest.mark.parametrize(
    "source",
    [
        {"nfs": {"server": "nas", "path": "/uploads"}},
        {"csi": {"driver": "efs.csi.aws.com"}},
        {"azureFile": {"shareName": "s", "secretName": "x"}},
        {"cephfs": {"monitors": ["m"]}},
        {"iscsi": {"targetPortal": "t", "iqn": "q", "lun": 0}},
        {"ofALaterVersion": {}},
    ],
)
def test_a_volume_of_any_kind_that_can_be_shared(source: dict[str, Any]) -> None:
    [message] = shared(spec(), **source)
    assert message.startswith('the fork of Deployment web would write to a volume of kind "')
    assert shared(spec(volumes={"data": "empty"}), **source) == []
    assert shared(spec(volumes={"data": "readOnly"}), **source) == []
    [(kind, content)] = source.items()
    assert shared(spec(), **{kind: {**content, "readOnly": True}}) == []


@pytest.mark.parametrize(
    "source",
    [
        {"configMap": {"name": "c"}},
        {"secret": {"secretName": "s"}},
        {"emptyDir": {}},
        {"downwardAPI": {}},
        {"projected": {"sources": []}},
        {"ephemeral": {"volumeClaimTemplate": {}}},
        {"image": {"reference": "x"}},
        {"gitRepo": {"repository": "x"}},
        {"csi": {"driver": "secrets-store.csi.k8s.io"}},
        {"csi": {"driver": "csi.cert-manager.io"}},
        {"csi": {"driver": "csi.spiffe.io"}},
        {},
        {"nfs": None},
    ],
)
def test_a_volume_of_the_pods_own(source: dict[str, Any]) -> None:
    assert shared(spec(), **source) == []


def test_a_volume_as_a_device() -> None:
    device = {"volumeDevices": [{"name": "data", "devicePath": "/dev/xvda"}]}
    claim = {"persistentVolumeClaim": {"claimName": "blocks"}}
    assert len(shared(spec(), mount=device, **claim)) == 1
    assert shared(spec(), mount={"volumeMounts": None, "volumeDevices": None}, **claim) == []
