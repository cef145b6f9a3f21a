"""Measurements of what the documentation claims; they need root, and take minutes."""
