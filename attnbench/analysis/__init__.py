"""Answers from finished runs: how overheads changed, which modules fit."""
