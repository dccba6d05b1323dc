"""``attnbench places``: where a module can stand in a host, and where it stands by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from attnbench import formatting
from attnbench.cli import options, output
from attnbench.cli.options import Timeout, stated
from attnbench.records import image_size as sizes
from attnbench.records.case import RunOptions
from attnbench.system import worker

if TYPE_CHECKING:
    from attnbench.hosts.placement.listing import Listing

HEADINGS = ("name", "kind", "channels", "size", "stage", "default")


def places(
    host: Annotated[str | None, stated("host")] = None,
    at: Annotated[str | None, stated("at")] = None,
    replace: Annotated[str | None, stated("replace")] = None,
    image_size: Annotated[str | None, stated("image_size")] = None,
    timeout: Timeout = None,
) -> int:
    """List the modules of a host behind which an attention module can stand.

    Name, kind, channels, size and stage of each; and which the default takes, or why it refuses an
    addition. With --at or --replace: what these take. Exit status 1 where there is none.
    """
    from attnbench.measuring.options.check import check_places

    stated_options = check_places(
        RunOptions(
            host=host,
            at=at,
            replace=replace,
            image_size=options.image_sizes(image_size, "--image-size"),
        )
    )
    from attnbench.hosts import check_host  # and torch

    with worker.time_limit(timeout):
        listed = check_host.places_apart(stated_options)
    _show(listed, narrowed=bool(stated_options.at or stated_options.replace))
    return 0 if listed.taken else 1


def _show(listed: Listing, *, narrowed: bool) -> None:
    headings = HEADINGS[:-1] if narrowed else HEADINGS
    rows = [
        (
            place.name,
            place.kind,
            formatting.NOTHING if place.shape is None else str(place.shape[0]),
            formatting.NOTHING if place.shape is None else "x".join(map(str, place.shape[1:])),
            formatting.NOTHING if place.stage is None else str(place.stage),
            place.verdict,
        )[: len(headings)]
        for place in listed.places
    ]
    size = sizes.written(sizes.of(*listed.size))
    what = "Modules" if narrowed else "Modules that return maps"
    caption = f"{what} of {listed.host}, on images of {size}; a module stands at {listed.taken}"
    console = output.console()
    console.print(output.table(caption, headings, rows, words=("kind", "default")))
    if listed.refused:
        output.complain(listed.refused)
