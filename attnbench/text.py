"""Text that is not ours (names, messages of foreign errors), made safe to show."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_WORD = 100
"""Characters of a word that is shown in a message, or compared with known ones."""

MOST_OF_ERROR = 300
"""Characters of the text of an error that is not the package's."""

MOST_OF_LIST = 600
"""Characters of the known words that a message lists."""

MOST_OF_MESSAGE = 900
"""Characters of a message, whatever it quotes."""

MOST_OF_NAME = 80
"""Characters of the name of an error's class."""

_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
"""Characters that count as printable and show nothing: fillers, joiners, variation selectors."""

_BREAKS = re.compile(r"[ \t\n\v\f\r]+")


def printable(text: str, most: int | None = None) -> str:
    r"""Return any text on one line, with escapes such as ``\x1b`` for what cannot be seen.

    These are control characters, which a terminal obeys and an SVG does not allow; marks that
    change the direction of writing, which would change their neighbours too; characters without
    width; halves of surrogate pairs; unassigned ones. Spaces and line breaks become one space.
    What is longer than ``most`` characters ends in an ellipsis.
    """
    line = visible(_BREAKS.sub(" ", text).strip(" "))
    return line if most is None or len(line) <= most else f"{line[: most - 1]}…"


def shortened(message: str, most: int = MOST_OF_MESSAGE) -> str:
    """Return a message with an ellipsis in the middle where it is longer: its ends say most."""
    if len(message) <= most:
        return message
    half = (most - 1) // 2
    return f"{message[: most - 1 - half]}…{message[-half:]}"


def visible(text: str) -> str:
    """Return text with the same escapes; spaces and ends of lines stay as they are."""
    return "".join(map(_shown, text))


def error_line(error: BaseException, instead: str = "") -> str:
    """Return an error's class and text on one line; ``instead`` stands where it has no text.

    Never raises: what a foreign class and its metaclass answer is foreign code.
    """
    line = f"{error_name(error)}: {error_text(error) or printable(instead, MOST_OF_ERROR)}"
    return line.removesuffix(": ")


def error_name(error: BaseException) -> str:
    """Return the name of an error's class, whatever its metaclass does."""
    try:
        return printable(str(type(error).__name__), MOST_OF_NAME)
    except BaseException:  # of any kind: SystemExit too would end the process
        return "an exception whose class has no name"


def error_text(error: BaseException, most: int | None = MOST_OF_ERROR) -> str:
    """Return an error's text on one line, without PyTorch's C++ stack."""
    try:
        text = str.__str__(str(error))  # of a subclass of str too, whose methods are foreign
    except BaseException as second:
        return f"(its text cannot be read: {error_name(second)})"
    text = text.partition("\nException raised from")[0]
    return printable(text if most is None else text[: 20 * most], most)


def unknown(what: str, word: str, known: Iterable[str], more: str = "") -> str:
    """Return the message for a word that is none of those that are known, with the nearest one."""
    names = list(known)
    shown = printable(word, LONGEST_WORD)
    return f"unknown {what} '{shown}'{near(word, names)}; known: {_listed(names)}{more}"


def _listed(names: list[str]) -> str:
    """Return the names with commas, as many as a message has room for, and how many more."""
    kept, length = len(names), 0
    for number, name in enumerate(names):
        length += len(name) + len(", ")
        if length > MOST_OF_LIST:
            kept = number
            break
    more = f" and {len(names) - kept} more" if kept < len(names) else ""
    return ", ".join(names[:kept]) + more


def near(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean sa?)`` with the nearest of the known words, or nothing."""
    # Without regard to case, as words are read; a long one would take long.
    alike = get_close_matches(word[:LONGEST_WORD].lower(), list(known), n=1)
    return f" (did you mean {alike[0]}?)" if alike else ""


def has_words(text: str, words: str) -> bool:
    """Return whether a text holds whole words, in any case: ``A10`` is not in ``A100``."""
    pattern = rf"(?<![^\W_]){re.escape(words)}(?![^\W_])"
    return re.search(pattern, text, re.IGNORECASE) is not None


def _shown(char: str) -> str:
    if char == "\n" or (char.isprintable() and not _INVISIBLE.match(char)):
        return char
    return char.encode("unicode_escape").decode()


def no_command(text: str) -> str:
    """Return lines in which a CI's log finds no command: ``::error::`` or ``##[error]``.

    GitHub obeys the first at the beginning of a line, after any spaces, and the second anywhere
    (``ActionCommand.cs`` in actions/runner).
    """
    return _COMMAND.sub(r"\1\\x3a:", text.replace("##[", r"#\x23["))


_COMMAND = re.compile(r"^([^\S\n]*)::", re.MULTILINE)

_ENDS = r"\[[-+]?[\d.,]+, [-+]?[\d.,]+\]"
_INTERVAL = re.compile(rf"({_ENDS}(?![(\[])|\[95%\]|\[too few rounds\])")
"""Brackets of intervals, left as they are; all others could be a link's."""

_MARKDOWN = (
    (re.compile(r"([\\*`|\[\]~$])"), r"\\\1"),
    (re.compile(r"(?<![^\W_])_|_(?![^\W_])"), r"\\_"),  # within a word it is no emphasis
    (re.compile(r"&(?=#?\w+;)"), "&amp;"),
    (re.compile("<"), "&lt;"),
    (re.compile(">"), "&gt;"),
    (re.compile(r"(?<=\w):(?=//)"), r"\\:"),  # GitHub makes links of addresses
    (re.compile(r"(?<!\w)(www)(?=\.)", re.IGNORECASE), r"\1\\"),
    (re.compile(r"^(#+|[-+]|=+|-{2,})(?=\s|$)"), r"\\\1"),  # headings, lists and rulers
    (re.compile(r"^(\d+)([.)])(?=\s|$)"), r"\1\\\2"),
    (re.compile(r"^(?=::)"), r"\\"),  # a command of GitHub's log
)


def markdown_text(text: str) -> str:
    """Return text that Markdown shows as it is, on one line, with intervals legible in the file."""
    parts = _INTERVAL.split(printable(text))
    for number in range(0, len(parts), 2):  # every other part is an interval
        for pattern, replacement in _MARKDOWN:
            parts[number] = pattern.sub(replacement, parts[number])
    return "".join(parts)


_FORMULA = re.compile("[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]")


def spreadsheet(text: str) -> str:
    """Return text for a cell of a CSV file, on one line, that no spreadsheet takes for a formula.

    What begins like one gets an apostrophe in front (OWASP, CSV injection).
    """
    shown = printable(text)
    return f"'{shown}" if _FORMULA.match(text) or _FORMULA.match(shown) else shown
