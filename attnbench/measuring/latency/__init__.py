"""Latency: what one process does of a run's rounds, from the warm-up to their records."""
