"""`python -m kardinal_neon_local`: the command."""

from __future__ import annotations

from kardinal_neon_local.command import main

if __name__ == "__main__":
    main()
