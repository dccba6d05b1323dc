"""Modules that are not in the suite's table: files, entry points and timm."""
