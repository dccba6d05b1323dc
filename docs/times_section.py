"""The part of ``docs/claims.md`` about published times, with our own ratio beside them."""

from __future__ import annotations

import torch

from attnbench import formatting
from attnbench.claims.claim import Claim, catalogue
from attnbench.counting import RULES
from attnbench.hosts.build import build
from attnbench.hosts.detection import SIZE
from attnbench.records.run import Run
from attnbench.report.tables.run import LoadedRun
from attnbench.stats.interval import Interval

HOST, RATIOS = "maskrcnn_resnet50_fpn", {"ratio 1/16": 16, "ratio 1/4": 4}
STAGES = (2, 3, 4)
"""c3 to c5 in the source's words."""

TEXT = """\
## Times, which need the source's machine

GCNet's README prints the only times of all seven papers and their code: images a second in
inference, and seconds for an iteration of training. Verdict: needs a V100. A ratio to the plain
network of the same block of the table is what can be compared, with care.

{table}

Ours beside it: in the published run of this repository GC in {host} takes {latency} of
the plain network's latency ({case}; inference; 95%, variation between runs included). That is
another host, size and machine, and GC in all four stages: it shows that a module that adds few
operations takes time, not that the printed figure is wrong. By operations alone GC in c3 to c5 of
Mask R-CNN at {height}x{width} adds {counted} (rule `macs`).
For a ratio of your own machine:

    attnbench run --host {detector} --modules gc --stages c3-c5 --device cuda

{note}.
"""


def text(run: Run) -> str:
    """Return the section; ``run`` is the published one."""
    claims = [claim for claim in catalogue() if claim.verdict == "needs a V100"]
    networks = LoadedRun(run).frame.set_index("variant")
    gc = networks.loc["gc"]
    ratio = Interval(*(gc[f"ratio_between_runs{end}"] for end in ("", "_low", "_high")))
    return TEXT.format(
        table=_table(claims),
        host=run.case.host,
        latency=formatting.ratio(ratio),
        case=run.case.described.partition(", inference, ")[2],
        height=SIZE[0],
        width=SIZE[1],
        counted=_counted(),
        detector=HOST,
        note=claims[0].note[:1].upper() + claims[0].note[1:],
    )


def _table(claims: list[Claim]) -> str:
    lines = [
        "| network | setting | images/s | time of an image | s/iteration | ratio | GB | ratio |",
        "|:--|:--|--:|--:|--:|--:|--:|--:|",
    ]
    rows: dict[tuple[str, str | None, str | None], dict[str, float]] = {}
    for claim in claims:
        row = rows.setdefault((claim.host, claim.training, claim.options), {})
        row[claim.metric] = float(claim.printed)
    for (host, training, options), row in rows.items():
        plain = rows[host, training, None]
        ratios = (
            plain["images/s"] / row["images/s"],
            row["s/iteration"] / plain["s/iteration"],
            row["GB"] / plain["GB"],
        )
        slower, longer, more = ("" if options is None else f"{ratio:.2f}" for ratio in ratios)
        network = host if options is None else f"gc in {host}"
        setting = ", ".join(filter(None, (options, training)))
        lines.append(
            f"| {network} | {setting} | {row['images/s']} | {slower} "
            f"| {row['s/iteration']:.3f} | {longer} | {row['GB']} | {more} |"
        )
    return "\n".join(lines)


def _counted() -> str:
    """Return what GC adds to Mask R-CNN by multiply-accumulates, at both ratios."""
    shape = (1, 3, *SIZE)
    with torch.device("meta"):
        plain = RULES["macs"].count(build(HOST), shape).operations
        added = []
        for name, reduction in RATIOS.items():
            network = build(HOST, "gc", stages=STAGES, reduction=reduction)
            operations = RULES["macs"].count(network, shape).operations
            assert plain is not None
            assert operations is not None
            added.append(f"{formatting.percent((operations - plain) / plain, 3)} at {name}")
    return " and ".join(added)
