"""What leads to the parents of branched databases: keys of Secrets and ConfigMaps, and hosts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from kardinal_infra.forking import DatabaseEnv
from kardinal_infra.model.names import ServiceRef
from kardinal_infra.observed.live import Object, containers, pod_template
from kardinal_infra.safety.case import Case, ProposedFork
from kardinal_infra.safety.references import END, Key, as_address, references, taken_whole, texts

_HARMLESS = frozenset({"port", "database"})
"""Parts of a connection that lead nowhere by themselves."""

_LOCAL = frozenset({"", "localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Parents:
    """What leads to the parents of the databases that a fork has to get a branch of.

    Attributes:
        keys: Of Secrets and ConfigMaps that gave a baseline the variables which a branch gives its fork. Of a
            Secret all keys count: they are parts of one connection. A ConfigMap holds anything.
        hosts: Each as the name in the namespace of who uses it, where a name alone is resolved.
        kept: Variables that stay as they are on purpose.
    """

    keys: frozenset[Key]
    hosts: frozenset[ServiceRef]
    kept: frozenset[str]

    def accuse(self, key: Key) -> bool:
        """Says whether a key leads to a parent."""
        return key in self.keys or (key[1] == "Secret" and key[:3] in self._secrets)

    @cached_property
    def _secrets(self) -> frozenset[tuple[str, str, str]]:
        return frozenset(key[:3] for key in self.keys)

    def named_in(self, home: str) -> tuple[re.Pattern[str] | None, frozenset[str]]:
        """Tells the hosts as pods of a namespace may write them.

        Args:
            home: The namespace.

        Returns:
            An expression that finds one in a text, None when there is no host, and the words that are one.
        """
        if home not in self._named:
            forms = [form for host in self.hosts for form in _spellings(host, home)]
            leads = re.compile("|".join(forms), re.IGNORECASE) if forms else None
            bare = frozenset(host.name for host in self.hosts if host.namespace == home)
            self._named[home] = leads, bare
        return self._named[home]

    @cached_property
    def _named(self) -> dict[str, tuple[re.Pattern[str] | None, frozenset[str]]]:
        return {}


class BranchedParents:
    """What leads to the parents of all of a flow's branches."""

    def __init__(self, case: Case) -> None:
        """Collects it from the baselines of the forks.

        Args:
            case: The cluster and the flow.
        """
        self._keys: dict[str, set[Key]] = {}
        self._hosts: dict[str, set[ServiceRef]] = {}
        self._made: dict[tuple[frozenset[str], frozenset[str]], Parents] = {}
        for fork in case.forks:
            for use in fork.databases:
                self._keys.setdefault(use.database, set()).update(_gave(case, fork, use))
                found = {ServiceRef(case.home(fork.service), host) for host in _hosts(case, fork, use)}
                self._hosts.setdefault(use.database, set()).update(found)

    def of(self, fork: ProposedFork | None = None) -> Parents:
        """Returns what no fork may hold.

        Args:
            fork: Leaves those databases out that a sidecar in this fork leads to the branch.
        """
        used = fork.databases if fork else ()
        kept = {use.database: use for use in used if use.handover == "sidecar"}
        variables = frozenset(name for use in kept.values() for name in use.environment)
        return self._but(frozenset(kept), variables)

    def _but(self, kept: frozenset[str], variables: frozenset[str]) -> Parents:
        place = kept, variables
        if place not in self._made:
            keys = (key for name, found in self._keys.items() if name not in kept for key in found)
            hosts = {host for name, found in self._hosts.items() if name not in kept for host in found}
            spared = {host for name in kept for host in self._hosts.get(name, ())}
            self._made[place] = Parents(frozenset(keys), frozenset(hosts - spared), variables)
        return self._made[place]


def _gave(case: Case, fork: ProposedFork, use: DatabaseEnv) -> Iterator[Key]:
    """Where the baseline's variables stood that a branch gives the fork."""
    live = case.live_of(fork.service)
    for container in containers(pod_template(fork.baseline)):
        found = references(live, container)
        leading = {name for name, part in use.environment.items() if part not in _HARMLESS}
        yield from (found[name] for name in sorted(leading & found.keys()))
        own = {entry["name"] for entry in container.get("env") or ()}
        if live.secret_keys is None and use.environment.keys() - own:
            # Nothing tells which Secret it is, unless there is only one.
            names = set(taken_whole(container))
            if len(names) == 1:
                yield case.home(fork.service), "Secret", names.pop(), ""


def _hosts(case: Case, fork: ProposedFork, use: DatabaseEnv) -> set[str]:
    """Hosts of a database's parent, as far as anything tells them."""
    database = case.topology.databases.get(use.database)
    hosts = {(database and database.host) or ""}
    for container in containers(pod_template(fork.baseline)):
        for entry in container.get("env") or ():
            value = str.__str__(entry.get("value") or "")
            hosts.add(named_host(value, use.environment.get(entry["name"])))
    return hosts - _LOCAL


def named_host(value: str, part: str | None) -> str:
    """Returns the host that a variable names, empty where it names none that can be read.

    Args:
        value: The variable's text.
        part: The part of a connection that it holds.
    """
    if part == "host":
        return value
    try:
        return urlsplit(value).hostname or "" if part in {"uri", "pooledUri"} else ""
    except ValueError:
        return ""


def naming_hosts(home: str, container: Object, parents: Parents) -> list[str]:
    """Finds the variables of a container that name a parent's host, and an empty name for the command.

    Args:
        home: Namespace of the container's pod.
        container: Of a pod template.
        parents: What is looked for.
    """
    leads, bare = parents.named_in(home)
    if leads is None:
        return []
    found = {
        name
        for name, text in texts(container)
        if name not in parents.kept and (leads.search(text) or (name and text in bare))
    }
    return sorted(found)


def _spellings(host: ServiceRef, home: str) -> list[str]:
    """Expressions for a host, as a pod in `home` may write it; a word alone has to stand like an address."""
    labels = host.name.split(".")
    if len(labels) > 1 and labels[2:3] != ["svc"]:
        return [rf"(?<![\w.-]){re.escape(host.name)}{END}"]
    name, namespace = labels[0], labels[1] if len(labels) > 1 else host.namespace
    forms = [rf"(?<![\w-]){re.escape(name)}\.{re.escape(namespace)}{END}"]
    if namespace == home:
        forms += [*as_address(name, r"\d+"), rf"(?<!\w)host={re.escape(name)}(?![\w.-])"]
    return forms
