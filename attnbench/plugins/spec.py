"""The specification of a custom module: its source, its site, its settings."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, Literal, get_args

from attnbench.modules import SettingsError, Site

SEPARATOR = re.compile(r",\s*(?=[A-Za-z_]\w*\s*=)")
"""A comma before ``key=``; the one within ``sizes=(3, 5)`` is no separator."""

FRACTION = re.compile(r"([+-]?\d+)\s*/\s*(\d+)")
"""The one expression that is computed: authors write ``ratio=1. / 16``."""


class Given(Enum):
    """What stands for a value, as a bare word of the specification."""

    CHANNELS = "channels"
    """The number of channels where the module is built."""

    NOTHING = "none"
    """As the value of ``channels``: the module is built without their number."""

    def __str__(self) -> str:
        return self.value


FACTS = ("channels", "height", "width", "stride")
"""What is known of the map at a module's site; ``stride`` is that of the convolution that the
module replaces, and 1 elsewhere."""

EXPRESSION = re.compile(rf"@({'|'.join(FACTS)})(?:\s*(//|\*)\s*([1-9]\d{{0,5}}))?")
"""One of these numbers, a whole part of it, or a multiple."""

IMPORTED = re.compile(r"(?!timm:)[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
"""``package.module:Class``, as a source beside ``import_root``."""


@dataclass(frozen=True)
class FromPlace:
    """A setting that follows from the map at the module's site: ``@channels//16``, ``@height``."""

    fact: str
    operator: str = "*"
    number: int = 1

    def of(self, place: Mapping[str, int]) -> int:
        """Return the value for a map.

        Raises:
            SettingsError: the number is not known there, or cannot be divided without a rest.
        """
        if self.fact not in place:
            raise SettingsError(f"@{self.fact} is known at a site in a host alone")
        value = place[self.fact]
        if self.operator == "*":
            return value * self.number
        if value % self.number:
            of = f"{value} channels" if self.fact == "channels" else f"a {self.fact} of {value}"
            raise SettingsError(f"@{self.fact}//{self.number} is not whole for {of}")
        return value // self.number


CHANNELS = FromPlace("channels")


def facts_of(settings: Mapping[str, Any]) -> set[str]:
    """Return which facts of the map these settings follow from."""
    given = {CHANNELS.fact for value in settings.values() if value is Given.CHANNELS}
    return given | {value.fact for value in settings.values() if isinstance(value, FromPlace)}


def filled(value: object, place: Mapping[str, int]) -> object:
    """Return a setting's value for a map."""
    value = CHANNELS if value is Given.CHANNELS else value
    return value.of(place) if isinstance(value, FromPlace) else value


def is_in_file(source: str) -> bool:
    """Return whether ``source`` is of the form ``path/to/file.py:ClassName``."""
    return source.rpartition(":")[0].endswith(".py")


def is_code(source: str) -> bool:
    """Return whether ``source`` is of a file, or of a module that a folder would hold."""
    return is_in_file(source) or IMPORTED.fullmatch(source) is not None


Layout = Literal["tokens", "bhwc"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

MOST_INPUTS = 9


@dataclass(frozen=True)
class Adapter:
    """How a module is called that takes no single map (B, C, H, W) or returns something else."""

    layout: Layout | None = None
    """What it takes and returns: (B, H * W, C) or (B, H, W, C)."""
    inputs: int = 1
    """How often it is given the map: 3 as query, key and value."""
    take: int | None = None
    """Which part of the tuple that it returns."""

    @property
    def stated(self) -> list[str]:
        """The names of the settings that are not as they are for most modules."""
        return [known.name for known in fields(self) if getattr(self, known.name) != known.default]


@dataclass(frozen=True)
class Spec:
    """The parts of ``source,site=...,channels=...,key=value,...``."""

    source: str
    site: Site | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """By key; :attr:`Given.CHANNELS` is filled in where the module is built."""
    channels: str | Given | None = None
    """The parameter that takes the number of channels, NOTHING where none does; None if unsaid."""
    adapter: Adapter = Adapter()
    import_root: str | None = None
    """The folder from which ``source`` is imported, or its file imports."""

    @property
    def is_code(self) -> bool:
        """Whether ``source`` is a file's, or imported from a folder."""
        return self.import_root is not None or is_in_file(self.source)


def parse_spec(text: str) -> Spec:
    """Parse a specification; values are Python literals, fractions, or texts.

    A fraction is of whole numbers (``1/16``) and becomes Python's float. The word ``channels`` or
    ``@channels`` stands for the number of channels, ``@channels//16`` and ``@channels*2`` for what
    follows from it, and so do ``@height``, ``@width`` and ``@stride``; in quotes these are texts.

    Raises:
        SettingsError: the source is missing, a value is missing or stated twice, the site is
            unknown, a fraction has no value, the import root goes with no file or module, or the
            text cannot be printed or stored: line breaks, control characters, bytes that are no
            UTF-8.
    """
    if text.encode(errors="replace").decode() != text:
        raise SettingsError(f"{text!a} holds bytes that are not UTF-8")
    if not text.strip().isprintable():
        raise SettingsError(f"{text!a} holds characters that cannot be printed; rename it")
    source, *pairs = SEPARATOR.split(text.strip())
    if not source or "=" in source.rpartition(":")[2]:
        raise SettingsError(f"'{text}' names no module before its settings")
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, _, value = (part.strip() for part in pair.partition("="))
        if not value or key in settings:
            raise SettingsError(f"'{text}': {key} has {'two values' if value else 'no value'}")
        try:
            settings[key] = _value(value)
        except (ArithmeticError, ValueError) as error:
            raise SettingsError(f"'{text}': {key} has no value: {error}") from error
    try:
        adapter = _adapter(settings)
    except ValueError as error:
        raise SettingsError(f"'{text}': {error}") from error
    site, root = settings.pop("site", None), settings.pop("import_root", None)
    if root is not None and not (is_in_file(source) or IMPORTED.fullmatch(source)):
        raise SettingsError(
            f"'{text}': import_root goes with package.module:ClassName or file.py:ClassName"
        )
    channels = _named(settings)
    try:
        place = None if site is None else Site(site)
        return Spec(source, place, settings, channels, adapter, None if root is None else str(root))
    except ValueError:
        raise SettingsError(f"'{text}': unknown site '{site}'; known: {', '.join(Site)}") from None


def _named(settings: dict[str, Any]) -> str | Given | None:
    """Take what names the parameter of the channels out of the settings.

    A number remains a setting: of a parameter ``channels`` beside that of the input's channels.
    """
    value = settings.get("channels")
    if value is Given.CHANNELS:
        value = "channels"
    elif value == "none" or ("channels" in settings and value is None):
        value = Given.NOTHING
    elif not (isinstance(value, str) and value.isidentifier()):
        return None
    del settings["channels"]
    return value


def _adapter(settings: dict[str, Any]) -> Adapter:
    """Take what says how the module is called out of the settings."""
    layout = settings.pop("layout", None)
    inputs, take = settings.pop("inputs", 1), settings.pop("take", None)
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"layout is one of {', '.join(LAYOUTS)}, not {layout}")
    if type(inputs) is not int or not 1 <= inputs <= MOST_INPUTS:
        raise ValueError(f"inputs is a number from 1 to {MOST_INPUTS}, not {inputs}")
    if take is not None and (type(take) is not int or not 0 <= take <= MOST_INPUTS):
        raise ValueError(f"take is a number from 0 to {MOST_INPUTS}, not {take}")
    return Adapter(layout, inputs, take)


def _value(text: str) -> Any:
    if text == Given.CHANNELS.value:
        return Given.CHANNELS
    if text.startswith("@"):
        expression = EXPRESSION.fullmatch(text)
        if expression is None:
            known = (
                f"{', '.join(f'@{fact}' for fact in FACTS)}, and such as @channels//16, @width*2"
            )
            raise ValueError(f"'{text}' is no expression; known are {known}; quote it for a text")
        fact, operator, number = expression.groups()
        if operator is None:
            return Given.CHANNELS if fact == CHANNELS.fact else FromPlace(fact)
        return FromPlace(fact, operator, int(number))
    if fraction := FRACTION.fullmatch(text):
        return int(fraction[1]) / int(fraction[2])
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
