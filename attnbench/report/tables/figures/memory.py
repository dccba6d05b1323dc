"""The peaks of memory of one step."""

from __future__ import annotations

from collections.abc import Iterator

from attnbench.formatting import fraction, mebibytes
from attnbench.report.tables.table import Column, figure

PEAKS = {
    "live": (
        "activation memory",
        "Most bytes that one step creates and holds at once; deterministic.",
    ),
    "resident": ("resident peak", "CPU: the process's peak resident size, libraries included."),
    "allocated": (
        "allocated peak",
        "GPU: most bytes in tensors and libraries' workspaces, weights included "
        "(`max_memory_allocated`, which papers quote).",
    ),
    "allocated_above": (
        "allocated by the step",
        "GPU: `peak_allocated_bytes` less what was allocated before the step.",
    ),
    "reserved_above": (
        "segments added",
        "GPU: most bytes in the allocator's segments, of 2 and 20 MiB on CUDA, less those before "
        "the step. No ratio where the plain host's are fewer than ten large ones.",
    ),
    "reserved": (
        "segments",
        "GPU: most bytes in the allocator's segments, weights included.",
    ),
}
"""The peaks of memory by their keys: the words of their headings, and what they mean."""


def _peak(peak: str) -> Iterator[Column]:
    words, meaning = PEAKS[peak]
    yield Column(f"peak_{peak}_bytes", meaning, "byte", f"{words} (MiB)", figure(mebibytes))
    meaning = f"{words.capitalize()} over the plain host's. {meaning}"
    yield Column(f"peak_{peak}_ratio", meaning, "1", f"{words} ratio", figure(fraction))


MEMORY = (
    *(column for peak in PEAKS for column in _peak(peak)),
    Column(
        "graph_pool_bytes",
        "CUDA graphs: bytes that the captured step keeps, in segments of its own pool; the other "
        "peaks are those of the eager step.",
        "byte",
        "graph pool (MiB)",
        figure(mebibytes),
    ),
)
"""What is known of memory."""
