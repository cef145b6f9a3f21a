"""The demonstration's production application: a page, an API and a database that lives elsewhere.

Plain Kubernetes objects that know nothing of flows: this stack stands for whatever a team already has.
Configuration, all under `kardinal:`

- `databaseUrl` (secret, required): the PostgreSQL database, as `postgresql://...`.
- `namespace`: default `voting-app`; made by this stack.
- `images`: `{ui: voting-app-ui:1.0, api: votes-api:1.0}`, for registries of one's own.
- `seedVotes`: votes that a new database starts with, default `{Cats: 312, Dogs: 288}`.
"""

import hashlib
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core.v1 import EnvVarArgsDict

APPLICATION = "voting-app"
IMAGES = {"ui": "voting-app-ui:1.0", "api": "votes-api:1.0"}
SEED_VOTES = {"Cats": 312, "Dogs": 288}
PORT = 8000
USER = 10001  # what both Dockerfiles run as


def program() -> None:
    """Declares the application.

    Raises:
        pulumi.ConfigMissingError: `databaseUrl` is not set.
        pulumi.RunError: `images` or `seedVotes` is malformed; lists every problem.
    """
    config = pulumi.Config("kardinal")
    images, seed = _read_settings(config)
    database_url = config.require_secret("databaseUrl")

    namespace = k8s.core.v1.Namespace(
        "namespace",
        metadata={
            "name": config.get("namespace") or APPLICATION,
            "labels": {"istio-injection": "enabled", "app.kubernetes.io/part-of": APPLICATION},
        },
    )
    account = k8s.core.v1.ServiceAccount(
        "service-account",
        metadata={"name": APPLICATION, "namespace": namespace.metadata.name},
        automount_service_account_token=False,
    )
    database = k8s.core.v1.Secret(
        "database",
        metadata={"name": "votes-database", "namespace": namespace.metadata.name},
        string_data={"DATABASE_URL": database_url},
    )
    api = _workload(
        "votes-api",
        image=images["api"],
        namespace=namespace,
        account=account,
        readiness_path="/readyz",
        environment=[
            {
                "name": "DATABASE_URL",
                "value_from": {"secret_key_ref": {"name": database.metadata.name, "key": "DATABASE_URL"}},
            },
            {"name": "SEED_VOTES", "value": ",".join(f"{option}={votes}" for option, votes in seed.items())},
        ],
        # Pods read the Secret only when they start: a new URL has to make new pods.
        # The fingerprint may be seen; a secret there would hide the whole Deployment in every diff.
        annotations={"checksum/database-url": pulumi.Output.unsecret(database_url.apply(_fingerprint))},
    )
    ui = _workload(
        "voting-app-ui",
        image=images["ui"],
        namespace=namespace,
        account=account,
        readiness_path="/healthz",
        environment=[{"name": "VOTES_API_URL", "value": "http://votes-api"}],
    )

    pulumi.export("namespace", namespace.metadata.name)
    pulumi.export("services", [ui.metadata.name, api.metadata.name])


def _read_settings(config: pulumi.Config) -> tuple[dict[str, str], dict[str, int]]:
    problems = []
    images: Any = config.get_object("images") or {}
    if not isinstance(images, dict) or not all(isinstance(image, str) for image in images.values()):
        problems.append("kardinal:images: expected a mapping of `ui` and `api` to images")
        images = {}
    problems += [
        f"kardinal:images.{name}: unknown, expected ui or api" for name in sorted(images.keys() - IMAGES)
    ]
    seed: Any = config.get_object("seedVotes", SEED_VOTES)
    if not isinstance(seed, dict) or not all(type(votes) is int and votes >= 0 for votes in seed.values()):
        problems.append("kardinal:seedVotes: expected a mapping of options to numbers of votes")
        seed = {}
    problems += [
        f"kardinal:seedVotes.{option}: an option's name has no comma or equals sign"
        for option in sorted(seed)
        if not option.strip() or set(option) & set(",=")
    ]
    if problems:
        raise pulumi.RunError("\n".join(problems))
    return IMAGES | images, seed


def _fingerprint(text: str) -> str:
    # Cut short on purpose: enough to tell two URLs apart, of no use to somebody who guesses passwords.
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _workload(
    name: str,
    *,
    image: str,
    namespace: k8s.core.v1.Namespace,
    account: k8s.core.v1.ServiceAccount,
    readiness_path: str,
    environment: list[EnvVarArgsDict],
    annotations: dict[str, pulumi.Input[str]] | None = None,
) -> k8s.core.v1.Service:
    """Declares one web service: a Deployment, and a Service of the same name on port 80."""
    labels = {"app": name, "app.kubernetes.io/name": name, "app.kubernetes.io/part-of": APPLICATION}
    k8s.apps.v1.Deployment(
        name,
        metadata={"name": name, "namespace": namespace.metadata.name, "labels": labels},
        spec={
            "replicas": 1,
            "selector": {"match_labels": {"app": name}},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations or {}},
                "spec": {
                    "service_account_name": account.metadata.name,
                    "termination_grace_period_seconds": 10,
                    "security_context": {"run_as_non_root": True, "run_as_user": USER, "run_as_group": USER},
                    "containers": [
                        {
                            "name": name,
                            "image": image,
                            "image_pull_policy": "IfNotPresent",
                            "ports": [{"name": "http", "container_port": PORT}],
                            "env": [{"name": "PORT", "value": str(PORT)}, *environment],
                            "readiness_probe": {
                                "http_get": {"path": readiness_path, "port": "http"},
                                "period_seconds": 2,
                                "timeout_seconds": 5,
                            },
                            "liveness_probe": {
                                "http_get": {"path": "/healthz", "port": "http"},
                                "period_seconds": 10,
                                "timeout_seconds": 5,
                            },
                            "resources": {"requests": {"cpu": "20m", "memory": "48Mi"}},
                            "security_context": {
                                "allow_privilege_escalation": False,
                                "capabilities": {"drop": ["ALL"]},
                                "read_only_root_filesystem": True,
                            },
                        }
                    ],
                },
            },
        },
    )
    return k8s.core.v1.Service(
        f"{name}-service",
        metadata={
            "name": name,
            "namespace": namespace.metadata.name,
            "labels": labels,
            # The Deployment is awaited; the Service would only add its settling time.
            "annotations": {"pulumi.com/skipAwait": "true"},
        },
        spec={"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "target_port": "http"}]},
    )
