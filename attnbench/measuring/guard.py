"""Keep custom modules from changing what the other variants of a run are timed with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

from torch import nn

from attnbench.plugins import resolve
from attnbench.plugins.watch.built_network import BuiltNetwork
from attnbench.plugins.watch.integrity import (
    MOST_NAMED,
    InterferenceError,
    Watch,
    require_unchanged,
)
from attnbench.records.run import Run
from attnbench.records.variants import is_reserved, piece


class Guard:
    """A watch over the process from before its first custom code is loaded.

    Until then nothing can change what it should not, and torch may still load parts of itself.
    """

    def __init__(self, run: Run) -> None:
        # A file that was exported runs no code of its module.
        able = () if run.case.exported else run.plan.variants
        self.custom = [name for name in able if is_custom(name, run.case.isolated)]
        self._watch: Watch | None = None
        self._networks: list[BuiltNetwork] = []

    def begin(self, variant: str) -> None:
        """Take the process as it is, if the variant is the first custom one."""
        if self._watch is None and variant in self.custom:
            self._watch = Watch()

    def built(self, variant: str, network: nn.Module | None) -> None:
        """Take a network of the suite as it is, warmed up: custom code must leave it so."""
        if network is not None and self.custom and variant not in self.custom:
            self._networks.append(BuiltNetwork(variant, network))

    def inspect(self, variant: str, *, in_round: bool = True) -> None:
        """Refuse what has changed by the time that a variant's steps have run.

        Raises:
            SettingsError: the message names the variant, or all custom ones if it is none.
        """
        if self._watch is not None:
            ran = variant in self.custom
            who = variant if ran else " or ".join(self.custom)
            self._watch.require_unchanged(who, idle=not ran, in_round=in_round)
            if ran:
                self._require_networks_unchanged(variant)

    def _require_networks_unchanged(self, variant: str) -> None:
        changed = list(chain.from_iterable(network.changed() for network in self._networks))
        if changed:
            more = f" and {len(changed) - MOST_NAMED} more" if len(changed) > MOST_NAMED else ""
            raise InterferenceError(f"{variant} changes {', '.join(changed[:MOST_NAMED])}{more}")


@contextmanager
def watched(variant: str, *, isolated: bool = False) -> Iterator[None]:
    """Refuse what a custom module changes while it is counted or its memory is measured.

    It could only distort its own figures there, as no other variant shares its process.

    Raises:
        SettingsError: something has changed; the message names the variant.
    """
    if not is_custom(variant, isolated):
        yield
        return
    with require_unchanged(variant):
        yield


def is_custom(variant: str, isolated: bool) -> bool:
    """Return whether the variant runs code that is not the suite's."""
    if is_reserved(variant):
        return False
    alone = piece(variant) if isolated else None
    return resolve.parse(alone.module if alone else variant).is_custom
