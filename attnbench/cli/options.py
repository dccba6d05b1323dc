"""What users write after an option, as values. Whatever cannot be one is a ``UserError``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from math import inf
from typing import Annotated, Any

import typer

from attnbench.errors import UserError
from attnbench.modules import ATTENTION
from attnbench.records import image_size
from attnbench.records.case import OPTIONS
from attnbench.records.image_size import Size


class Device(StrEnum):
    """Where to run; auto takes CUDA where there is a device."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


CustomModules = Annotated[
    list[str] | None,
    typer.Option(
        "--module",
        metavar="SPEC",
        help="One of your own, whose code is run: file.py:ClassName, timm:NAME, or an entry point; "
        "with ,site=after_bn3 and ,key=value for its settings. May be repeated; without --modules "
        "alone.",
    ),
]

BetweenRuns = Annotated[
    str | None,
    typer.Option(
        "--between-runs",
        metavar="SHARE",
        help="By how much one thing's ratio scatters between runs on this machine (standard "
        "deviation), until enough runs show it.",
        show_default="1.3%, seen on a CPU",
    ),
]


def stated(name: str) -> Any:
    """Return the parameter of the command line for an option of ``run``, as it is declared."""
    option = OPTIONS[name]
    default = option.default_text
    if default is None and not isinstance(option.default, bool):
        default = option.text(option.default)
    return typer.Option(
        option.flag, help=option.help, metavar=option.metavar, show_default=default or True
    )


def modules(named: str | None, own: Sequence[str] | None) -> tuple[str, ...] | None:
    """Those of ``--modules``, then each ``--module``; None where nothing was stated."""
    if not own:
        return names(named)
    return (*(names(named) or ()), *(spec.strip() for spec in own))


def names(modules: str | None) -> tuple[str, ...] | None:
    """``se,sa`` or ``all`` as names of modules; None where nothing was stated."""
    if modules is None or modules == "all":
        return None if modules is None else tuple(ATTENTION)
    named = tuple(name.strip() for name in modules.split(",") if name.strip())
    if not named:
        raise UserError(f"--modules names none; known: {', '.join(ATTENTION)}")
    return named


def numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    """``1,8`` as whole numbers."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(f"{option}: '{text}' is no number, nor several with commas") from error


def stages(text: str | None) -> tuple[int, ...] | None:
    """``2,3,4`` or, as detection counts them, ``c3-c5``: the stages 1 to 4 of a host."""
    if text is None or "c" not in text.lower():
        return numbers(text, "--stages")
    span = re.fullmatch(r"c([2-5])(?:-c([2-5]))?", text.strip().lower())
    if span is None:
        raise UserError(f"--stages: '{text}' is neither 2,3,4 nor such as c3-c5")
    first, last = int(span[1]), int(span[2] or span[1])
    return tuple(range(first - 1, last))


def image_sizes(text: str | None, option: str) -> tuple[Size, ...] | None:
    """``224,800x1333`` as sizes: a square by its side, else height and width."""
    if text is None:
        return None
    try:
        return tuple(image_size.parse(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(f"{option}: {error}, nor several with commas") from error


def choices(text: str | None, option: str, known: Sequence[str]) -> tuple[str, ...] | None:
    """``inference,training`` as values of an option that knows these."""
    if text is None:
        return None
    values = tuple(part.strip() for part in text.split(","))
    for value in values:
        if value not in known:
            raise UserError(f"{option}: '{value}' is not one of {', '.join(known)}")
    return values


def choice(text: str, option: str, known: Sequence[str]) -> str:
    """``float32`` as the value of an option that knows these and takes one."""
    if text not in known:
        raise UserError(f"{option}: '{text}' is not one of {', '.join(known)}")
    return text


def executions(compiled: bool | None, eager: bool | None) -> tuple[bool, ...] | None:
    """Whether compiled, eager or both; None where neither was stated."""
    if compiled:
        return (False, True) if eager else (True,)
    return (False,) if eager else None


def share(text: str) -> float:
    """``3%`` or ``0.03`` as 0.03.

    Raises:
        UserError: neither, or below zero.
    """
    number = text.strip()
    try:
        value = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        value = -inf
    if not 0 <= value < inf:
        raise UserError(f"'{text}' is no share such as 3% or 0.03")
    if value >= 1 and not number.endswith("%"):
        raise UserError(f"'{text}' would be {value:.0%}; write {number}% or {value / 100:g}")
    return value
