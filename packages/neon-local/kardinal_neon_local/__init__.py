"""A local service that speaks the Neon API over real PostgreSQL instances, one per branch.

Started by `kardinal-neon-local serve`. It is part of the extra `local-neon`.
"""
