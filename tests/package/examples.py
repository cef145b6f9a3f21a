"""The numbered examples and what surrounds them: an application, its baseline's outputs, a flow's outputs."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from tests.components.flows import declare
from tests.pure.samples import BASELINE_STACK, TOPOLOGY

FOLDER = Path(__file__).resolve().parents[2] / "examples"
EXAMPLES = sorted(folder.name for folder in FOLDER.glob("[0-9][0-9]-*"))


def project(example: str) -> dict[str, Any]:
    """The example's `Pulumi.yaml`."""
    return dict(yaml.safe_load((FOLDER / example / "Pulumi.yaml").read_text()))


def default_config(example: str) -> dict[str, Any]:
    """The config that an untouched stack of an example has."""
    settings = project(example)
    return {
        key if ":" in key else f"{settings['name']}:{key}": item.get("default", item.get("value"))
        for key, item in settings["config"].items()
    }


def topology(namespace: str) -> dict[str, Any]:
    """What the application's baseline stack exports."""
    plain = deepcopy(TOPOLOGY)
    plain |= {"namespace": namespace, "gateway": {**TOPOLOGY["gateway"], "namespace": namespace}}
    plain["databases"]["votes"]["host"] = "votes-db"
    return plain


def stacks(namespace: str = TOPOLOGY["namespace"]) -> dict[str, dict[str, Any]]:
    """Outputs of the stacks that examples read."""
    flow = dict(declare().exports)
    flow["connectionUris"] = json.loads(flow["connectionUris"])
    return {BASELINE_STACK: {"topology": topology(namespace)}, "organization/kardinal/dev": flow}
