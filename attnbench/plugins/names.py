"""Names of modules without regard to case, in the spelling that records have."""

from __future__ import annotations

from attnbench.modules import ATTENTION
from attnbench.plugins import entry_points, timm


def written(name: str) -> str:
    """Return the name with its source in the source's own case: ``SA,groups=8`` as ``sa,groups=8``.

    Files, settings and names that are not known stay as they are. The exact name of an entry point
    comes before a name of the table in another case.
    """
    source, comma, settings = name.strip().partition(",")
    lower = source.strip().lower()
    if source in ATTENTION:
        return name.strip()
    if lower.startswith(timm.PREFIX):
        return f"{lower}{comma}{settings}"
    if ".py:" in source:
        return name.strip()
    offered = [entry.name for entry in entry_points.offered()]
    if source not in offered:
        alike = [known for known in (*ATTENTION, *offered) if known.lower() == lower]
        source = alike[0] if len(alike) == 1 else source
    return f"{source}{comma}{settings}"
