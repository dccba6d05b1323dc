"""Kinds of results that have a file of their own."""
