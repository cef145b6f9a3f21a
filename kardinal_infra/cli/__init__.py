"""The `kardinal` command: flows of a Pulumi project, by their words."""

from kardinal_infra.cli.commands import main

__all__ = ["main"]
