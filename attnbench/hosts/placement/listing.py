"""The places of a host as a list: what is there, and what the default takes or refuses, and why."""

from __future__ import annotations

from dataclasses import dataclass

from attnbench.hosts.placement.choice import Choice, Size
from attnbench.hosts.placement.position import NoPositionError, Position
from attnbench.hosts.placement.survey import Survey
from attnbench.hosts.positions import positions, surveyed
from attnbench.modules import SettingsError
from attnbench.records.schema import Shape

TAKEN = "taken"


@dataclass(frozen=True)
class ListedPlace:
    """A module whose output an attention module could take, or an addition that is refused."""

    name: str
    kind: str
    shape: Shape | None
    """Channels, height and width; None for an addition."""
    stage: int | None
    verdict: str
    """``taken``, or why not; empty where nothing speaks for it or against it."""


@dataclass(frozen=True)
class Listing:
    """The places of a host on images of a size, in the order in which they run."""

    host: str
    size: Size
    places: tuple[ListedPlace, ...]
    taken: int
    refused: str
    """Why the choice takes none; empty where it takes some."""


def listing(host: str, choice: Choice, size: Size) -> Listing:
    """List the modules of a host that return maps; with patterns, those alone that they take.

    Raises:
        SettingsError: the host cannot be built or run, or the patterns take none of its modules.
    """
    known = surveyed(host, size)
    narrowed = bool(choice.at or choice.replace)
    taken: tuple[Position, ...] = ()
    refused = ""
    try:
        taken = positions(host, choice, size)
    except SettingsError as error:
        if narrowed:
            raise
        refused = str(error)
    if narrowed:
        rows = [_row(where, "") for where in taken]
    else:
        rows = _every(known, {where.site for where in taken})
    return Listing(host, size, tuple(rows), len(taken), refused)


def _every(known: Survey, taken: set[str]) -> list[ListedPlace]:
    rows: list[tuple[int, ListedPlace]] = []
    order = {path: number for number, path in enumerate(known.first)}
    for path in known.in_order([path for path in known.kinds if path]):
        try:
            where = known.position(path)
        except NoPositionError:
            continue
        rows.append((order[path], _row(where, TAKEN if path in taken else "")))
    for addition in known.additions:
        if addition.refused:
            name = addition.module or "(the network itself)"
            kind = f"addition in {known.kinds[addition.module]}"
            row = ListedPlace(name, kind, None, None, f"refused: {addition.refused}")
            rows.append((order.get(addition.module, len(order)), row))
    return [row for _, row in sorted(rows, key=lambda numbered: numbered[0])]


def _row(where: Position, verdict: str) -> ListedPlace:
    kind = where.kind + (" (channels last)" if where.axis != 1 else "")
    return ListedPlace(where.site, kind, where.shape, where.stage, verdict)
