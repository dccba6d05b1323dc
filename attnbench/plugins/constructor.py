"""Which parameter of a custom constructor takes the number of channels.

A number that is passed by position into whatever comes first builds another module: a class
``Gate(groups=64)`` would get 256 groups. So it goes by keyword into a parameter that is known to
take it or that the user names, and every other constructor is refused with what would do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, Signature, isfunction, signature
from typing import Any

from attnbench.modules import SettingsError
from attnbench.plugins.spec import CHANNELS as OF_THE_MAP
from attnbench.plugins.spec import Given, facts_of
from attnbench.text import printable

CHANNELS = (
    *("channels", "channel", "in_channels", "in_channel", "num_channels"),
    *("gate_channels", "gate_channel", "in_planes", "inplanes", "planes", "inp"),
    *("dim", "in_dim", "c1", "ch", "in_ch", "in_chs"),
    "num_features",  # of torch's norms
)
"""Names of the parameter that takes the number of channels; the first in a signature does.

Not ``in_features``, ``features`` or ``c``: collections use them for sizes and constants too.
"""

SHORT = "c"
"""Taken for the number of channels where it is a function's only parameter: ``lambda c: ...``."""

PAIRS = {
    "inp": "oup",
    "c1": "c2",
    "in_channels": "out_channels",
    "in_channel": "out_channel",
    "in_planes": "out_planes",
    "inplanes": "outplanes",
    "dim": "dim_out",
    "in_dim": "out_dim",
    "in_ch": "out_ch",
    "in_chs": "out_chs",
}
"""Parameter of the input's channels -> of the output's, which must be as many.

The second is given only where it has no default: a default is the authors' own choice.
"""

VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class ConstructorError(SettingsError):
    """A class or function cannot be built as it was specified; the message says what would do."""


@dataclass(frozen=True)
class Constructor:
    """A class or function, and the names of its parameters that take the number of channels."""

    target: Callable[..., Any]
    parameters: tuple[str, ...]
    positional: Mapping[str, Any]
    """Parameters that cannot be passed by keyword, with their defaults."""

    def __call__(self, channels: int, /, **settings: Any) -> Any:
        """Build the module for an input (B, channels, H, W)."""
        values = dict.fromkeys(self.parameters, channels) | settings
        given = [name for name in self.positional if name in values]
        names = list(self.positional)
        count = names.index(given[-1]) + 1 if given else 0
        in_order = [values.pop(name, self.positional[name]) for name in names[:count]]
        return self.target(*in_order, **values)


def constructor(
    target: Callable[..., Any],
    source: str,
    channels: str | Given | None,
    stated: Mapping[str, Any],
    by_host: Collection[str] = (),
) -> Constructor:
    """Return how ``target`` is built; ``channels`` is what the user says of that parameter.

    ``stated`` are the other settings of the user, and ``by_host`` the names of those that the
    site adds.

    Raises:
        ConstructorError: it is not known what takes the number of channels, a parameter has no
            value, or a setting has no parameter; the message says what would do.
    """
    from torch import nn

    if getattr(target, "__init__", None) is nn.Identity.__init__:  # it ignores all arguments
        return Constructor(target, (), {})
    known = _signature(target, source)
    problem = f"{source}: {printable(_name(target) + str(known), 200)}"
    own = {p.name: p for p in known.parameters.values() if p.kind not in VARIADIC}
    parameters = _inherited(target, known) | own
    bound = target.keywords if isinstance(target, partial) else {}
    free = [name for name in parameters if name not in stated and name not in bound]
    if isinstance(channels, str):
        if channels in stated:
            raise ConstructorError(f"{problem}: {channels} has two values, one by ',channels='")
        takes: tuple[str, ...] = (channels,)
    elif channels is Given.NOTHING:
        takes = ()
    else:
        takes = tuple(name for name in free if name in CHANNELS)[:1] or _only_one(target, own)
    partner = PAIRS.get(takes[0]) if takes else None
    if partner in free and _is_required(parameters[partner]):
        takes = (*takes, partner)
    passed = {*takes, *stated, *by_host}
    required = [name for name in free if name in own and _is_required(own[name])]
    lacking = [name for name in required if name not in passed]
    if not takes and channels is None and OF_THE_MAP.fact not in facts_of(stated):
        raise ConstructorError(f"{problem} {_no_channels(source, lacking, free)}")
    unknown = [name for name in (*takes, *stated, *by_host) if name not in parameters]
    if unknown and not _takes_any(known.parameters.values()):
        hint = "; ',channels=NAME' names the one of the number of channels, which the host sets"
        unless = hint if "channels" in unknown else ""
        raise ConstructorError(f"{problem} has no parameter {', '.join(unknown)}{unless}")
    if lacking:
        would = f"'{source},{lacking[0]}=VALUE', or '={Given.CHANNELS}' for the number of channels"
        raise ConstructorError(f"{problem} needs a value for {', '.join(lacking)}: write {would}")
    in_order = known.parameters.values()
    positional = {p.name: p.default for p in in_order if p.kind is Parameter.POSITIONAL_ONLY}
    return Constructor(target, takes, positional)


def require_no_parameter(target: Callable[..., Any], source: str, names: Iterable[str]) -> None:
    """Refuse a class or function with a parameter that has a name of an adapter's settings.

    Raises:
        ConstructorError: it has one; which of the two is meant cannot be known.
    """
    known = _signature(target, source)
    for name in names:
        if name in known.parameters:
            raise ConstructorError(
                f"{source}: {printable(_name(target) + str(known), 200)} has a parameter {name} of "
                f"its own, while ',{name}=' says how a module is called; write a function that "
                "builds it: def build(channels): ..."
            )


def require_takes_channels(build: Callable[..., Any], source: str) -> None:
    """Refuse a row whose builder's first parameter has a default and is not known as channels.

    A row is built with the number of channels by position, so that its first parameter may have
    any name; but one with a default is as likely a setting.

    Raises:
        ConstructorError: the number of channels would go into that parameter.
    """
    try:
        parameters = list(signature(build).parameters.values())
    except (ValueError, TypeError):  # not written in Python
        return
    first = parameters[0] if parameters else None
    if first is None or first.kind in VARIADIC or first.name in CHANNELS or _is_required(first):
        return
    raise ConstructorError(
        f"{source}: the row's build takes {first} first, where the number of channels is passed; "
        "write build=lambda channels, **settings: ..."
    )


def _only_one(target: Callable[..., Any], own: Mapping[str, Parameter]) -> tuple[str, ...]:
    """Return the parameter of ``lambda c: ...``, a function of one parameter of that name."""
    is_only = isfunction(target) and [*own] == [SHORT] and _is_required(own[SHORT])
    return (SHORT,) if is_only else ()


def _inherited(target: Callable[..., Any], known: Signature) -> dict[str, Parameter]:
    """Return the parameters of the classes that ``**kwargs`` are probably handed on to."""
    found: dict[str, Parameter] = {}
    every = list(known.parameters.values())
    for base in target.__mro__[1:] if isinstance(target, type) else ():
        if not _takes_any(every):
            break
        if "__init__" in vars(base) and base.__module__ != "torch.nn.modules.module":
            _, *every = signature(base.__init__).parameters.values()  # type: ignore[misc]
            found = {p.name: p for p in every if p.kind not in VARIADIC} | found
    return found


def _takes_any(parameters: Iterable[Parameter]) -> bool:
    return any(p.kind is Parameter.VAR_KEYWORD for p in parameters)


def _signature(target: Callable[..., Any], source: str) -> Signature:
    try:
        return signature(target)
    except (ValueError, TypeError):
        raise ConstructorError(
            f"{source}: its parameters cannot be read, so it is not known what takes the number "
            "of channels; write a function in Python that builds it: def build(channels): ..."
        ) from None


def _no_channels(source: str, required: list[str], free: list[str]) -> str:
    """Return why the number of channels cannot be passed, and what would do."""
    why = "has no parameter known to take the number of channels, such as channels, inp or dim"
    if required:
        name = required[0]
        return (
            f"{why}; if {name} does, write '{source},channels={name}', and if none does, "
            f"',{name}=VALUE,channels=none'"
        )
    named = f"; if {free[0]} does, write ',channels={free[0]}'" if free else ""
    return f"{why}; to build it without their number, write '{source},channels=none'{named}"


def _is_required(parameter: Parameter) -> bool:
    return parameter.default is Parameter.empty


def _name(target: object) -> str:
    inner = target.func if isinstance(target, partial) else target
    return str(getattr(inner, "__name__", type(inner).__name__))
