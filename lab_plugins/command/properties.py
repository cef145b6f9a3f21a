"""The properties of a Command: the inputs, what differs, how secrecy and the unknown reach the outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab_plugins.command.runner import Output
from lab_plugins.common.wire import UNKNOWN, Secret, has_secret, has_unknown, reveal

INPUTS = (
    "addPreviousOutputInEnv",
    "archivePaths",
    "assetPaths",
    "create",
    "delete",
    "dir",
    "environment",
    "interpreter",
    "logging",
    "stdin",
    "triggers",
    "update",
)
_LOGGING = ("stdout", "stderr", "stdoutAndStderr", "none")
_MISSING = object()


def problems(inputs: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (property, reason) of every mistake in a Command's inputs.

    Args:
        inputs: the program's inputs, with secrets and unknowns.
    """
    plain = reveal(inputs)
    found = [
        (name, "the stand-in command plugin does not collect files; install the official one")
        for name in ("assetPaths", "archivePaths")
        if plain.get(name) is not None
    ]
    for name in ("create", "update", "delete", "stdin", "dir"):
        value = plain.get(name)
        if value is not None and value is not UNKNOWN and not isinstance(value, str):
            found.append((name, f"expected a string, got {type(value).__name__}"))
    environment = plain.get("environment")
    if isinstance(environment, dict):
        for key, value in environment.items():
            if value is not UNKNOWN and not isinstance(value, str):
                found.append((f"environment.{key}", f"expected a string, got {type(value).__name__}"))
    logging = plain.get("logging")
    if logging is not None and logging is not UNKNOWN and logging not in _LOGGING:
        found.append(("logging", f"expected one of {', '.join(_LOGGING)}"))
    return found


def previous_output(state: dict[str, Any]) -> Output:
    """Return what the last run wrote."""
    plain = reveal(state)
    return Output(*(str(plain.get(name) or "") for name in ("stdout", "stderr")))


def with_output(inputs: dict[str, Any], output: Output) -> dict[str, Any]:
    """Return the state after a run: one secret input makes the whole output secret."""
    return {
        **inputs,
        "stdout": _as_secret(inputs, output.stdout),
        "stderr": _as_secret(inputs, output.stderr),
    }


def previewed(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the state before a run: what the command will write is not known."""
    return {**inputs, "stdout": _as_secret(inputs, UNKNOWN), "stderr": _as_secret(inputs, UNKNOWN)}


def differences(olds: dict[str, Any], news: dict[str, Any]) -> dict[str, str]:
    """Return the changed properties as Pulumi paths, each `add`, `delete` or `update`."""
    before, after = reveal(olds), reveal(news)
    changed: dict[str, str] = {}
    for name in INPUTS:
        changed.update(_compare(before.get(name, _MISSING), after.get(name, _MISSING), name))
    return changed


def _compare(old: Any, new: Any, path: str) -> Iterator[tuple[str, str]]:
    old, new = (_MISSING if value is None else value for value in (old, new))
    if old is _MISSING and new is _MISSING:
        return
    if old is _MISSING or new is _MISSING:
        yield path, "add" if old is _MISSING else "delete"
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            yield from _compare(old.get(key, _MISSING), new.get(key, _MISSING), f"{path}.{key}")
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _compare(
                old[index] if index < len(old) else _MISSING,
                new[index] if index < len(new) else _MISSING,
                f"{path}[{index}]",
            )
    elif has_unknown(new) or old != new:
        yield path, "update"


def _as_secret(inputs: dict[str, Any], value: Any) -> Any:
    return Secret(value) if has_secret(inputs) else value
