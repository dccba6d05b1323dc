"""What holds with the torch of constraints.txt alone: some figures, and the types in its stubs."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"


def _minor(text: str) -> str:
    return ".".join(text.split(".")[:2])


PINNED = re.findall(r"^torch==(.+)$", CONSTRAINTS.read_text(), re.MULTILINE)[0]

on_the_pinned_torch = pytest.mark.skipif(
    _minor(version("torch")) != _minor(PINNED), reason=f"holds with torch {_minor(PINNED)}"
)
