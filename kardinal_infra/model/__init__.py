"""The contract between baseline and flow stacks: what it is made of, and the rules of its parts. Pure."""
