"""Patterns for the paths of modules, such as ``features.*.conv.3@BatchNorm2d``.

Shell patterns (``*``, ``?``, ``[...]``) on each name of a path: none crosses a dot. ``@Type`` is a
pattern for the module's class, and ``!pattern`` takes out what matches. Several with commas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Pattern:
    """One pattern: the names of a path, the class where one is stated, whether it takes out."""

    names: tuple[str, ...]
    kind: str
    excludes: bool

    def matches(self, path: str, kind: str) -> bool:
        """Return whether a module of that path and class matches."""
        names = path.split(".")
        return (
            len(names) == len(self.names)
            and all(map(fnmatchcase, names, self.names))
            and fnmatchcase(kind, self.kind or "*")
        )

    def __str__(self) -> str:
        return ".".join(self.names) + (f"@{self.kind}" if self.kind else "")


def parse(text: str) -> tuple[Pattern, ...]:
    """Parse patterns with commas between them.

    Raises:
        ValueError: one is empty or malformed; the message says how they are written.
    """
    patterns = []
    for part in text.split(","):
        stated = part.strip()
        path, at, kind = stated.removeprefix("!").partition("@")
        names = tuple(path.split("."))
        whole = all(names) and (bool(kind) or not at) and "@" not in kind
        if not whole or not stated.isprintable() or len(stated.split()) != 1:
            raise ValueError(
                f"at: '{stated[:100]!s}' is no pattern such as features.*.conv.3@BatchNorm2d or "
                "!layer1.*.bn2; several with commas"
            )
        patterns.append(Pattern(names, kind, stated.startswith("!")))
    return tuple(patterns)


def written(text: str) -> str:
    """Return patterns as records have them: no spaces around commas.

    Raises:
        ValueError: as :func:`parse`.
    """
    return ",".join(("!" if pattern.excludes else "") + str(pattern) for pattern in parse(text))


def chosen(
    patterns: Iterable[Pattern], kinds: Mapping[str, str], default: Iterable[str]
) -> list[str]:
    """Return the paths that are chosen, in the order of ``kinds`` (path -> class).

    Where every pattern takes out, they take out of ``default``.
    """
    known = [*patterns]
    adding = [pattern for pattern in known if not pattern.excludes]
    removing = [pattern for pattern in known if pattern.excludes]
    start = {*default}
    return [
        path
        for path, kind in kinds.items()
        if path
        and (any(p.matches(path, kind) for p in adding) if adding else path in start)
        and not any(p.matches(path, kind) for p in removing)
    ]
