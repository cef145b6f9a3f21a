"""The key: what carries the flow from request to request.

Everything that routes by it asks here how it is asked for, set, removed and recognised, in both dialects:
in the Gateway API, whose matches and filters list `{name, value}`, and in Istio, which writes mappings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from kardinal_infra.model.names import BAGGAGE_KEY, HEADER_FLOW
from kardinal_infra.routing.gateway_api.manifest import MAX_HEADERS
from kardinal_infra.routing.headers import Changes, named_in, value_of, without

Carrier = Literal["header", "baggage"]
"""Where a request has the key: in a header of its own, or in a member of the W3C baggage."""

BAGGAGE = "baggage"
"""The W3C baggage's header. Its members are separated by commas, their properties by semicolons."""

_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,256}")
_PLAIN = re.compile(r"[a-z0-9-]+")
"""What stands for itself in every expression."""


class Condition(NamedTuple):
    """What a request has to have.

    Attributes:
        header: Name of the header, in lower case.
        value: Its value, or an expression that all of it has to match.
        expression: Which of the two.
    """

    header: str
    value: str
    expression: bool = False

    def fits(self, value: str) -> bool:
        """Says whether a header of this value is what is asked for.

        Args:
            value: The header's.
        """
        return re.fullmatch(self.value, value) is not None if self.expression else value == self.value


class Change(NamedTuple):
    """What becomes of a header at a flow's host.

    Attributes:
        action: `set`, in place of what a client sent, or `add` to it.
        header: Name of the header.
        value: Its value.
    """

    action: Literal["set", "add"]
    header: str
    value: str


@dataclass(frozen=True)
class Key:
    """What carries a flow's id.

    Requests of a flow have it on both carriers; `asked` says which of them routes heed.

    Attributes:
        header: Name of the header, in lower case; its value is the flow's id.
        member: Name of the baggage member; its value is the flow's id.
        asked: Carriers that routes ask for, each by a match of its own.
    """

    header: str = HEADER_FLOW
    member: str = BAGGAGE_KEY
    asked: tuple[Carrier, ...] = ("header",)

    def __post_init__(self) -> None:
        """Refuses names that no request could carry, or that would be no plain text in an expression."""
        if not _HEADER.fullmatch(self.header) or self.header == BAGGAGE:
            raise ValueError(f'"{self.header}" is not the name of a header that can carry the key')
        if not _PLAIN.fullmatch(self.member):
            raise ValueError(f'"{self.member}" is not the name of a baggage member of a-z, 0-9 and "-"')
        if not self.asked:
            raise ValueError("routes have to ask for one carrier at least")

    def __str__(self) -> str:
        """The headers that routes ask for, for messages."""
        return " or ".join(self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The headers that routes ask for: whoever sends one of them chooses a fork."""
        return tuple(self.header if carrier == "header" else BAGGAGE for carrier in self.asked)

    def baggage(self, flow: str) -> str:
        """Returns the baggage member.

        Args:
            flow: Flow id.
        """
        return f"{self.member}={flow}"

    def carried(self, flow: str) -> dict[str, str]:
        """Returns the headers of a flow's request.

        Args:
            flow: Flow id.
        """
        return {self.header: flow, BAGGAGE: self.baggage(flow)}

    def carriers_in(self, headers: Mapping[str, str], flow: str) -> frozenset[Carrier]:
        """Says which carriers of a request have a flow's key.

        Args:
            headers: The request's, by their names in lower case.
            flow: Flow id.
        """
        found: dict[Carrier, bool] = {
            "header": headers.get(self.header) == flow,
            "baggage": re.fullmatch(self.expression(flow), headers.get(BAGGAGE, "")) is not None,
        }
        return frozenset(carrier for carrier, there in found.items() if there)

    def expression(self, flow: str) -> str:
        """Returns the regular expression (RE2, to be matched in full) for baggage with the member.

        Args:
            flow: Flow id, of a-z, 0-9 and "-" alone: an invalid expression breaks the routes of every proxy.

        Raises:
            ValueError: The flow's id is anything else.
        """
        if not _PLAIN.fullmatch(flow):
            raise ValueError(f'"{flow}" must consist of a-z, 0-9 and "-"')
        # Names and values have no commas, semicolons or spaces of their own (W3C Baggage, section 3.3.1).
        return rf"^(.*,)?\s*{self.member}\s*=\s*{flow}\s*([,;].*)?$"

    def added_to(self, match: Mapping[str, Any], flow: str) -> list[dict[str, Any]]:
        """Asks for the key besides what a match of the Gateway API asks for.

        Args:
            match: Of an HTTPRoute or GRPCRoute.
            flow: Flow id.

        Returns:
            A match for each carrier; each has one header more than the original and so ranks right above it.

        Raises:
            ValueError: It matches a header of the key itself, or has no room for one more.
        """
        headers = list(match.get("headers") or ())
        if taken := self._taken(match):
            raise ValueError(f"a match of the baseline uses the header {taken}, which is the flows' own")
        if len(headers) >= MAX_HEADERS:
            raise ValueError(f"a match with {len(headers)} headers has no room for the flow's")
        return [
            {
                **deepcopy(dict(match)),
                "headers": [
                    *deepcopy(headers),
                    {
                        "type": "RegularExpression" if wanted.expression else "Exact",
                        "name": wanted.header,
                        "value": wanted.value,
                    },
                ],
            }
            for wanted in self._conditions(flow)
        ]

    def added_to_istio(self, match: Mapping[str, Any], flow: str) -> list[dict[str, Any]]:
        """Asks for the key besides what a match of a VirtualService asks for.

        Args:
            match: Of a rule.
            flow: Flow id.

        Returns:
            A match for each carrier.

        Raises:
            ValueError: It matches a header of the key itself.
        """
        if taken := self._taken(match):
            raise ValueError(f"one of its rules uses the header {taken}, which is the flows' own")
        result = []
        for wanted in self._conditions(flow):
            copy = deepcopy(dict(match))
            how = "regex" if wanted.expression else "exact"
            copy["headers"] = {**(copy.get("headers") or {}), wanted.header: {how: wanted.value}}
            result.append(copy)
        return result

    def carrier_of(self, match: Mapping[str, Any], flow: str) -> Carrier | None:
        """Says where a match asks for a flow's key, and for no other.

        Args:
            match: Of either dialect.
            flow: Flow id.

        Returns:
            The carrier; None when requests without the key, or with another flow's, meet the match too.
        """
        found = _conditions_of(match)
        for carrier, wanted in zip(self.asked, self._conditions(flow), strict=True):
            if wanted in found:
                return carrier
        return None

    def taken_from(self, match: Mapping[str, Any]) -> dict[str, Any]:
        """Undoes `added_to`.

        Args:
            match: Of an HTTPRoute or GRPCRoute.

        Returns:
            A copy that does not ask for the key.
        """
        headers = match.get("headers") or ()
        return {**match, "headers": [item for item in headers if item["name"].lower() not in self.names]}

    def marks(self, flow: str) -> tuple[Change, Change]:
        """Returns what a flow's host does to requests.

        The baggage of a client may hold members of others, which stay; and members of ours, which may stay
        only where no route heeds them.

        Args:
            flow: Flow id.
        """
        action: Literal["set", "add"] = "set" if "baggage" in self.asked else "add"
        return Change("set", self.header, flow), Change(action, BAGGAGE, self.baggage(flow))

    def marked_by(self, changes: Changes, flow: str) -> bool:
        """Says whether changes do to requests what a flow's host has to.

        Args:
            changes: As in `kardinal_infra.routing.headers`.
            flow: Flow id.
        """
        wanted = [change for change in self.marks(flow) if change.header in self.names]
        return all(value_of(changes, change.action, change.header) == change.value for change in wanted)

    def closed_by(self, flow: str, *changes: Changes) -> bool:
        """Says whether a request has no key of a flow after changes, whatever key it came with.

        Args:
            flow: Flow id.
            changes: All that are made to it on its way, as in `kardinal_infra.routing.headers`; in which
                order no specification says.
        """
        overridden = {name for item in changes for name in named_in(item, "set", "remove")}
        return overridden.issuperset(self.names) and not any(self._gives(item, flow) for item in changes)

    def left_alone(self, changes: Changes) -> dict[str, Any]:
        """Takes out of changes what they do to the key.

        Args:
            changes: As in `kardinal_infra.routing.headers`.

        Returns:
            New changes, without empty parts.
        """
        kept = without(changes, self.header)
        # Members of others may be added.
        return without(kept, BAGGAGE, "set", "remove") if "baggage" in self.asked else kept

    def _conditions(self, flow: str) -> Sequence[Condition]:
        return [
            Condition(self.header, flow)
            if carrier == "header"
            else Condition(BAGGAGE, self.expression(flow), expression=True)
            for carrier in self.asked
        ]

    def _gives(self, changes: Changes, flow: str) -> bool:
        """Whether a request may have a flow's key from changes."""
        for wanted in self._conditions(flow):
            for action in ("set", "add"):
                value = value_of(changes, action, wanted.header)
                if value is not None and wanted.fits(value):
                    return True
        return False

    def _taken(self, match: Mapping[str, Any]) -> str | None:
        """The header of the key that somebody's match asks for, or for the absence of."""
        written = [item for part in ("headers", "withoutHeaders") for item in match.get(part) or ()]
        used = {str(item["name"] if isinstance(item, Mapping) else item).lower() for item in written}
        return next((name for name in self.names if name in used), None)


def _conditions_of(match: Mapping[str, Any]) -> set[Condition]:
    headers = match.get("headers") or ()
    if isinstance(headers, Mapping):  # of a VirtualService
        return {
            Condition(name.lower(), value, how == "regex")
            for name, wanted in headers.items()
            for how, value in wanted.items()
            if how in ("exact", "regex")
        }
    return {
        Condition(item["name"].lower(), item["value"], item.get("type", "Exact") != "Exact")
        for item in headers
    }


DEFAULT_KEY = Key()
"""The key of applications that have not chosen another."""
