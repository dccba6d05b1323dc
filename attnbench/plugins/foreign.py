"""What custom code may raise where it is loaded."""

from __future__ import annotations

RAISED = (Exception, SystemExit, GeneratorExit)
"""Refused with its text; an interrupt is the user's."""
