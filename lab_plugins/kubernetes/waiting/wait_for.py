"""The annotation `pulumi.com/waitFor`: one expression, or a JSON array of expressions that must all hold.

`jsonpath={PATH}` holds when the path exists, `jsonpath={PATH}=VALUE` when its first value is VALUE;
`condition=TYPE` when the condition is True, `condition=TYPE=STATUS` when it has that status. Paths are RFC
9535 JSONPath in braces, the leading `$` left out, for instance
`{.status.parents[0].conditions[?(@.type=="Accepted")].status}`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from lab_plugins.kubernetes.objects import condition, dig
from lab_plugins.kubernetes.session import Session
from lab_plugins.kubernetes.waiting.base import ObjectWait

_BRACES = re.compile(r"\{\s*(.*?)\s*\}")
# An `=` that is no part of a filter's comparison.
_SEPARATOR = re.compile(r"(?<![=!<>])=(?!=)")


class WaitForError(ValueError):
    """The annotation is not a valid expression."""


@dataclass(frozen=True)
class Expectation:
    """One expression of the annotation.

    Attributes:
        text: the expression without its prefix.
        condition: the type of a status condition; empty for a path.
        path: a JSONPath query with its `$`; empty for a condition.
        value: the value to have; empty for any.
    """

    text: str
    condition: str = ""
    path: str = ""
    value: str = ""

    def holds(self, obj: dict[str, Any]) -> bool:
        """Tell whether an object meets the expectation; a map or list has no value to compare."""
        if self.condition:
            entry = condition(obj, self.condition)
            seen = entry.get("observedGeneration")
            stale = seen is not None and seen < (dig(obj, "metadata", "generation") or 0)
            return not stale and str(entry.get("status", "")).lower() == self.value.lower()
        import jsonpath_rfc9535

        found = jsonpath_rfc9535.find(self.path, obj).values()
        if not found:
            return False
        if isinstance(found[0], dict | list):
            return not self.value
        return not self.value or _spelled(found[0]) == self.value


def parse_wait_for(annotation: str) -> list[Expectation]:
    """Read the annotation.

    Raises:
        WaitForError: it holds no valid expression.
    """
    try:
        parsed = json.loads(annotation)
    except ValueError:
        parsed = [annotation]
    texts = (
        parsed if isinstance(parsed, list) and all(isinstance(text, str) for text in parsed) else [annotation]
    )
    if not texts:
        raise WaitForError("at least one condition must be specified")
    return [_parse_one(text) for text in texts]


def _parse_one(expression: str) -> Expectation:
    if expression.startswith("condition="):
        text = expression.removeprefix("condition=")
        kind, _, status = text.partition("=")
        return Expectation(text, condition=kind, value=status or "True")
    if not expression.startswith("jsonpath="):
        raise WaitForError(f'expected a "jsonpath=" or "condition=" prefix, got "{expression}"')
    text = expression.removeprefix("jsonpath=")
    parts = _SEPARATOR.split(text)
    if len(parts) > 2:
        raise WaitForError(f'format should be {{.path}}=value or {{.path}}, got "{text}"')
    path, value = parts[0], parts[1] if len(parts) == 2 else ""
    if len(parts) == 2 and not value:
        raise WaitForError(f"{path}= requires a value")
    if path.startswith("'") and path.endswith("'"):
        raise WaitForError(f"{path} should omit shell quotes")
    braces = _BRACES.search(path)
    if braces is None:
        raise WaitForError(f"{path} should be wrapped in brackets {{ ... }}")
    query = braces[1] if braces[1].startswith("$") else f"${braces[1]}"
    import jsonpath_rfc9535

    try:
        jsonpath_rfc9535.compile(query)
    except jsonpath_rfc9535.JSONPathError as error:
        raise WaitForError(f'parsing "{path}": {error}') from None
    return Expectation(text, path=query, value=value)


def _spelled(value: Any) -> str:
    """Write a value as Go prints it."""
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


class ExpectationWait(ObjectWait):
    """Waits until every expression of the annotation holds.

    Args:
        session: the provider.
        obj: the object as the API server answered the create or update.
        expectations: what to wait for.
    """

    def __init__(self, session: Session, obj: dict[str, Any], expectations: list[Expectation]) -> None:
        super().__init__(session, obj)
        self._expectations = expectations

    def _missing(self) -> list[Expectation]:
        observed = dig(self.live, "status", "observedGeneration")
        if observed is not None and observed < (dig(self.live, "metadata", "generation") or 0):
            return self._expectations
        return [expectation for expectation in self._expectations if not expectation.holds(self.live)]

    def done(self) -> bool:
        """Tell whether all hold."""
        return not self._missing()

    def status(self) -> str:
        """Name what is missing."""
        return "Waiting for " + " and ".join(expectation.text for expectation in self._missing())

    def reasons(self) -> list[str]:
        """Name what is missing."""
        return [f"{expectation.text} does not hold" for expectation in self._missing()]
