"""Reading a resource's URN: `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`."""


def resource_type(urn: str) -> str:
    """Return the resource's own type token, without its parents' types."""
    return urn.split("::")[2].rpartition("$")[2]


def resource_name(urn: str) -> str:
    """Return the name that the program gave the resource (it may hold `::` itself)."""
    return "::".join(urn.split("::")[3:])
