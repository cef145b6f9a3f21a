"""A branching backend whose servers are folders, and whose databases are SQLite files in them."""
