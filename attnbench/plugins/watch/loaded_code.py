"""What the names of loaded code stand for: a replaced function, class or method is found again.

Names are compared by identity. New ones are no change, unless they hide what was used before.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter, is_, itemgetter
from types import FunctionType, MethodType, ModuleType

_CAN_BE_CHANGED = 1 << 9, 1 << 8
"""Flags of a class: Py_TPFLAGS_HEAPTYPE, which it must have, and IMMUTABLETYPE (object.h)."""

PARTS = {
    "code": attrgetter("__code__"),
    "defaults": attrgetter("__defaults__"),
    "keyword defaults": attrgetter("__kwdefaults__"),
}
"""What of a function can be replaced while it stays the same object."""

bases_of = attrgetter("__mro__")


@dataclass(frozen=True)
class Namespace:
    """The names of a module, class or table, and what each stood for when this was made."""

    title: str
    live: Mapping[str, object]
    get: Callable[[Mapping[str, object]], tuple[object, ...]]
    names: tuple[str, ...]
    values: tuple[object, ...]
    all_names: frozenset[str]
    hidden: Callable[[str], bool]
    """Whether a new name would be found before one that was in use."""

    def changed(self) -> Iterator[tuple[str, object]]:
        """Yield each changed name with what it stands for now, None where it is gone."""
        live = self.live
        if not self._same():
            for name, value in zip(self.names, self.values, strict=True):
                if live.get(name) is not value:
                    yield self._whole(name), live.get(name)
        if len(live) != len(self.all_names):
            for name in [*live]:
                if name not in self.all_names and is_code(live[name]) and self.hidden(name):
                    yield self._whole(name), live[name]

    def _same(self) -> bool:
        try:
            return all(map(is_, self.get(self.live), self.values))
        except KeyError:
            return False

    def _whole(self, name: str) -> str:
        return f"{self.title}.{name}"


class LoadedCode:
    """All namespaces of some modules, as they are when this is made.

    ``modules`` and ``packages`` name modules, the latter with all that are in them. Of the classes
    of packages every value counts, of the ``own`` ones all, those in tables too; else only code.
    """

    def __init__(
        self, modules: Collection[str], packages: tuple[str, ...], own: tuple[str, ...]
    ) -> None:
        self.modules: dict[str, ModuleType] = {}
        self.namespaces: list[Namespace] = []
        self.classes: list[type] = []
        functions: dict[int, FunctionType] = {}
        self._tables = {id(vars(builtins))}
        for title, module in sorted(sys.modules.items()):
            is_own = _within(title, own)
            if not isinstance(module, ModuleType):
                continue
            in_packages = _within(title, packages)
            if title in modules or is_own or in_packages:
                self.modules[title] = module
                self._add_module(title, module, is_own, with_values=is_own or in_packages)
        for namespace in self.namespaces:
            for value in namespace.values:
                if (function := _function(value)) is not None:
                    functions[id(function)] = function
        self.functions = [*functions.values()]
        self.changed_in = Namespace.changed  # as it is now
        self.parts = {part: [*map(get, self.functions)] for part, get in PARTS.items()}
        self.bases = [*map(bases_of, self.classes)]

    def _add_module(
        self, title: str, module: ModuleType, is_own: bool, *, with_values: bool
    ) -> None:
        self._add(title, vars(module), vars(builtins).__contains__, everything=is_own)
        for name, value in [*vars(module).items()]:
            if isinstance(value, type) and value.__module__ == title and _can_be_changed(value):
                self.classes.append(value)
                inherited = frozenset().union(*map(vars, value.__mro__[1:]))
                hidden = inherited.__contains__
                self._add(f"{title}.{name}", vars(value), hidden, everything=with_values)
            elif is_own and isinstance(value, dict) and id(value) not in self._tables:
                self._tables.add(id(value))  # the files that import it share it
                self._add(f"{title}.{name}", value, lambda _: False, everything=True)

    def _add(
        self,
        title: str,
        live: Mapping[str, object],
        hidden: Callable[[str], bool],
        *,
        everything: bool = False,
    ) -> None:
        kept = {name: value for name, value in live.items() if everything or is_code(value)}
        names = tuple(kept)
        # Of one name alone it would return no tuple.
        get = itemgetter(*names, names[0]) if names else lambda _: ()
        values = tuple(kept.values())
        self.namespaces.append(Namespace(title, live, get, names, values, frozenset(live), hidden))

    def changed(self) -> Iterator[tuple[str, object]]:
        """Yield each changed name with what it stands for now, None where it is gone."""
        for title, module in self.modules.items():
            if sys.modules.get(title) is not module:  # what imports it from now on gets another
                yield f"sys.modules[{title!r}]", sys.modules.get(title)
        for namespace in self.namespaces:
            yield from self.changed_in(namespace)
        for part, get in PARTS.items():
            if not all(map(is_, map(get, self.functions), self.parts[part])):
                for function, before in zip(self.functions, self.parts[part], strict=True):
                    if get(function) is not before:
                        name = f"{function.__module__}.{function.__qualname__}"
                        yield f"the {part} of {name}", function
        if not all(map(is_, map(bases_of, self.classes), self.bases)):
            for owner, bases in zip(self.classes, self.bases, strict=True):
                if owner.__mro__ is not bases:
                    yield f"the base classes of {owner.__module__}.{owner.__qualname__}", owner


def keep_methods(of: object) -> None:
    """Give an object its methods as they are now: custom code may replace those of its class."""
    for name, value in vars(type(of)).items():
        if isinstance(value, FunctionType) and not name.startswith("__"):
            vars(of).setdefault(name, MethodType(value, of))


def is_code(value: object) -> bool:
    """Return whether it can be called, is a descriptor such as a property, or is a module."""
    return callable(value) or hasattr(type(value), "__get__") or isinstance(value, ModuleType)


def place(value: object) -> tuple[str, int] | None:
    """Return the file and line of a function, or of the one in a method or property."""
    function = _function(value)
    return (function.__code__.co_filename, function.__code__.co_firstlineno) if function else None


def _function(value: object) -> FunctionType | None:
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, staticmethod | classmethod | MethodType):
        value = value.__func__
    return value if isinstance(value, FunctionType) else None


def _within(title: str, packages: tuple[str, ...]) -> bool:
    return f"{title}.".startswith(tuple(f"{package}." for package in packages))


def _can_be_changed(value: type) -> bool:
    made, immutable = _CAN_BE_CHANGED
    return bool(value.__flags__ & made and not value.__flags__ & immutable)
