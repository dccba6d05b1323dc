"""Warnings that every child process prints anew, such as those of a module's file: shown once."""

from __future__ import annotations

import re

_WARNING = re.compile(rb"\S.*:\d+: \w*Warning: ")
"""How Python begins the line of a warning: file, line, category."""

_SOURCE = b"  "
"""What stands before the line of code, which follows it."""

MOST_HELD = 4096
"""Bytes of an unfinished line that are held back until it ends."""

_shown: set[bytes] = set()


class OnceFilter:
    """The output of one child, without the warnings that another has shown."""

    def __init__(self) -> None:
        self._held = b""
        self._dropped = False
        """Whether the line before was a warning that is not shown again."""

    def passed(self, data: bytes) -> bytes:
        """Return what is to be shown now; an unfinished line waits for its end."""
        *lines, self._held = (self._held + data).split(b"\n")
        text = b"".join(line + b"\n" for line in lines if self._is_new(line))
        if len(self._held) > MOST_HELD:
            text += self.rest()
        return text

    def rest(self) -> bytes:
        """Return the unfinished line that was held back."""
        held, self._held = self._held, b""
        return held

    def _is_new(self, line: bytes) -> bool:
        if self._dropped and line.startswith(_SOURCE):
            self._dropped = False
            return False
        self._dropped = line in _shown
        if _WARNING.match(line):
            _shown.add(line)
        return not self._dropped
