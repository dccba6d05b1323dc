"""What custom code raised, as text on one line."""

from __future__ import annotations

from attnbench.text import printable

MOST = 300
"""Characters of a message that is not the suite's."""

RAISED = (Exception, SystemExit, GeneratorExit)
"""What code that is loaded may raise; an interrupt is the user's."""


def message(error: BaseException, instead: str = "") -> str:
    """Return an error's type and text; ``instead`` stands where it has no text."""
    name = printable(type(error).__name__, 80)
    return f"{name}: {text(error) or printable(instead, MOST)}".removesuffix(": ")


def text(error: BaseException, most: int | None = MOST) -> str:
    """Return an error's text on one line.

    Custom classes of errors can raise where their text is asked for; that is stated instead.
    """
    try:
        return printable(str(error), most)
    except BaseException:  # of any kind: SystemExit too would end the process
        return "its text cannot be read"
