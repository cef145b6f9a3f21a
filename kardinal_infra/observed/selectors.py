"""Label selectors, evaluated as Kubernetes does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Evaluates a label selector (`matchLabels`, `matchExpressions`); the empty one matches everything.

    Args:
        selector: A LabelSelector.
        labels: Labels of an object.

    Returns:
        Whether it selects.
    """
    required = (selector.get("matchLabels") or {}).items()
    if any(labels.get(key) != value for key, value in required):
        return False
    return all(_holds(expression, labels) for expression in selector.get("matchExpressions") or ())


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or ()
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        # As in Kubernetes: true when the key is absent.
        return key not in labels or labels[key] not in values
    return (key in labels) is (operator == "Exists")
