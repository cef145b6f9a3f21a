"""Rules about data: what production reads no fork may write, and no fork may hold a parent's credential."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from kardinal_infra.live import LiveObjects, Object, containers, pod_template
from kardinal_infra.safety.case import Case, ProposedFork
from kardinal_infra.safety.findings import Hit, Rule

_LOCAL = frozenset({"", "localhost", "127.0.0.1", "::1"})


def shared_writable_volume(case: Case) -> Iterator[Hit]:
    """The fork could write files of production: a shared claim, or a folder of the node."""
    for fork in case.forks:
        for volume in fork.template.get("spec", {}).get("volumes") or ():
            claim, folder = volume.get("persistentVolumeClaim"), volume.get("hostPath")
            if (claim is None and folder is None) or (claim and claim.get("readOnly")):
                continue
            writers = [item["name"] for item in fork.containers() if _writes(item, volume["name"])]
            if writers:
                what = f'PersistentVolumeClaim "{claim["claimName"]}"' if claim else "a folder of the node"
                yield Hit(
                    fork.path,
                    f'the fork of {fork.title} would write to {what} (volume "{volume["name"]}"), as'
                    f" production does: choose `volumes: {{{volume['name']}: empty}}` or `readOnly`",
                    (what,),
                )


def _writes(container: Object, volume: str) -> bool:
    mounts = container.get("volumeMounts") or ()
    return any(mount["name"] == volume and not mount.get("readOnly") for mount in mounts)


def parent_secret(case: Case) -> Iterator[Hit]:
    """A fork of a flow with branches still gets a credential or the host of a branch's parent."""
    everywhere = {(case.home(fork.service), name) for fork in case.forks for name in _parent_secrets(fork)}
    for fork in case.forks:
        # A Secret of the same name in another namespace is another one.
        parents = {name for home, name in everywhere if home == case.home(fork.service)}
        if any(use.handover == "sidecar" for use in fork.databases):
            continue  # the variables stay as they are on purpose: rule parent-credential-kept
        hosts = _parent_hosts(case)
        for container in fork.containers():
            for what, secret in _resolved(container, parents, case.live_of(fork.service)):
                message = (
                    f'{what} of container "{container["name"]}" in the fork of {fork.title} still comes from'
                    f' Secret "{secret}", which leads to the parent of a branched database: name the variable'
                    " in `uses[].environment` of the baseline, or set it in `env`"
                )
                yield Hit(fork.path, message, (f"Secret {secret}",))
            for entry in container.get("env") or ():
                if any(host in str.__str__(entry.get("value") or "") for host in hosts):
                    message = (
                        f'variable {entry["name"]} of container "{container["name"]}" in the fork of'
                        f" {fork.title} names the host of a branched database's parent: name it in"
                        " `uses[].environment` of the baseline, or set it in `env`"
                    )
                    yield Hit(fork.path, message)
        for volume, secret in _mounted(fork, parents):
            message = (
                f'volume "{volume}" of the fork of {fork.title} shows Secret "{secret}", which leads to the'
                f" parent of a branched database: choose `volumes: {{{volume}: empty}}`"
            )
            yield Hit(fork.path, message, (f"Secret {secret}",))


def _parent_secrets(fork: ProposedFork) -> Iterator[str]:
    """Secrets that gave the baseline the variables which the branch gives the fork."""
    wanted = {name for use in fork.databases for name in use.environment}
    for container in containers(pod_template(fork.baseline)):
        own = {entry["name"]: entry for entry in container.get("env") or ()}
        for name in wanted & own.keys():
            reference = (own[name].get("valueFrom") or {}).get("secretKeyRef")
            if reference:
                yield reference["name"]
        if wanted - own.keys():
            for source in container.get("envFrom") or ():
                if "secretRef" in source:
                    yield source["secretRef"]["name"]


def _parent_hosts(case: Case) -> set[str]:
    """Hosts of the parents of all branched databases, as far as anything tells them."""
    used = {use.database for other in case.forks for use in other.databases}
    hosts = {case.topology.databases[name].host or "" for name in used if name in case.topology.databases}
    for other in case.forks:
        parts = {name: part for use in other.databases for name, part in use.environment.items()}
        for container in containers(pod_template(other.baseline)):
            for entry in container.get("env") or ():
                value = str.__str__(entry.get("value") or "")
                part = parts.get(entry["name"])
                if part == "host":
                    hosts.add(value)
                elif part in {"uri", "pooledUri"}:
                    hosts.add(_host_of(value))
    return hosts - _LOCAL


def _host_of(uri: str) -> str:
    try:
        return urlsplit(uri).hostname or ""
    except ValueError:
        return ""


def _resolved(container: Object, parents: set[str], live: LiveObjects) -> Iterator[tuple[str, str]]:
    """Variables of a fork's container that come from one of the Secrets."""
    own = {entry["name"] for entry in container.get("env") or ()}
    for entry in container.get("env") or ():
        reference = (entry.get("valueFrom") or {}).get("secretKeyRef") or {}
        if reference.get("name") in parents:
            yield f"variable {entry['name']}", reference["name"]
    for source in container.get("envFrom") or ():
        secret = (source.get("secretRef") or {}).get("name")
        if secret in parents and live.secret_keys is not None:
            names = {(source.get("prefix") or "") + key for key in live.secret_keys.get(secret, ())}
            for name in sorted(names - own):
                yield f"variable {name}", secret


def _mounted(fork: ProposedFork, parents: set[str]) -> Iterator[tuple[str, str]]:
    for volume in fork.template.get("spec", {}).get("volumes") or ():
        sources = [(volume.get("secret") or {}).get("secretName")]
        for source in (volume.get("projected") or {}).get("sources") or ():
            sources.append((source.get("secret") or {}).get("name"))
        for secret in sources:
            if secret in parents:
                yield volume["name"], secret


def parent_credential_kept(case: Case) -> Iterator[Hit]:
    """By hand-over `sidecar` the fork keeps the parent's credential, and nothing closes the way there."""
    for fork in case.forks:
        kept = sorted(use.database for use in fork.databases if use.handover == "sidecar")
        if kept and fork.service not in case.locked:
            yield Hit(
                fork.path,
                f"the fork of {fork.title} keeps the credential of the parent of {', '.join(kept)}; only the"
                " exact host name is led to the branch: set `egress: locked`",
            )


RULES = (
    Rule("shared-writable-volume", "error", shared_writable_volume),
    Rule("parent-secret", "error", parent_secret),
    Rule("parent-credential-kept", "warning", parent_credential_kept),
)
