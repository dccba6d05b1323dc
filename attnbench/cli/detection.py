"""``attnbench evaluate --annotations``: the precision of a detector, shown and recorded."""

from __future__ import annotations

from pathlib import Path

from attnbench import formatting
from attnbench.accuracy.options import EvaluationOptions
from attnbench.claims.claim import catalogue
from attnbench.cli import output
from attnbench.errors import UserError
from attnbench.files import write_whole
from attnbench.records import precision, store
from attnbench.records.precision import Precision
from attnbench.system import worker
from attnbench.text import printable

HEADINGS = ("network", "of", "AP", "AP50", "AP75", "AP small", "AP medium", "AP large")
FIGURES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")

TABLE = "precision.md"

COCO_IMAGES, COCO_CATEGORIES = 5000, 80
"""Of COCO 2017 val, on which every published figure was computed."""


def evaluate(options: EvaluationOptions, timeout: float | None, out: Path | None) -> int:
    """Evaluate a detector; ``options`` are checked."""
    if out and store.has_files(out) and not (precision.exist(out) or store.runs_in(out)):
        raise UserError(f"{out} holds other files, no run and no precisions; choose another --out")

    from attnbench.detection.evaluate import evaluate as compute  # and torch
    from attnbench.detection.evaluate import prepare

    prepared = worker.time_limit(timeout)(prepare)(options)
    console = output.console()
    name = f"{prepared.device}-{options.host}-precision"
    try:
        with store.record_folder(precision.FILE, out, name) as folder:
            console.print(f"{prepared.described}; record in {folder}")
            with output.images_bar(len(prepared.images), console) as progress:
                result = compute(prepared, progress)
            precision.append(folder, result)
    except KeyboardInterrupt:
        output.complain("interrupted; nothing was written")
        return 130
    console.print(output.table(_caption(result), HEADINGS, rows(result), ("network", "of")))
    for sentence in notes(result):
        console.print(sentence)
    parts = [part for known in precision.read(folder) for part in _page(known)]
    write_whole(folder / TABLE, "\n\n".join([*parts, ""]).encode())
    return 0


def _caption(result: Precision) -> str:
    return f"Average precision (%) on {result.data.name}, {result.data.images:,} images"


def _page(result: Precision) -> list[str]:
    table = output.markdown_table(HEADINGS, rows(result))
    return [f"**{printable(_caption(result))}**", table, *map(printable, notes(result))]


def rows(result: Precision) -> list[tuple[str, ...]]:
    """Return a row for boxes and one for masks, and beneath each what sources print."""
    network = f"{formatting.title(result.variant)} in {result.host}"
    lines = []
    for kind, figures in (("box", result.box), ("mask", result.mask)):
        if figures is None:
            continue
        shown = (figures.get(name) for name in FIGURES)
        cells = (formatting.NOTHING if value is None else f"{100 * value:.1f}" for value in shown)
        lines.append((network, kind, *cells))
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
