"""What GitHub's checks read: annotations, and a table in the step's summary."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path


def annotation(name: str, message: str) -> str:
    """A line that GitHub shows as an error of the step."""
    return f"::error title=attnbench {_property(name)}::{_message(message)}"


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A pipe table, all columns to the left."""
    lines = [headings, [":--"] * len(headings), *rows]
    return "\n".join(
        "| " + " | ".join(text.replace("|", r"\|") for text in line) + " |" for line in lines
    )


def said(annotations: Sequence[str], headline: str, table: str) -> str:
    """What to print; the table goes to the step's summary where there is one."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(table)
    return "\n".join([*annotations, headline, *([] if summary else ["", table])])


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
