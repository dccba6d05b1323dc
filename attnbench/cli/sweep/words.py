"""The words of the command ``sweep``: a file, ``status DIR``, or the options of ``run``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attnbench.cli import options
from attnbench.errors import UserError
from attnbench.records.case import OPTIONS
from attnbench.sweeps.plan import file
from attnbench.sweeps.plan.configuration import KEYS
from attnbench.sweeps.plan.file import Source, Sweep

HERE = "the command line"


def sweep_of(words: Sequence[str]) -> Sweep:
    """Return the sweep of a file, or of one grid whose keys are options.

    Raises:
        UserError: it is neither, or something in it cannot be.
    """
    if not words:
        raise UserError("sweep what? Name a file, such as sweep.toml, or options of run with lists")
    if not words[0].startswith("--"):
        if words[1:]:
            raise UserError(
                f"'{words[1]}' beside a file: what is measured stands in {words[0]} alone"
            )
        return file.read(Path(words[0]))
    return file.of_data({"grid": [dict(_pairs(words))]}, Source(HERE, None, Path.cwd()))


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield keys of a grid with what options state; those that may be repeated, in one."""
    rest = iter(words)
    listed: dict[str, list[Any]] = {}
    for word in rest:
        flag, equals, value = word.partition("=")
        key = flag.removeprefix("--")
        if not flag.startswith("--") or key not in (*file.OF_A_GRID, "module"):
            known = [f"--{name}" for name in (*file.OF_A_GRID, "module")]
            raise UserError(file.unknown_key("option", flag, key, known))
        if key in KEYS and isinstance(OPTIONS[KEYS[key]].default, bool):
            yield key, True
            continue
        text = value if equals else next(rest, None)
        if text is None:
            raise UserError(f"{flag} has no value")
        if key in ("module", "modules"):
            names = [text] if key == "module" else text.split(",")
            listed.setdefault("modules", []).extend(map(str.strip, names))
        elif key == "on":
            listed.setdefault(key, []).append(dict(_labels(text)))
        else:
            yield key, _values(key, text)
    yield from listed.items()


def _labels(text: str) -> Iterator[tuple[str, str]]:
    for pair in text.split(","):
        label, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            raise UserError(f"--on: '{pair}' is no label such as gpu=H100")
        yield label, value


def _values(key: str, text: str) -> Any:
    if key == "stages":
        return list(options.stages(text) or ())
    values = [_number(part.strip()) for part in text.split(",")]
    return values[0] if key == "repeat" else values


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
