"""What custom code raised, as text on one line."""

from __future__ import annotations

from attnbench.text import printable

MOST = 300
"""Characters of a message that is not the suite's."""


def message(error: BaseException, instead: str = "") -> str:
    """Return an error's type and text; ``instead`` stands where it has no text.

    Custom classes of errors can raise where their text is asked for; that is stated instead.
    """
    name = printable(type(error).__name__, 80)
    try:
        text = str(error)
    except BaseException:  # of any kind: SystemExit too would end the process
        text = "its text cannot be read"
    return f"{name}: {printable(text, MOST) or printable(instead, MOST)}".removesuffix(": ")
