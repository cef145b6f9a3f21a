"""Rules about branched databases: no fork may hold what leads to a branch's parent."""

from __future__ import annotations

from collections.abc import Iterator

from kardinal_infra.forking.workloads import find_workload
from kardinal_infra.observed.live import LiveObjects, Object, containers, pod_template, spec_of
from kardinal_infra.safety.case import Case, ProposedFork
from kardinal_infra.safety.findings import Hit, safety_rule
from kardinal_infra.safety.parent_secrets import BranchedParents, Parents, naming_hosts
from kardinal_infra.safety.references import Key, references, taken_whole

_PARENT = "the parent of a branched database"


@safety_rule("parent-secret", "error")
def parent_secret(case: Case) -> Iterator[Hit]:
    """A fork of a flow with branches still gets a credential or the host of a branch's parent."""
    every = BranchedParents(case)
    for fork in case.forks:
        parents, live = every.of(fork), case.live_of(fork.service)
        where = f"in the fork of {fork.title}"
        for container in fork.containers():
            owner = f'of container "{container["name"]}" {where}'
            for name, key in references(live, container).items():
                if name not in parents.kept and parents.accuse(key):
                    message = (
                        f'variable {name} {owner} still comes from {key[1]} "{key[2]}", which leads to'
                        f" {_PARENT}: name the variable in `uses[].environment` of the baseline, or set it in"
                        " `env`"
                    )
                    yield Hit(fork.path, message, (f"{key[1]} {key[2]}",))
            for name in taken_whole(container) if live.secret_keys is None else ():
                if parents.accuse((live.namespace, "Secret", name, "")):
                    message = (
                        f'`envFrom` {owner} still takes all of Secret "{name}", which leads to {_PARENT}, and'
                        " its keys may not be listed: allow that, or name the variables one by one"
                    )
                    yield Hit(fork.path, message, (f"Secret {name}",))
            for name in naming_hosts(live.namespace, container, parents):
                what, way_out = "the command", "replace it in `command`"
                if name:
                    what = f"variable {name}"
                    way_out = "name it in `uses[].environment` of the baseline, or set it in `env`"
                message = f"{what} {owner} names the host of a branched database's parent: {way_out}"
                yield Hit(fork.path, message)
        for volume, key in _mounted(case, fork):
            if parents.accuse(key):
                message = (
                    f'volume "{volume}" of the fork of {fork.title} shows {key[1]} "{key[2]}", which leads to'
                    f" {_PARENT}: choose `volumes: {{{volume}: empty}}`"
                )
                yield Hit(fork.path, message, (f"{key[1]} {key[2]}",))


def _mounted(case: Case, fork: ProposedFork) -> Iterator[tuple[str, Key]]:
    """The keys of Secrets and ConfigMaps that the fork's volumes show."""
    home, live = case.home(fork.service), case.live_of(fork.service)
    for volume in spec_of(fork.template).get("volumes") or ():
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            if secret := source.get("secret"):
                # A Secret counts as a whole, so one key stands for it.
                yield volume["name"], (home, "Secret", secret.get("secretName") or secret.get("name", ""), "")
            if shown := source.get("configMap"):
                name = shown.get("name", "")
                known = (live.config_map_keys or {}).get(name, ())
                for key in [item["key"] for item in shown.get("items") or ()] or known:
                    yield volume["name"], (home, "ConfigMap", name, key)


@safety_rule("undeclared-database-user", "error")
def undeclared_database_user(case: Case) -> Iterator[Hit]:
    """A service that the flow's requests reach uses a branched database, and does not declare it."""
    parents = BranchedParents(case).of()
    if not parents.keys and not parents.hosts:
        return  # nothing is branched, or nothing tells where from
    entered = {entry.service for entry in case.topology.entries} | case.forked()
    for name in sorted(case.topology.downstream(entered) - case.forked()):
        try:
            workload = find_workload(case.live, name, case.topology.services[name])
        except ValueError:
            continue  # not forked: whether it runs at all is not this flow's business
        if any(_uses(case.live_of(name), item, parents) for item in containers(pod_template(workload))):
            yield Hit(
                case.service_path(name),
                f'service "{name}" has the credential or names the host of a branched database and does not'
                " declare it in `uses`: for the flow's requests it uses production's",
                (f"Service {name}",),
            )


def _uses(live: LiveObjects, container: Object, parents: Parents) -> bool:
    keys = [*references(live, container).values()]
    keys += [(live.namespace, "Secret", name, "") for name in taken_whole(container)]
    return any(map(parents.accuse, keys)) or bool(naming_hosts(live.namespace, container, parents))


@safety_rule("parent-credential-kept", "warning")
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
