"""Hold copies of the seven modules against the papers' (those of ``modules/``), as a table.

    python docs/copies.py
    python docs/copies.py sa=vendor/shuffle.py:ShuffleAttention eca=vendor/eca.py:ECA,k_size=5

Without arguments: timm's versions, as docs/modules.md shows them. Otherwise a module of the suite
and a copy of it, as --module of ``attnbench run`` names it; its code is run.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attnbench.errors import UserError
from attnbench.modules import ATTENTION, SettingsError

HOST, CHANNELS = "resnet50", 256
"""Where parameters are counted, and the width at which outputs are compared."""

DIGITS = len("sha256 ") + 12
"""Of a digest, as it is shown; versions are shorter."""

Pair = tuple[str, str]
"""A row of the suite's table, and a copy of it."""

OF_TIMM: dict[Pair, str] = {
    ("se", "timm:se"): "nothing where C/16 is a multiple of 8; elsewhere it is rounded to one",
    (
        "cbam",
        "timm:cbam",
    ): "no biases in the channel gate; the spatial gate takes mean, then maximum",
    ("eca", "timm:eca"): "the paper's rule in stage 1 too, where the published network has 3",
    ("gc", "timm:gc"): "multiplies by a gate of the context in place of adding it; C/8 for C/16",
    ("sk", "timm:sk"): "each branch sees half of the channels; neither is grouped, one is dilated",
}
"""timm's versions, and what differs: read in its code (``timm/layers``, at the version that the
table names)."""

HEADINGS = ("module", "copy", "parameters in resnet50", "on equal weights", "what differs")


@dataclass(frozen=True)
class Row:
    """A copy beside the paper's module."""

    module: str
    copy: str
    origin: str
    params: tuple[int, int]
    """That the paper's and the copy add to the host."""
    verdict: str


def rows(pairs: Sequence[Pair]) -> list[Row]:
    """Build, count and compare every pair; the code of the copies is run.

    Raises:
        SettingsError: a copy cannot be built.
    """
    from attnbench.equivalence.same import compare
    from attnbench.plugins.resolve import parse

    found = []
    for module, copy in pairs:
        references = parse(module), parse(copy)
        compared = compare(references, CHANNELS)
        if any(compared.alone):
            ours, its = map(len, compared.alone)
            verdict = f"not compared: {ours} tensors of the paper's, {its} of the copy stand alone"
        elif compared.difference is None:
            verdict = f"not compared: {compared.reason}"
        else:
            same = f"differs by {compared.difference:.2g} of the largest value"
            verdict = "the same" if compared.same else same
        params = added(references[0].name), added(copy)
        found.append(Row(module, copy, references[1].origin() or "", params, verdict))
    return found


def added(module: str) -> int:
    """Return the learnable parameters that a module adds to the host."""
    import torch

    from attnbench.hosts.build import build

    with torch.device("meta"):
        networks = build(HOST, module), build(HOST)
    with_it, without = (sum(p.numel() for p in network.parameters()) for network in networks)
    return with_it - without


def table(found: Iterable[Row], notes: dict[Pair, str]) -> str:
    """Return the rows as Markdown."""
    lines = [HEADINGS, (":--", ":--", "--:", ":--", ":--")]
    lines += [
        (
            ATTENTION[row.module].label,
            f"`{row.copy}`, {row.origin[:DIGITS]}",
            f"+{row.params[1]:,} (+{row.params[0]:,})",
            row.verdict,
            notes.get((row.module, row.copy), ""),
        )
        for row in found
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def of_timm() -> str:
    """Return the table of timm's versions."""
    return table(rows([*OF_TIMM]), OF_TIMM)


def pair(text: str) -> Pair:
    """Read ``sa=vendor/sa.py:SA,groups=8``.

    Raises:
        UserError: it has no such form, or names no module of the suite.
    """
    module, equals, copy = text.partition("=")
    if not (equals and copy) or module not in ATTENTION:
        raise UserError(f"'{text}' is not of the form sa=FILE.py:ClassName; known: {[*ATTENTION]}")
    return module, copy


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", nargs="*", metavar="MODULE=COPY")
    given = parser.parse_args().pairs
    try:
        pairs = [pair(text) for text in given] or [*OF_TIMM]
        print(table(rows(pairs), OF_TIMM))
    except (UserError, SettingsError) as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
