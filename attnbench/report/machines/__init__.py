"""Runs of several machines beside each other; no ratio is taken across machines."""
