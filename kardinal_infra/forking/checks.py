"""What keeps a workload from being forked, and what a user should know of the fork.

Only what makes a fork impossible is here; what makes it unsafe is a rule of `kardinal_infra.safety`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kardinal_infra.config import EnvReference, ObjectKey
from kardinal_infra.config.reading import did_you_mean
from kardinal_infra.forking.containers import env_from_names, env_names
from kardinal_infra.forking.spec import ForkSpec
from kardinal_infra.forking.volumes import claim_templates, own_claims, volume_names
from kardinal_infra.observed.live import LiveObjects, containers, name_of, pod_template, spec_of

_SHARED = frozenset({"ReadOnlyMany", "ReadWriteMany"})
_MAX_STATEFUL_SET_NAME = 52
"""Its pods carry a label of its name and a hash of ten digits."""


def fork_problems(spec: ForkSpec, live: LiveObjects) -> list[str]:
    """Finds what makes a fork impossible.

    Args:
        spec: The fork.
        live: The snapshot.

    Returns:
        Sentences, each naming the objects concerned.
    """
    return [
        *_environment_problems(spec, live),
        *_claim_problems(spec, live),
        *_reference_problems(spec, live),
        *_name_problems(spec),
        *_choice_problems(spec),
    ]


def fork_warnings(spec: ForkSpec) -> list[str]:
    """Says what differs from the baseline in ways that a user may not expect.

    Args:
        spec: The fork.

    Returns:
        Sentences.
    """
    workload = _title(spec)
    warnings = []
    own = {name_of(claim): claim for claim in own_claims(spec)}
    for name in map(name_of, claim_templates(spec.workload)):
        if name in own:
            size = own[name]["spec"].get("resources", {}).get("requests", {}).get("storage", "its size")
            warnings.append(
                f'{workload}: the fork gets a new empty volume for "{name}" ({size}), deleted with the fork'
            )
        else:
            warnings.append(
                f'{workload}: the fork starts with an empty volume instead of "{name}", lost with its pod'
            )
    template = pod_template(spec.workload)
    if any(port.get("hostPort") for item in containers(template) for port in item.get("ports") or ()):
        warnings.append(f"{workload}: the fork does not get the baseline's host ports")
    if spec.replicas == 0 and spec.live_service is None:
        warnings.append(f"{workload}: a worker; its fork has 0 replicas unless the flow asks for some")
    return warnings


def _title(spec: ForkSpec) -> str:
    return f"{spec.workload['kind']} {name_of(spec.workload)}"


def _environment_problems(spec: ForkSpec, live: LiveObjects) -> Iterator[str]:
    template = pod_template(spec.workload)
    own = env_names(template)
    sources = [env_from_names(item, live.config_map_keys, live.secret_keys) for item in containers(template)]
    unknown = any(names is None for names in sources)
    known = own.union(*(names for names in sources if names is not None))
    for what, why, environment in _replaced(spec):
        if not environment:
            yield (
                f'service "{spec.service}" does not say which environment variables lead to {what}; {why}'
                " needs them (`uses[].environment` of the baseline)"
            )
        for name in environment:
            if name not in known and not unknown:
                there = ", ".join(sorted(known)) or "none"
                yield (
                    f'{_title(spec)} has no environment variable "{name}", which should lead to {what} (it'
                    f" has: {there})"
                )


def _replaced(spec: ForkSpec) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    for use in spec.databases:
        if use.handover == "env":
            yield f'database "{use.database}"', 'the hand-over "env"', use.environment
    for store in spec.stores:
        yield f'store "{store.store}"', "a fresh one", store.environment


def _claim_problems(spec: ForkSpec, live: LiveObjects) -> Iterator[str]:
    for volume in pod_template(spec.workload).get("spec", {}).get("volumes") or ():
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if name is None or spec.volumes.get(volume["name"]) == "empty":
            continue
        modes: Sequence[str] = spec_of(live.claim(name) or {}).get("accessModes") or ()
        if not _SHARED.intersection(modes):
            yield (
                f'{_title(spec)} mounts PersistentVolumeClaim "{name}", which one node at a time may write'
                " (ReadWriteOnce) or which cannot be read; a fork must not share it with production: give it"
                f" an empty volume with `volumes: {{{volume['name']}: empty}}`"
            )


def _reference_problems(spec: ForkSpec, live: LiveObjects) -> Iterator[str]:
    wanted = {f"env.{name}": value for name, value in spec.env.items()}
    for container, patch in spec.patches.items():
        wanted |= {f"containers.{container}.env.{name}": value for name, value in patch.env.items()}
    for path, value in wanted.items():
        if isinstance(value, EnvReference):
            yield from _missing(path, "Secret", value.secret_key_ref, live.secret_keys)
            yield from _missing(path, "ConfigMap", value.config_map_key_ref, live.config_map_keys)


def _missing(
    path: str, kind: str, reference: ObjectKey | None, keys: Mapping[str, frozenset[str]] | None
) -> Iterator[str]:
    if reference is None or keys is None:
        return
    if reference.name not in keys:
        yield f'{path}: there is no {kind} "{reference.name}"' + did_you_mean(reference.name, keys)
    elif reference.key not in keys[reference.name]:
        there = ", ".join(sorted(keys[reference.name])) or "none"
        yield f'{path}: {kind} "{reference.name}" has no key "{reference.key}" (it has: {there})'


def _name_problems(spec: ForkSpec) -> Iterator[str]:
    if own_claims(spec) and len(spec.name) > _MAX_STATEFUL_SET_NAME:
        yield (
            f'the name of the forked StatefulSet, "{spec.name}", has more than {_MAX_STATEFUL_SET_NAME}'
            " characters: choose a shorter flow id"
        )


def _choice_problems(spec: ForkSpec) -> Iterator[str]:
    names = volume_names(spec.workload)
    templates = {name_of(claim) for claim in claim_templates(spec.workload)}
    for volume, choice in spec.volumes.items():
        if volume not in names:
            there = ", ".join(names) or "none"
            yield f'volumes.{volume}: {_title(spec)} has no volume "{volume}" (it has: {there})'
        elif choice == "readOnly" and volume in templates:
            yield f'volumes.{volume}: the fork gets a volume of its own; "readOnly" would leave it empty'
    known = {item["name"] for item in containers(pod_template(spec.workload))}
    for container in spec.patches:
        if container not in known:
            there = ", ".join(sorted(known))
            yield f'containers.{container}: {_title(spec)} has no container "{container}" (it has: {there})'
