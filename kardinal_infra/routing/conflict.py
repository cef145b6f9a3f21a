"""What on a Service cannot be joined by a flow's routes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Conflict:
    """One thing that makes flows impossible on a Service, or dangerous for production.

    Attributes:
        rule: Name of the rule, a heading of docs/safety.md.
        message: What, and what to do about it; one sentence that names the objects, without end mark.
        objects: Them, as `Kind namespace/name`.
    """

    rule: str
    message: str
    objects: tuple[str, ...] = ()
