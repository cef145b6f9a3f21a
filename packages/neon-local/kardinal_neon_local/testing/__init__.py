"""For tests: a started service, and whether calls keep to Neon's API.

Needs the extra `testing`.
"""
