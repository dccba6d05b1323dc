"""What was published about the modules, and limits set by users."""

from __future__ import annotations

from attnbench.claims.claim import Claim, Finding, catalogue, select

__all__ = ["Claim", "Finding", "catalogue", "select"]
