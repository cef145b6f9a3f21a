"""Neon: a client of its API, and branches as Pulumi resources.

The client half (`client`, `branch`, `change`, `removal`) knows nothing of Pulumi. The import path of
`provider` is state format, see there.
"""
