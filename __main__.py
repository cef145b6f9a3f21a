"""Runs the program that the stack's configuration names (`kardinal:stack`)."""

from stacks import run

run()
