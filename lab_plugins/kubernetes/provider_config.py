"""DiffConfig: does a changed provider mean another cluster, and so new resources throughout?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab_plugins.common.wire import UNKNOWN, reveal
from lab_plugins.kubernetes.kubeconfig import active_cluster

_CLUSTER_KEYS = ("kubeconfig", "context", "cluster")
_IDENTIFIER = "clusterIdentifier"


@dataclass(frozen=True)
class ConfigDiff:
    """What DiffConfig answers.

    Attributes:
        changed: the inputs that differ.
        replaces: those of them that mean another provider.
    """

    changed: list[str]
    replaces: list[str]


def diff_config(olds: dict[str, Any], news: dict[str, Any]) -> ConfigDiff:
    """Compare the inputs of a provider.

    It is another one only if the cluster entry that its kubeconfig selects differs; `clusterIdentifier`, when
    set, decides alone.

    Args:
        olds: the recorded inputs.
        news: the new inputs.
    """
    olds, news = reveal(olds), reveal(news)
    changed = sorted(key for key in {*olds, *news} if olds.get(key) != news.get(key))
    identifiers = olds.get(_IDENTIFIER), news.get(_IDENTIFIER)
    if all(identifiers):
        return ConfigDiff(changed, [_IDENTIFIER] if identifiers[0] != identifiers[1] else [])
    unknown = [key for key in _CLUSTER_KEYS if news.get(key) is UNKNOWN]
    if unknown:
        return ConfigDiff(unknown[:1], unknown[:1])
    before, after = (
        active_cluster(inputs.get("kubeconfig"), inputs.get("context"), inputs.get("cluster"))
        for inputs in (olds, news)
    )
    moved = before is not None and after is not None and before != after
    return ConfigDiff(changed, [key for key in _CLUSTER_KEYS if key in changed] if moved else [])
