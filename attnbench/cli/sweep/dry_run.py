"""What ``sweep --dry-run`` shows: configurations, where they would go, how long that takes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from attnbench import formatting
from attnbench.cli import output
from attnbench.cli.sweep.progress import most_s, seconds
from attnbench.sweeps import forecast
from attnbench.sweeps.device.slots import Slot, fits
from attnbench.sweeps.plan.configuration import Configuration
from attnbench.sweeps.plan.file import Sweep

HEADINGS = ("configuration", "wanted on", "would go to", "seconds")


def show(sweep: Sweep, slots: Sequence[Slot], console: Console) -> int:
    """Print it; return 1 where a configuration fits no device that is there now."""
    rows = [_row(known, slots) for known in sweep.configurations]
    caption = f"{formatting.counted(len(rows), 'configuration')}; nothing was written"
    console.print(output.table(caption, HEADINGS, rows, HEADINGS[:3]))
    for known in dict.fromkeys(formatting.joined(c.modules) for c in sweep.configurations):
        console.print(f"Modules: {known}")
    for name, digest in sweep.files.digests.items():
        console.print(f"Goes with them: {name}, sha256 {digest[:12]}")
    fitting = [
        known
        for known in sweep.configurations
        if any(fits(slot, known.device, known.on) for slot in slots)
    ]
    least, most = (
        forecast.left_s(fitting, [], slots, end_s) or 0.0
        for end_s in (lambda known: seconds(known)[0], most_s)
    )
    console.print(
        f"On {formatting.counted(len(slots), 'device')} that {'is' if len(slots) == 1 else 'are'} "
        f"there now: at least about {formatting.seconds(least)}, at most about "
        f"{formatting.seconds(most)}."
    )
    homeless = len(rows) - len(fitting)
    if homeless:
        fit = "fits" if homeless == 1 else "fit"
        console.print(f"{formatting.counted(homeless, 'configuration')} {fit} none of them.")
    return 1 if homeless else 0


def _row(known: Configuration, slots: Sequence[Slot]) -> tuple[str, ...]:
    places = [slot.shown for slot in slots if fits(slot, known.device, known.on)]
    shown = places[0] if len(places) == 1 else f"one of {len(places)} devices"
    least, most = (round(end) for end in seconds(known))
    return (
        known.described,
        known.wanted,
        shown if places else "none that is there now",
        f"{least}–{most}",
    )
