"""What keeps a workload from being forked, and what a user should know of the fork."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kardinal_infra.forking.containers import env_from_names, env_names
from kardinal_infra.forking.deployment import fork_deployment
from kardinal_infra.forking.spec import ForkSpec
from kardinal_infra.live import LiveObjects, containers, matches, name_of, pod_template

_SHARED = frozenset({"ReadOnlyMany", "ReadWriteMany"})


def fork_problems(spec: ForkSpec, live: LiveObjects) -> list[str]:
    """Finds what makes a fork impossible or dangerous.

    Args:
        spec: The fork.
        live: The snapshot.

    Returns:
        Sentences, each naming the objects concerned.
    """
    return [*_database_problems(spec, live), *_volume_problems(spec, live), *_selector_problems(spec, live)]


def fork_warnings(spec: ForkSpec) -> list[str]:
    """Says what differs from the baseline in ways that a user may not expect.

    Args:
        spec: The fork.

    Returns:
        Sentences.
    """
    workload = _title(spec)
    claims = spec.workload.get("spec", {}).get("volumeClaimTemplates") or ()
    warnings = [
        f'{workload}: the fork starts with an empty volume instead of "{name_of(claim)}", lost with its pod'
        for claim in claims
    ]
    template = pod_template(spec.workload)
    if any(port.get("hostPort") for item in containers(template) for port in item.get("ports") or ()):
        warnings.append(f"{workload}: the fork does not get the baseline's host ports")
    if spec.replicas == 0 and spec.live_service is None:
        warnings.append(f"{workload}: a worker; its fork has 0 replicas unless the flow asks for some")
    return warnings


def _title(spec: ForkSpec) -> str:
    return f"{spec.workload['kind']} {name_of(spec.workload)}"


def _database_problems(spec: ForkSpec, live: LiveObjects) -> Iterator[str]:
    template = pod_template(spec.workload)
    own = env_names(template)
    sources = [env_from_names(item, live.config_map_keys, live.secret_keys) for item in containers(template)]
    unknown = any(names is None for names in sources)
    known = own.union(*(names for names in sources if names is not None))
    for use in spec.databases:
        if use.handover != "env":
            continue
        if not use.environment:
            yield (
                f'service "{spec.service}" does not say which environment variables lead to database'
                f' "{use.database}"; the hand-over "env" needs them (`uses[].environment` of the baseline)'
            )
        for name in use.environment:
            if name not in known and not unknown:
                there = ", ".join(sorted(known)) or "none"
                yield (
                    f'{_title(spec)} has no environment variable "{name}", which should lead to database'
                    f' "{use.database}" (it has: {there})'
                )


def _volume_problems(spec: ForkSpec, live: LiveObjects) -> Iterator[str]:
    modes: dict[str, Sequence[str]] = {
        name_of(claim): claim.get("spec", {}).get("accessModes") or () for claim in live.claims
    }
    for volume in pod_template(spec.workload).get("spec", {}).get("volumes") or ():
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if name is not None and not _SHARED.intersection(modes.get(name, ())):
            yield (
                f'{_title(spec)} mounts PersistentVolumeClaim "{name}", which one node at a time may write'
                " (ReadWriteOnce) or which cannot be read; a fork must not share it with production"
            )


def _selector_problems(spec: ForkSpec, live: LiveObjects) -> Iterator[str]:
    # Dropping labels is enough for matchLabels; NotIn and DoesNotExist select what lacks a label.
    secrets = {use.database: "" for use in spec.databases}
    labels = fork_deployment(spec, secrets)["spec"]["template"]["metadata"]["labels"]
    for who, selector in live.selectors():
        if matches(selector, labels):
            yield f'{who} selects pods in a way that would also select the fork of "{spec.service}"'
