"""What users write after an option, as values. What cannot be one raises a ``UserError``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain
from math import inf
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

import typer

from attnbench.errors import UserError
from attnbench.modules import ATTENTION
from attnbench.plugins.resolve import written
from attnbench.plugins.spec import is_code
from attnbench.records import case, image_size
from attnbench.records import device as names
from attnbench.records.case import AUTOCAST, OPTIONS, Case
from attnbench.records.image_size import Size
from attnbench.system.worker import require_timeout
from attnbench.text import LONGEST_WORD, near, printable

T = TypeVar("T")

DTYPES, MODES = (get_args(get_type_hints(Case)[name]) for name in ("dtype", "mode"))

OF_WEIGHTS = tuple(name for name in DTYPES if name not in AUTOCAST)
"""Dtypes without those of autocast, which belong to ``run`` alone."""


NoWait = Annotated[
    bool,
    typer.Option(
        "--no-wait",
        help="End with status 2 where another process measures, trains or evaluates on the device, "
        "instead of waiting for its end.",
    ),
]

Share = Annotated[
    bool,
    typer.Option(
        "--share",
        help="Measure beside another process on the device, which flags every round of both.",
    ),
]

ShareUntimed = Annotated[
    bool,
    typer.Option(
        "--share",
        help="Compute beside another process on the device; the rounds of a run are flagged.",
    ),
]
"""Of a command that is not timed itself."""


def if_busy(*, no_wait: bool, share: bool) -> Literal["refuse", "share"] | None:
    """Return what to do while another has the device; None for the default, to wait."""
    if no_wait and share:
        raise UserError("--no-wait and --share contradict each other")
    return "refuse" if no_wait else "share" if share else None


def device(word: str | None) -> str | None:
    """Read the name of a device; None for ``auto``, and where none is stated.

    Raises:
        UserError: there is no such kind, or no such number of it.
    """
    if word is None or word.strip().lower() == "auto":
        return None
    try:
        return names.written(word)
    except ValueError as error:
        raise UserError(str(error)) from error


def share(text: str) -> float:
    """Read ``3%`` or ``0.03`` as 0.03; neither, or below zero, is no share."""
    number = text.strip()
    try:
        value = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        value = -inf
    if not 0 <= value < inf:
        raise UserError(f"'{_shown(text)}' is no share such as 3% or 0.03")
    if value >= 1 and not number.endswith("%"):
        number = _shown(number)
        raise UserError(f"'{number}' would be {value:.0%}; write {number}% or {value / 100:g}")
    return value


def _shown(text: str) -> str:
    return printable(text, LONGEST_WORD)


def option(
    value: str | None,
    help: str | None,
    default: str | None = None,
    *flags: str,
    **declared: Any,
) -> Any:
    """Declare an option: what stands for its value, its help, its default as shown."""
    declared |= {"metavar": value, "help": help, "show_default": default or True}
    return typer.Option(*flags, case_sensitive=False, **declared)


def formats(names: Sequence[str], help: str = "") -> Any:
    """Declare ``--format``, which takes one of these names."""
    *others, last = (name.lower() for name in names)
    listed = f"{', '.join(others)} or {last}. {help}".strip()
    return option("FORMAT", listed, None, "--format")


DeviceName = Annotated[
    str,
    option("NAME", "cpu, cuda, cuda:1, xpu, mps; auto takes a GPU where there is one."),
]

CustomModules = Annotated[
    list[str] | None,
    option(
        "SPEC",
        "A custom module, whose code is run: file.py:ClassName, package.module:ClassName with "
        "--import-root, timm:NAME, or an entry point; "
        "with ,site=after_bn3 and ,key=value for its settings. May be repeated.",
    ),
]

ImportRoot = Annotated[
    str | None,
    option(
        "DIR",
        "Folder that a package.module:ClassName or a FILE.py is imported from; on "
        "the path of the process that tries the module alone.",
    ),
]


def imported_from(custom: Sequence[str] | None, root: str | None) -> list[str] | None:
    """Return custom modules with the folder that they are imported from in their names.

    Raises:
        UserError: there is no module of a file or package, or the folder's name has a comma.
    """
    if root is None:
        return None if custom is None else list(custom)
    if "," in root or not root.strip():
        raise UserError(f"--import-root: '{_shown(root)}' is no name of a folder without commas")
    rooted = {
        spec: f"{spec.strip()},import_root={root}"
        for spec in custom or ()
        if is_code(spec.partition(",")[0].strip()) and ",import_root=" not in spec
    }
    if not rooted:
        raise UserError(
            "--import-root goes with a module of a package or file: --module "
            "package.module:ClassName"
        )
    return [rooted.get(spec, spec) for spec in custom or ()]


BetweenRuns = Annotated[
    float | None,
    option(
        "SHARE",
        "Standard deviation of a module's ratio between runs on this machine, assumed until "
        "enough runs show it.",
        "1.3%, seen on a CPU",
        parser=share,
    ),
]


def stated(name: str, **declared: Any) -> Any:
    """Return the parameter of the command line for an option of ``run``, as it is declared."""
    known = OPTIONS[name]
    default = known.default_text
    if default is None and not isinstance(known.default, bool):
        default = known.text(known.default)
    return option(known.metavar, known.help, default, known.flag, **declared)


def _timeout(seconds: float | None) -> float | None:
    if seconds is not None:
        require_timeout(seconds)
    return seconds


Timeout = Annotated[float | None, stated("timeout_s", callback=_timeout)]


def modules(listed: str | None, custom: Sequence[str] | None = None) -> tuple[str, ...] | None:
    """Read ``se,sa`` or ``all``, and a list of custom ones; None where neither was stated."""
    specs = tuple(spec.strip() for spec in custom or ())
    if listed is None:
        return specs or None
    stripped = [name.strip() for name in listed.split(",") if name.strip()]
    if not stripped:
        raise UserError(f"--modules names none; known: {', '.join(ATTENTION)}")
    every = [tuple(ATTENTION) if name.lower() == "all" else (name,) for name in stripped]
    return (*chain(*every), *specs)


def named(listed: str | None, custom: Sequence[str] | None = None) -> set[str]:
    """Return the modules that are named one by one, not by ``all`` or by default."""
    names = [*(listed or "").split(","), *(custom or ())]
    return {written(name) for name in names if name.strip().lower() not in {"", "all"}}


def numbers(text: str | None, flag: str) -> tuple[int, ...] | None:
    """Read ``1,8`` as whole numbers."""
    return _values(text, flag, int, f"'{_shown(text or '')}' is no number")


def image_sizes(text: str | None, flag: str) -> tuple[Size, ...] | None:
    """Read ``224,800x1333`` as sizes: a square by its side, else height and width."""
    return _values(text, flag, image_size.parse)


def choices(text: str | None, flag: str, known: Sequence[str]) -> tuple[str, ...] | None:
    """Read ``inference,training`` as values of an option that knows these."""
    return _values(text, flag, lambda part: choice(part.strip(), flag, known))


def _values(
    text: str | None, flag: str, read: Callable[[str], T], fault: str = ""
) -> tuple[T, ...] | None:
    try:
        return None if text is None else tuple(map(read, text.split(",")))
    except ValueError as error:
        raise UserError(f"{flag}: {fault or error}, nor several with commas") from error


def stages(text: str | None) -> tuple[int, ...] | None:
    """Read ``2,3,4`` or, as detection counts them, ``c3-c5``: the stages 1 to 4 of a host."""
    if text is None or "c" not in text.lower():
        return numbers(text, "--stages")
    span = re.fullmatch(r"c([2-5])(?:-c([2-5]))?", text.strip().lower())
    if span is None:
        raise UserError(f"--stages: '{_shown(text)}' is neither 2,3,4 nor such as c3-c5")
    first, last = int(span[1]), int(span[2] or span[1])
    return tuple(range(first - 1, last))


def choice(text: str, flag: str, known: Sequence[str]) -> str:
    """Read ``float32`` as the value of an option that knows these and takes one."""
    value = case.written(text)
    if value not in known:
        raise UserError(
            f"{flag}: '{_shown(text)}' is not one of {', '.join(known)}{near(text, known)}"
        )
    return value


def runtimes(
    listed: str | None, compiled: bool | None, eager: bool | None, cuda_graph: bool | None
) -> tuple[str, ...] | None:
    """Read ``eager,compile``, or the short forms of the same; None where nothing was stated."""
    if listed is not None:
        if compiled or eager or cuda_graph:
            raise UserError("--runtime names all: leave --compile, --eager and --cuda-graph out")
        return choices(listed, "--runtime", tuple(case.RUNTIMES))
    if not (compiled or cuda_graph):
        if eager:
            raise UserError(
                "--eager goes with --compile or --cuda-graph; without them every network is eager"
            )
        return None
    if eager and not compiled:
        return ("eager", "cuda-graph")
    chosen = ["eager"] * bool(eager or not compiled) + ["compile"] * bool(compiled)
    if cuda_graph:
        chosen = [f"{name}+cuda-graph".removeprefix("eager+") for name in chosen]
    return tuple(chosen)
