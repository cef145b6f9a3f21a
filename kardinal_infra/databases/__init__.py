"""Database branching: the interface, and the backends behind it."""
