"""Ids, passwords and moments in the shapes that Neon gives them."""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime

_ADJECTIVES = """
aged ancient autumn billowing bitter black blue bold broad broken calm cold cool crimson curly damp dark
dawn delicate divine dry empty falling flat floral fragrant frosty gentle green hidden holy icy jolly
late lingering little lively long lucky misty morning muddy mute nameless noisy odd old orange patient
plain polished proud purple quiet rapid raspy red restless rough round royal shiny shrill shy silent
small snowy soft solitary square steep still summer super sweet throbbing tight tiny twilight wandering
weathered white wild winter wispy young
"""
_NOUNS = """
art band bar base bird block boat bonus bread breeze brook bush butterfly cake cell cherry cloud credit
darkness dawn dew disk dream dust feather field fire firefly flower fog forest frog frost glade glitter
grass hall hat haze heart hill king lab lake leaf limit math meadow mode moon morning mountain mouse mud
night paper pine poetry pond queen rain recipe resonance rice river salad scene sea shadow shape silence
sky smoke snow snowflake sound star sun sunset surf term thunder tooth tree truth union unit violet
voice water waterfall wave wildflower wind
"""
_SUFFIX = string.ascii_lowercase + string.digits


def _word(words: str) -> str:
    return secrets.choice(words.split())


def new_id(prefix: str) -> str:
    """Makes up an id such as `br-noisy-breeze-a5e59rrb`.

    Args:
        prefix: `br` or `ep`.
    """
    suffix = "".join(secrets.choice(_SUFFIX) for _ in range(8))
    return f"{prefix}-{_word(_ADJECTIVES)}-{_word(_NOUNS)}-{suffix}"


def new_project_id() -> str:
    """Makes up a project id such as `old-violet-32930710`."""
    return f"{_word(_ADJECTIVES)}-{_word(_NOUNS)}-{secrets.randbelow(10**8):08d}"


def new_password() -> str:
    """Makes up a role's password of about 95 bits, safe inside a URI without quoting."""
    return "npg_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(16))


def now() -> datetime:
    """Returns the present moment, with a zone."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Writes a moment as `2025-08-04T07:13:09Z`: Neon's answers carry whole seconds.

    Args:
        moment: With a zone.
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(moment: datetime) -> str:
    """Writes a moment as `2025-01-16T21:02:04.214837Z`: the precision of operations and of their cursor.

    Args:
        moment: With a zone.
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
