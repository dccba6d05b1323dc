"""Examine the machine before it measures: what would disturb a run, and what to do about it."""
