"""Joules of variants by the hardware's own counter, in rounds apart from the timed ones."""
