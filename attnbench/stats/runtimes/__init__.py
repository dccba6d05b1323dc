"""Runtimes beside each other, of rounds that they ran in together."""
