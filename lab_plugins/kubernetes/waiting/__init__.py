"""Waiting until an object is what was asked for, or gone: driven by watches, never by polling."""
