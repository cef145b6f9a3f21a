"""Stands for whatever prepares your database; the variables are those that the hook's `uses` names."""

import os

print(f"seeding {os.environ['KARDINAL_FLOW']} on {os.environ['PGHOST']}:{os.environ['PGPORT']}")
