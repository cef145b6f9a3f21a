"""Rules about branched databases: no fork may hold what leads to a branch's parent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from kardinal_infra.forking import DatabaseEnv
from kardinal_infra.live import Object, containers, pod_template, spec_of
from kardinal_infra.safety.case import Case, ProposedFork
from kardinal_infra.safety.findings import Hit, Rule
from kardinal_infra.safety.references import END, Key, as_address, references, texts

_LOCAL = frozenset({"", "localhost", "127.0.0.1", "::1"})
_PARENT = "the parent of a branched database"


@dataclass(frozen=True)
class _Parents:
    """What leads to the parents of the databases that a fork has to get a branch of.

    Attributes:
        keys: Of Secrets and ConfigMaps that gave a baseline the variables which a branch gives its fork. Of a
            Secret all keys count: they are parts of one connection. A ConfigMap holds anything.
        hosts: Each with the namespace of who uses it, where a name alone is resolved.
        kept: Variables that stay as they are on purpose.
    """

    keys: frozenset[Key]
    hosts: frozenset[tuple[str, str]]
    kept: frozenset[str]

    def accuse(self, key: Key) -> bool:
        """Says whether a key leads to a parent."""
        whole = key[1] == "Secret" and any(key[:3] == other[:3] for other in self.keys)
        return whole or key in self.keys


def parent_secret(case: Case) -> Iterator[Hit]:
    """A fork of a flow with branches still gets a credential or the host of a branch's parent."""
    for fork in case.forks:
        parents, live = _parents(case, fork), case.live_of(fork.service)
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
            for name in _naming_hosts(case, fork, container, parents):
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


def _parents(case: Case, fork: ProposedFork) -> _Parents:
    """All of the flow's databases, but for those that a sidecar in this fork leads to the branch."""
    kept = {use.database: use for use in fork.databases if use.handover == "sidecar"}
    keys: set[Key] = set()
    hosts: set[tuple[str, str]] = set()
    kept_hosts: set[tuple[str, str]] = set()
    for other in case.forks:
        for use in other.databases:
            found = {(host, case.home(other.service)) for host in _hosts(case, other, use)}
            if use.database in kept:
                kept_hosts |= found
            else:
                keys.update(_gave(case, other, use))
                hosts |= found
    variables = frozenset(name for use in kept.values() for name in use.environment)
    return _Parents(frozenset(keys), frozenset(hosts - kept_hosts), variables)


def _gave(case: Case, fork: ProposedFork, use: DatabaseEnv) -> Iterator[Key]:
    """Where the baseline's variables stood that a branch gives the fork."""
    live = case.live_of(fork.service)
    for container in containers(pod_template(fork.baseline)):
        found = references(live, container)
        yield from (found[name] for name in sorted(use.environment.keys() & found.keys()))
        own = {entry["name"] for entry in container.get("env") or ()}
        if live.secret_keys is None and use.environment.keys() - own:
            # Nothing tells which Secret it is, unless there is only one.
            sources = container.get("envFrom") or ()
            names = {source["secretRef"].get("name", "") for source in sources if source.get("secretRef")}
            if len(names) == 1:
                yield case.home(fork.service), "Secret", names.pop(), ""


def _hosts(case: Case, fork: ProposedFork, use: DatabaseEnv) -> set[str]:
    """Hosts of a database's parent, as far as anything tells them."""
    database = case.topology.databases.get(use.database)
    hosts = {(database and database.host) or ""}
    for container in containers(pod_template(fork.baseline)):
        for entry in container.get("env") or ():
            value = str.__str__(entry.get("value") or "")
            part = use.environment.get(entry["name"])
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


def _naming_hosts(case: Case, fork: ProposedFork, container: Object, parents: _Parents) -> list[str]:
    """Variables of a container that name a parent's host, and an empty name for the command."""
    home = case.home(fork.service)
    forms = [form for host, namespace in parents.hosts for form in _spellings(host, namespace, home)]
    if not forms:
        return []
    leads = re.compile("|".join(forms), re.IGNORECASE)
    bare = {host for host, namespace in parents.hosts if namespace == home}
    found = {
        name
        for name, text in texts(container)
        if name not in parents.kept and (leads.search(text) or (name and text in bare))
    }
    return sorted(found)


def _spellings(host: str, namespace: str, home: str) -> list[str]:
    """Expressions for a host, as a pod in `home` may write it; a word alone has to stand like an address."""
    labels = host.split(".")
    if len(labels) > 1 and labels[2:3] != ["svc"]:
        return [rf"(?<![\w.-]){re.escape(host)}{END}"]
    name, namespace = labels[0], labels[1] if len(labels) > 1 else namespace
    forms = [rf"(?<![\w-]){re.escape(name)}\.{re.escape(namespace)}{END}"]
    if namespace == home:
        forms += [*as_address(name, r"\d+"), rf"(?<!\w)host={re.escape(name)}(?![\w.-])"]
    return forms


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
    Rule("parent-secret", "error", parent_secret),
    Rule("parent-credential-kept", "warning", parent_credential_kept),
)
