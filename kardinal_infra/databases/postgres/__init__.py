"""Branches on any PostgreSQL server (13 or later): a copy of a database on the same server.

Everything but `provider`, `resource` and `backend` knows nothing of Pulumi. The import path of `provider` is
state format, see there. psycopg is imported when a server is talked to, not before.
"""
