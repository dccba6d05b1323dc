"""What is known of files that a runtime executes."""

from __future__ import annotations

from attnbench import formatting
from attnbench.formatting import mebibytes, whole
from attnbench.report.tables.figures.cells import added
from attnbench.report.tables.table import Column, figure, words

_EXECUTED = (
    "Operators that a runtime executes after its own optimisation, of files that are exported"
)
_FILE = "Bytes of the exported file"

NODES = Column(
    "nodes",
    f"{_EXECUTED}.",
    "1",
    "operators",
    figure(whole),
)


EXPORTED = (
    NODES,
    added("nodes", "1", "operators", whole, _EXECUTED),
    Column(
        "added_operators",
        "The types of these operators of which there are more or fewer than in the plain host.",
        "",
        "of these",
        words,
    ),
    Column("artefact_bytes", f"{_FILE}.", "byte", "file (MiB)", figure(mebibytes)),
    added("artefact_bytes", "byte", "to the file (MiB)", mebibytes, _FILE),
    Column(
        "relative_error",
        "Largest difference to the outputs of eager PyTorch in float32, as a share of the largest "
        "of these outputs.",
        "1",
        "output error",
        figure(formatting.error),
    ),
    Column("export_s", "Seconds of the export, where it was not there.", "s", "exported in (s)"),
)
"""What is known of files that a runtime executes in place of the networks."""
