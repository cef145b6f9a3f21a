"""Resource quantities as the API server spells them: `1000m` is stored as `1`, `0.5` as `500m`.

Source: the canonical form described with `Quantity` in the Kubernetes API reference: no fractional digits,
the largest possible exponent, the suffix family of the input kept.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|)")
_QUANTITY_MAPS = frozenset({"requests", "limits", "hard", "capacity", "overhead"})
_QUANTITY_FIELDS = frozenset({"sizeLimit", "divisor"})


def canonical(quantity: str) -> str:
    """Return a quantity in the API server's spelling; what is not a plain quantity comes back as it is."""
    match = _FORM.fullmatch(quantity)
    if match is None:
        return quantity
    number, suffix = Decimal(match[1]), match[2]
    if suffix in _BINARY:
        value = number * 1024 ** _BINARY[suffix]
        if value == value.to_integral_value() and abs(value) >= 1024:
            power, size = 0, int(value)
            while size % 1024 == 0 and power < 6:
                power, size = power + 1, size // 1024
            return f"{size}{next((name for name, exponent in _BINARY.items() if exponent == power), '')}"
        suffix, number = "", value
    value = number.scaleb(_DECIMAL[suffix])
    if value == 0:
        return "0"
    for name, exponent in reversed(_DECIMAL.items()):
        scaled = value.scaleb(-exponent)
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{name}"
    return quantity


def canonicalize(value: Any) -> Any:
    """Copy a manifest with every quantity in canonical spelling."""
    if isinstance(value, list):
        return [canonicalize(item) for item in value]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, item in value.items():
        if key in _QUANTITY_MAPS and isinstance(item, dict):
            result[key] = {
                name: canonical(str(amount)) if _is_amount(amount) else amount
                for name, amount in item.items()
            }
        elif key in _QUANTITY_FIELDS and _is_amount(item):
            result[key] = canonical(str(item))
        else:
            result[key] = canonicalize(item)
    return result


def _is_amount(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
