"""What tells a flow's requests from all others, picked from a request to be handed to whatever it causes."""

from collections.abc import Iterable

NAMES = ("x-kardinal-flow", "baggage", "traceparent", "tracestate", "x-request-id")


def context_of(pairs: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """Picks what a request's handler must hand on: as headers, as gRPC metadata, and in jobs.

    Args:
        pairs: Headers of an HTTP request, or metadata of a call; their names' case does not matter.

    Returns:
        Those of `NAMES` that are there; one given more than once becomes one list (RFC 9110, section 5.3).
    """
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name.lower() in NAMES and isinstance(value, str):
            found.setdefault(name.lower(), []).append(value)
    return {name: ", ".join(values) for name, values in found.items()}
