"""The project's Pulumi programs, one module per kind of stack.

`kardinal:stack` in a stack's configuration names the program: `baseline` adopts a running application, `flow`
makes one environment beside it, `voting-app` is the demonstration's production application.
"""

from collections.abc import Callable
from importlib import import_module
from typing import cast

import pulumi

from kardinal_infra.errors import KardinalError

PROGRAMS = {"baseline": "stacks.baseline", "flow": "stacks.flow", "voting-app": "stacks.voting_app"}
"""Value of `kardinal:stack` to the module that holds its `program` function."""


def run() -> None:
    """Runs the configured program.

    Raises:
        pulumi.RunError: The configuration names no known program, or the program refused its input; the
            engine prints the message alone, without a traceback.
    """
    name = pulumi.Config("kardinal").require("stack")
    if name not in PROGRAMS:
        raise pulumi.RunError(f'kardinal:stack: "{name}" is none of {", ".join(sorted(PROGRAMS))}')
    try:
        program = cast("Callable[[], None]", import_module(PROGRAMS[name]).program)
        program()
    except KardinalError as error:
        raise pulumi.RunError(str(error)) from error
