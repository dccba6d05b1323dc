"""A watch over what all networks of a process are computed and timed with.

A process measures the plain host and every module with the same functions, settings and threads.
Custom code that changes them would change the measurements of all, and no interval would show it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from attnbench.modules import SettingsError
from attnbench.plugins.watch import loaded_code, process_state
from attnbench.plugins.watch.loaded_code import LoadedCode
from attnbench.plugins.watch.torch_state import WATCHED, read
from attnbench.text import printable

MODULES = (
    *("torch", "torch.functional", "torch._tensor", "torch.overrides", "torch._jit_internal"),
    *("torch._C._nn", "torch._VF", "torch._ops", "torch._utils", "torch.utils._contextlib"),
    *("torch.autograd", "torch.autograd.function", "torch.autograd.grad_mode"),
    *("torch.autograd.graph", "torch.optim.optimizer", "torch.optim.sgd"),
    *("torch.cuda", "torch.cuda.streams", "torch.cuda.graphs"),
    *("torch.utils._pytree", "torch.utils._python_dispatch", "torch.utils.flop_counter"),
    "torch._subclasses.fake_tensor",
    *("builtins", "contextlib", "copy", "dataclasses", "functools", "gc", "math", "operator", "os"),
    *("random", "threading", "time", "weakref"),
)
"""What hosts, steps, clocks and counters call, beside the packages."""

PACKAGES = (
    *("torch.nn.functional", "torch.nn.init", "torch.nn.modules", "torch.nn.parameter"),
    *("torchvision.models", "torchvision.ops", "fvcore.nn", "thop"),
)

OWN = tuple(
    f"attnbench.{room}"
    for room in (
        *("counting", "devices", "hosts", "measuring", "modules", "plugins", "records"),
        *("runtimes", "stats", "system"),
    )
)
"""What of the suite builds, counts and times networks."""

REPLACED_BY_TORCH = frozenset(
    {
        "torch.nn.modules.module.Module.__init__",
        "torch.nn.modules.module.Module.__setstate__",
        "torch.optim.sgd._fused_sgd",
        "torch.optim.sgd.SGD._init_group",
        "torch.optim.sgd.SGD.step",
    }
)
"""Names that torch gives another function of its own: its compiler and its profiler do so."""

MOST_NAMED = 3
"""Changes that a message lists; a module that changes one function may change a hundred."""

_TORCH = str(Path(torch.__file__).parent)


class InterferenceError(SettingsError):
    """Custom code has changed the process that it runs in; what follows there is worth nothing."""


class Watch:
    """Code, settings, threads and child processes, as they are when this is made."""

    def __init__(self) -> None:
        self.code = _loaded_code()
        self.torch = {name: read(setting) for name, setting in WATCHED.items()}
        self.process = {name: process_state.texts(name) for name in process_state.SETTINGS}
        self.threads = process_state.Threads()
        for part in (self, self.code, self.threads):
            loaded_code.keep_methods(part)

    def require_unchanged(self, who: str, *, idle: bool = False, in_round: bool = False) -> None:
        """Refuse any change since this was made.

        ``idle`` states that no custom code was called since the last look, ``in_round`` that
        garbage collection is not on, which is the rounds' own doing.

        Raises:
            InterferenceError: something has changed; the message names ``who`` and the changes.
        """
        changed = [*self._settings(in_round), *self.threads.changed(), *self._code()]
        left = [*self.threads.left(idle)]
        if not changed and not left:
            return
        named = [printable(change, 200) for change in changed[:MOST_NAMED]]
        if more := len(changed) - len(named):
            named.append(f"{more} more")
        what = [f"changes {', '.join(named)}"] if named else []
        raise InterferenceError(f"{who} {' and '.join([*what, *left])}")

    def _settings(self, in_round: bool) -> Iterator[str]:
        for name, before in self.torch.items():
            now = read(WATCHED[name])
            if None not in (before, now) and now != before:
                yield f"torch's {name} from {before} to {now}"
        for name, parts in self.process.items():
            read_now = process_state.texts(name)
            if read_now == parts or (in_round and name == process_state.GARBAGE_COLLECTION):
                continue
            for part in {**parts, **read_now}:
                old, new = (of.get(part, process_state.DEFAULT) for of in (parts, read_now))
                if old != new:
                    yield f"Python's {name}{part} from {old} to {new}"

    def _code(self) -> Iterator[str]:
        for name, value in self.code.changed():
            if not _by_torch(name, value):
                yield f"{name}{_by(value)}"


@contextmanager
def require_unchanged(who: str) -> Iterator[None]:
    """Refuse what a :class:`Watch` finds changed; restore what a file may well change as it loads.

    These are the states of random generators and the working folder, by which others are found.

    Raises:
        InterferenceError: something has changed; the message names ``who`` and the changes.
    """
    watch, random_state, folder = Watch(), random.getstate(), process_state.folder()
    try:
        with torch.random.fork_rng(devices=()):
            yield
    finally:
        random.setstate(random_state)
        with suppress(OSError):
            os.chdir(folder)
    watch.require_unchanged(who)


_LATEST: list[LoadedCode] = []


def _loaded_code() -> LoadedCode:
    """Return the code as it is now: the latest if it has not changed, as making one takes long."""
    if not _LATEST or any(_LATEST[0].changed()):
        _LATEST[:] = [LoadedCode(MODULES, PACKAGES, OWN)]
    return _LATEST[0]


def _by_torch(name: str, value: object) -> bool:
    place = loaded_code.place(value)
    return name in REPLACED_BY_TORCH and place is not None and place[0].startswith(_TORCH)


def _by(value: object) -> str:
    """Return where the code is that a name stands for now, if that is known."""
    if value is None:
        return " (deleted)"
    place = loaded_code.place(value)
    return f" (now in {Path(place[0]).name}, line {place[1]})" if place else ""
