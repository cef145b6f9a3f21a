"""Which output values are secret: those whose input was, and the data of every Secret."""

from __future__ import annotations

from typing import Any

from lab_plugins.common.wire import Secret, has_secret


def mark_secrets(outputs: dict[str, Any], inputs: dict[str, Any] | None) -> dict[str, Any]:
    """Return a copy of the outputs with secrets marked as in the inputs.

    Secrecy is copied key by key through maps. A list with one secret inside becomes one secret as a whole,
    since its order may not survive. The `data` and `stringData` of anything of kind Secret are always secret.

    Args:
        outputs: plain values, nothing marked yet.
        inputs: the inputs as the engine sent them, with `Secret` values; None when there were none.
    """
    if outputs.get("kind") == "Secret":
        return {
            key: Secret(value) if key in ("data", "stringData") else value for key, value in outputs.items()
        }
    marked = dict(outputs)
    for key, given in (inputs or {}).items():
        if key not in outputs:
            continue
        value = outputs[key]
        if isinstance(value, dict) and isinstance(given, dict):
            marked[key] = mark_secrets(value, given)
        elif has_secret(given):
            marked[key] = Secret(value)
    return marked
