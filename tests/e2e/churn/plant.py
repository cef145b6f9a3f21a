"""A hook of the churn's flows: writes the flow's mark into its branch, before any fork starts."""

import os

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute("INSERT INTO options (name, position) VALUES (%s, 100)", (os.environ["MARK"],))
