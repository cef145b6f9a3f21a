"""The lab: a real Kubernetes with Istio on one machine, for the demo and the tests.

Imports nothing at once: the plugins beside it are started often and must start fast.
"""


def is_running() -> bool:
    """Whether every program of the lab that the environment asks for runs."""
    from lab.variables import is_running as answer

    return answer()


def environment() -> dict[str, str]:
    """The variables by which programs use the lab; they hold a key: do not print them into a log."""
    from lab.variables import environment as answer

    return answer()
