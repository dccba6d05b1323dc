"""A device of a machine: its labels, its lock, and the fresh process that measures on it."""
