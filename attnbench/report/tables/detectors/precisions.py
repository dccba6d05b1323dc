"""Average precision of detectors with given weights, beside what sources print: a table each."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from attnbench import formatting
from attnbench.claims.claim import catalogue
from attnbench.records.precision import Precision
from attnbench.report.tables.table import Table
from attnbench.text import printable

HEADINGS = ("network", "of", "AP", "AP50", "AP75", "AP small", "AP medium", "AP large")
FIGURES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")

DEFINITIONS = (
    "The detector and its module; beneath it what each source prints for it on COCO 2017 val.",
    "Boxes, or masks.",
    "Mean over the intersections 0.50, 0.55, ..., 0.95 and over the categories.",
    "At an intersection of 0.50.",
    "At an intersection of 0.75.",
    "Of objects below 32x32 pixels.",
    "Of objects from 32x32 to 96x96 pixels.",
    "Of objects from 96x96 pixels.",
)

COCO_IMAGES, COCO_CATEGORIES = 5000, 80
"""Of COCO 2017 val, on which every published figure was computed."""


def network(result: Precision) -> str:
    """Return the network in words."""
    return f"{formatting.title(result.variant)} in {result.host}"


def tables(precisions: Sequence[Precision]) -> list[Table]:
    """Return a table for each set of images, in the order in which they were evaluated."""
    by_data: dict[str, list[Precision]] = {}
    for result in precisions:
        by_data.setdefault(result.data.sha256, []).append(result)
    return [
        Table(
            caption(results[0]),
            HEADINGS,
            tuple(row for result in results for row in rows(result)),
            DEFINITIONS,
        )
        for results in by_data.values()
    ]


def caption(result: Precision) -> str:
    """Return what a table is of."""
    return printable(f"Average precision (%) on {result.data.name}, {result.data.images:,} images")


def command(result: Precision) -> str:
    """Return the command that evaluates the same; of files and folders the names are known."""
    words = ["attnbench", "evaluate", "--host", result.host]
    words += [] if result.module is None else ["--module", result.module]
    words += ["--weights", result.weights.name]
    for flag, value in (("--key", result.weights.key), ("--prefix", result.weights.prefix)):
        words += [] if value is None else [flag, value]
    words += ["--data", result.data.name, "--annotations", result.data.annotations]
    words += ["--image-size", str(result.shorter), "--device", result.device]
    return shlex.join([*words, "--threads", str(result.threads)])


def rows(result: Precision) -> list[tuple[str, ...]]:
    """Return a row for boxes and one for masks, and beneath each what sources print."""
    lines = []
    for kind, figures in (("box", result.box), ("mask", result.mask)):
        if figures is None:
            continue
        shown = (figures.get(name) for name in FIGURES)
        cells = (formatting.NOTHING if value is None else f"{100 * value:.1f}" for value in shown)
        lines.append((network(result), kind, *cells))
        lines += _published(result, kind)
    return lines


def _published(result: Precision, kind: str) -> list[tuple[str, ...]]:
    """Return what each source and training prints for the network on COCO, where it can be."""
    known: dict[str, dict[str, str]] = {}
    for claim in catalogue():
        same = (claim.host, claim.attention) == (result.host, result.module)
        if same and claim.metric.startswith(f"{kind} ap") and not claim.copy_of:
            setting = f"{claim.cited}, {claim.options}" if claim.options else claim.cited
            known.setdefault(setting, {})[claim.metric.removeprefix(f"{kind} ")] = claim.printed
    return [
        (f"printed by {setting}", kind, *(row.get(name, formatting.NOTHING) for name in FIGURES))
        for setting, row in known.items()
    ]


def notes(result: Precision) -> list[str]:
    """Return what must be known to believe and to repeat the figures."""
    data = result.data
    parts = [
        f"weights {result.weights.name}, sha256 {result.weights.sha256}",
        f"{data.annotations} with {data.objects:,} objects of {data.categories:,} categories, "
        f"images in {data.name}/, sha256 of both {data.sha256}",
        f"images resized to a shorter side of {result.shorter}, the longer at most {result.longer}",
        f"at most 100 detections an image; float32 on {result.device}, torch "
        f"{result.environment.get('torch')}",
    ]
    sentences = ["; ".join(parts) + "."]
    if (data.images, data.categories) != (COCO_IMAGES, COCO_CATEGORIES):
        sentences.append(
            f"{data.images:,} images of {data.categories:,} categories are not COCO 2017 val "
            f"({COCO_IMAGES:,} and {COCO_CATEGORIES:,}): published figures are for orientation "
            "only."
        )
    return sentences
