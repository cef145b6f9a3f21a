"""Small manifests for the plugin tests."""

from typing import Any


def config_map(name: str | None = None, **data: Any) -> dict[str, Any]:
    metadata = {"name": name} if name else {}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(image: str = "a", labels: dict[str, str] | None = None, **container: Any) -> dict[str, Any]:
    labels = labels or {"app": "x"}
    pod = {"containers": [{"name": "c", "image": image, **container}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
