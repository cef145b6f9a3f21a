"""Which API server, as whom, and in which namespace: from a kubeconfig to a connected HTTP client.

Order, as in the official provider and kubectl: the provider's `kubeconfig` input (a path or the text itself),
then `$KUBECONFIG` (several files are merged, the first one wins), then `~/.kube/config`, then the pod's
service account.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from lab_plugins.kubernetes.credentials import CredentialsError, authentication, tls_context

_PATH_FIELDS = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT = httpx.Timeout(60, connect=10)


class KubeconfigError(Exception):
    """No usable kubeconfig; the text says why."""


@dataclass(frozen=True)
class Connection:
    """A configured API server.

    Attributes:
        client: HTTP client with the server's address, its certificate authority and the user's credentials.
        server: the server's URL, for messages.
        namespace: the context's namespace, `default` if it names none.
    """

    client: httpx.Client
    server: str
    namespace: str


def connect(source: str | None, context: str | None, cluster: str | None = None) -> Connection:
    """Build the client; nothing is sent yet.

    Args:
        source: path or text of a kubeconfig; None or empty for the environment's.
        context: the context to use; None or empty for the current one.
        cluster: a cluster of the kubeconfig to use instead of the context's own.

    Raises:
        KubeconfigError: the kubeconfig is missing, unreadable or names something it does not hold.
    """
    config = _load(source)
    wanted = context or config.get("current-context")
    if not wanted:
        raise KubeconfigError("the kubeconfig has no current context")
    chosen = _entry(config, "context", wanted)
    server = _entry(config, "cluster", cluster or chosen.get("cluster") or "")
    user = _entry(config, "user", chosen["user"]) if chosen.get("user") else {}
    url = server.get("server") or "http://localhost:8080"
    try:
        client = httpx.Client(
            base_url=url,
            verify=tls_context(server, user),
            auth=authentication(user),
            timeout=_TIMEOUT,
            proxy=server.get("proxy-url") or None,
            # Every wait holds its connections, so there is no bound on their number.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
        )
    except CredentialsError as error:
        raise KubeconfigError(f"the credentials of context '{wanted}' cannot be used: {error}") from error
    return Connection(client, url, chosen.get("namespace") or "default")


def active_cluster(source: Any, context: str | None, cluster: str | None) -> dict[str, Any] | None:
    """Return the cluster entry that a kubeconfig input selects, or None if that cannot be told.

    Args:
        source: the provider's `kubeconfig` input: path, text, or the parsed mapping.
        context: the provider's `context` input.
        cluster: the provider's `cluster` input.
    """
    try:
        parsed = source if isinstance(source, dict) else _parse_input(str(source or ""))
    except KubeconfigError:
        return None
    contexts = {entry["name"]: entry.get("context") or {} for entry in parsed.get("contexts") or []}
    clusters = {entry["name"]: entry.get("cluster") for entry in parsed.get("clusters") or []}
    chosen = contexts.get(context or parsed.get("current-context") or "", {})
    return clusters.get(cluster or chosen.get("cluster"))


def _load(source: str | None) -> dict[str, Any]:
    if source:
        return _parse_input(source)
    files = [Path(part).expanduser() for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    files = files or [Path("~/.kube/config").expanduser()]
    present = [file for file in files if file.is_file()]
    if not present:
        return _service_account(files)
    merged: dict[str, Any] = {"clusters": [], "contexts": [], "users": [], "current-context": None}
    for file in present:
        parsed = _read_file(file)
        for section in ("clusters", "contexts", "users"):
            known = {entry["name"] for entry in merged[section]}
            merged[section] += [entry for entry in parsed.get(section) or [] if entry["name"] not in known]
        merged["current-context"] = merged["current-context"] or parsed.get("current-context")
    return merged


def _service_account(missing: list[Path]) -> dict[str, Any]:
    """Describe the cluster whose pod this is."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not (_SERVICE_ACCOUNT / "token").is_file():
        names = ", ".join(map(str, missing))
        raise KubeconfigError(f"no kubeconfig: {names} not found, and KUBECONFIG names no other file")
    address = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    cluster = {"server": address, "certificate-authority": str(_SERVICE_ACCOUNT / "ca.crt")}
    namespace = (_SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    return {
        "clusters": [{"name": "pod", "cluster": cluster}],
        "users": [{"name": "pod", "user": {"tokenFile": str(_SERVICE_ACCOUNT / "token")}}],
        "contexts": [{"name": "pod", "context": {"cluster": "pod", "user": "pod", "namespace": namespace}}],
        "current-context": "pod",
    }


def _entry(config: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    for entry in config.get(f"{section}s") or []:
        if entry["name"] == name:
            return entry.get(section) or {}
    raise KubeconfigError(f"the kubeconfig has no {section} '{name}'")


def _parse_input(source: str) -> dict[str, Any]:
    path = (
        Path(source).expanduser()
        if "\n" not in source and len(source) < os.pathconf("/", "PC_PATH_MAX")
        else None
    )
    if path is not None and path.is_file():
        return _read_file(path)
    return _parse(source, "the provider's kubeconfig")


def _read_file(path: Path) -> dict[str, Any]:
    try:
        parsed = _parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise KubeconfigError(str(error)) from error
    for section, fields in _PATH_FIELDS.items():
        for entry in parsed.get(f"{section}s") or []:
            body = entry.get(section) or {}
            for field in fields:
                if body.get(field):
                    body[field] = str(path.parent / body[field])  # kept as it is when absolute
    return parsed


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        parsed = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        # The parser's own message quotes the text, which may hold credentials.
        place = getattr(error, "problem_mark", None)
        raise KubeconfigError(f"{where} is not YAML{f' (line {place.line + 1})' if place else ''}") from None
    if not isinstance(parsed, dict) or not parsed.get("clusters"):
        raise KubeconfigError(f"{where} names no file and is not a kubeconfig (no clusters in it)")
    return parsed
