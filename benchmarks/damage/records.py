"""Ways to damage a file of records: bytes, values, fields or whole lines of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from random import Random
from typing import Any

NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.0, 5e-324, 1e-12, 1e308, -1e308, 10**19, 10**400),
    *(2**31, 2**53, 2**53 + 1, 2**63, float("nan"), float("inf"), float("-inf")),
    *("", " ", "0", "plain", "control", "copy", "sa", "sa layer9", "sa layer1", "x layer", "NaN"),
    *("\0", "\x1b[2J\x1b[31m", "\u202egnp.exe", "\u2028::error::x", "\n::set-output name=a::b"),
    *(
        "[red]x[/]",
        "[link=http://x]y[/link]",
        "##[error]x",
        "$\\frac{",
        "$x$",
        "\\input{/etc/passwd}",
    ),
    *("=1+cmd|' /C calc'!A0", "<img src=x onerror=alert(1)>", '" onload="x', "![x](http://x/y)"),
    *("~nosuchuser/x.py:A", "/dev/zero.py:A", "\0.py:A", "a.py:A,b=" + "[" * 500, "x" * 10_000),
    *("\ufffd\uffff", "%s{0}{{ 7*7 }}", [], {}, [1], {"a": 1}, [[[[[[1]]]]]], [0, 0, 0, 0]),
    *([1, 2, 3], [2**31] * 4, {"kind": "end"}, {"params": -1}),
)
"""Replacements for a value, of every type."""


class UnfitError(Exception):
    """A mutation that cannot be made of this file."""


Data = list[Any]
"""The parsed lines of a file."""


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value within parsed JSON."""
    if not isinstance(data, dict | list):
        return
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield (*path, key)
        yield from places(value, (*path, key))


def parent(data: Any, path: tuple[Any, ...]) -> Any:
    """Return the object or list that holds the value of a path."""
    for key in path[:-1]:
        data = data[key]
    return data


def _within(random: Random, data: Data, kind: type) -> tuple[Any, Any]:
    """Return one object or list anywhere, and a key or index in it."""
    # A line first, as a line with counts has a hundred times as many values as one of a round.
    line = random.randrange(len(data))
    known = [(line, *path) for path in places(data[line])]
    known = [path for path in known if isinstance(parent(data, path), kind)]
    if not known:
        raise UnfitError
    path = random.choice(known)
    return parent(data, path), path[-1]


def value(random: Random, data: Data, _: Data) -> None:
    """Replace a value."""
    holder, key = _within(random, data, dict | list)
    holder[key] = random.choice(NASTY)


def scaled(random: Random, data: Data, _: Data) -> None:
    """Multiply a number."""
    holder, key = _within(random, data, dict | list)
    if isinstance(holder[key], bool) or not isinstance(holder[key], int | float):
        raise UnfitError
    holder[key] *= random.choice((-1, 0, 2, 10**9, 10**30, 1e-9, 1e30, 1e300))


def nested(random: Random, data: Data, _: Data) -> None:
    """Wrap a value into many lists."""
    holder, key = _within(random, data, dict | list)
    for _depth in range(random.choice((1, 50, 300))):
        holder[key] = [holder[key]]


def field_removed(random: Random, data: Data, _: Data) -> None:
    """Remove a field of an object."""
    holder, key = _within(random, data, dict)
    del holder[key]


def field_renamed(random: Random, data: Data, _: Data) -> None:
    """Give a field another name."""
    holder, key = _within(random, data, dict)
    holder[random.choice((f"{key}x", "\x1b[31m", "", "~"))] = holder.pop(key)


def element_removed(random: Random, data: Data, _: Data) -> None:
    """Remove an element of a list."""
    holder, key = _within(random, data, list)
    del holder[key]


def element_twice(random: Random, data: Data, _: Data) -> None:
    """Repeat an element of a list."""
    holder, key = _within(random, data, list)
    holder.insert(key, holder[key])


def line_removed(random: Random, data: Data, _: Data) -> None:
    """Remove a line."""
    del data[random.randrange(len(data))]


def line_twice(random: Random, data: Data, _: Data) -> None:
    """Repeat a line, anywhere."""
    data.insert(random.randrange(len(data) + 1), random.choice(data))


def lines_swapped(random: Random, data: Data, _: Data) -> None:
    """Exchange two lines."""
    one, other = random.randrange(len(data)), random.randrange(len(data))
    data[one], data[other] = data[other], data[one]


def lines_cut(random: Random, data: Data, _: Data) -> None:
    """Remove several lines in a row."""
    first = random.randrange(len(data))
    del data[first : first + random.randrange(1, 6)]


def foreign_line(random: Random, data: Data, other: Data) -> None:
    """Insert a line of another file."""
    data.insert(random.randrange(len(data) + 1), random.choice(other))


def replaced(data: Any, texts: dict[str, str]) -> Any:
    """Return the data with other texts, in keys too, and before `` layer1``."""
    if isinstance(data, dict):
        return {replaced(key, texts): replaced(value, texts) for key, value in data.items()}
    if isinstance(data, list):
        return [replaced(value, texts) for value in data]
    if isinstance(data, str):
        name, layer, stage = data.partition(" layer")
        return texts.get(data, f"{texts.get(name, name)}{layer}{stage}")
    return data


def module_renamed(random: Random, data: Data, _: Data) -> None:
    """Give a module another name wherever it stands."""
    names = {line["module"] for line in data if line.get("module")}
    for line in data[:1]:
        names |= {
            name.partition(" layer")[0] for name in line.get("results", {}).get("variants", ())
        }
    if not names:
        raise UnfitError
    texts = {random.choice(sorted(names)): random.choice([x for x in NASTY if isinstance(x, str)])}
    data[:] = replaced(data, texts)


TEXTS = ("message", "type", "host", "cpu", "platform", "torch", "time", "name", "python")


def texts_replaced(random: Random, data: Data, _: Data) -> None:
    """Replace the texts of facts and errors, the same everywhere."""
    nasty = [x for x in NASTY if isinstance(x, str)]
    texts: dict[str, str] = {}
    for line in data:
        for path in places(line):
            known = parent(line, path)[path[-1]]
            if path[-1] in TEXTS and isinstance(known, str):
                texts.setdefault(known, random.choice(nasty))
    data[:] = replaced(data, texts)


KEEPS_VALUES = (
    *(field_removed, field_renamed, element_removed, element_twice, line_removed, line_twice),
    *(lines_swapped, lines_cut, foreign_line),
)
CHANGES_VALUES = (
    *(value, value, value, scaled, nested, module_renamed, module_renamed),
    *(texts_replaced, texts_replaced),
)


def byte(random: Random, content: bytes) -> bytes:
    """Flip, remove or insert a byte."""
    at = random.randrange(len(content))
    other = random.choice(
        (b"", bytes([random.randrange(256)]), bytes([content[at] ^ 1 << random.randrange(8)]))
    )
    return content[:at] + other + content[at + random.randrange(2) :]


def truncated(random: Random, content: bytes) -> bytes:
    """Cut the file off."""
    return content[: random.randrange(len(content))]


def doubled_key(random: Random, content: bytes) -> bytes:
    """State a field twice in one object."""
    commas = [at for at in range(len(content)) if content[at : at + 2] == b',"']
    at = random.choice(commas)
    end = content.index(b":", at)
    return content[:at] + content[at:end] + b":1" + content[at:]


def cut_within(random: Random, content: bytes) -> bytes:
    """Remove some bytes from the middle, as a bad disk would."""
    at = random.randrange(len(content))
    return content[:at] + content[at + random.randrange(1, 5_000) :]


OFTEN_DRAWN = (module_renamed.__name__, texts_replaced.__name__)
"""What plots show."""

OF_BYTES = (byte, byte, truncated, doubled_key, cut_within)


def mutated(random: Random, content: bytes, other: bytes) -> tuple[str, bytes, bool]:
    """Return the name of a mutation, what it leaves, and whether it kept every value."""
    while True:
        kind = random.choice((*KEEPS_VALUES, *CHANGES_VALUES, *OF_BYTES))
        if kind in OF_BYTES:
            return kind.__name__, kind(random, content), kind in (truncated, doubled_key)
        data, foreign = ([json.loads(line) for line in c.splitlines()] for c in (content, other))
        with contextlib.suppress(UnfitError):
            kind(random, data, foreign)
            ascii_only = random.choice((True, False))
            lines = (json.dumps(line, ensure_ascii=ascii_only) for line in data)
            text = "".join(f"{line}\n" for line in lines)
            return kind.__name__, text.encode(errors="surrogatepass"), kind in KEEPS_VALUES
