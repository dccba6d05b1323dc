"""Figures of energy from raw joules; derived when read, never stored."""
