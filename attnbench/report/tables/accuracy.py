"""Measured accuracies beside published ones."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from attnbench import formatting
from attnbench.claims.reproduction import reproductions, unlike_published
from attnbench.formatting import title
from attnbench.records.case import RUNTIMES
from attnbench.records.evaluation import Evaluation
from attnbench.report.tables.sentences.scope import narrow_weights
from attnbench.report.tables.table import Table
from attnbench.stats.interval import percent_right
from attnbench.text import printable

CAPTION = "Accuracy: measured here, beside published figures"

HEADINGS = (
    *("network", "data", "images", "metric", "measured (%) [95%]"),
    *("published (%)", "verdict", "code", "source"),
)

DEFINITIONS = (
    "The host and the module in it.",
    "The folder of images.",
    "How many.",
    "Whether the right class is the first, or among the first five.",
    "Share of images, with the interval for their number.",
    "As the source prints it.",
    "Whether both agree to the printed digits.",
    "Of the verdict, or why there is none; `attnbench explain CODE` says more.",
    "Where it is printed, and how it was trained.",
)

METRICS = {"top1": "top-1", "top5": "top-5"}


def tables(evaluations: Sequence[Evaluation]) -> list[Table]:
    """Return one table, a row an evaluation, metric and source; none without evaluations."""
    if not evaluations:
        return []
    rows = []
    for reproduction in reproductions(evaluations):
        claim, evaluation = reproduction.claim, reproduction.evaluation
        rows.append(
            (
                network(evaluation),
                evaluation.data.name,
                formatting.whole(evaluation.images),
                METRICS[reproduction.metric],
                formatting.accuracy(percent_right(evaluation, reproduction.metric)),
                claim.printed if claim else formatting.NOTHING,
                reproduction.verdict or formatting.NOTHING,
                reproduction.code,
                claim.cited if claim else formatting.NOTHING,
            )
        )
    return [Table(CAPTION, HEADINGS, tuple(rows), DEFINITIONS)]


def network(evaluation: Evaluation) -> str:
    """Return ``SA in resnet50``."""
    name = f"{title(evaluation.variant)} in {evaluation.host}"
    if evaluation.runtime == "eager":
        return name
    return f"{name}, {RUNTIMES[evaluation.runtime]} {evaluation.dtype}"


def notes(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return for each evaluation what must be known to believe and to reproduce it."""
    return [_note(evaluation) for evaluation in evaluations]


def command(evaluation: Evaluation) -> str:
    """Return the command that evaluates the same; of weights and data the names are known."""
    words = ["attnbench", "evaluate"]
    for option, value in (
        ("--weights", evaluation.weights.name),
        ("--key", evaluation.weights.key),
        ("--prefix", evaluation.weights.prefix),
        ("--data", evaluation.data.name),
        ("--module", evaluation.module),
        ("--host", evaluation.host),
        ("--device", evaluation.device),
        ("--dtype", evaluation.dtype),
        ("--runtime", None if evaluation.runtime == "eager" else evaluation.runtime),
        ("--calibrate", evaluation.calibration and evaluation.calibration.name),
        ("--batch-size", evaluation.batch_size),
        ("--image-size", evaluation.preprocessing.crop),
        ("--threads", evaluation.threads),
    ):
        words += [] if value is None else [option, str(value)]
    return shlex.join(words + (["--channels-last"] if evaluation.channels_last else []))


def _note(evaluation: Evaluation) -> str:
    how, facts, tied = evaluation.preprocessing, evaluation.environment, evaluation.top1_tied
    part = f" {evaluation.weights.part}" if evaluation.weights.part else ""
    mean, std = (" ".join(f"{value:g}" for value in values) for values in (how.mean, how.std))
    order = {
        "sorted": "whose sorted names are the classes",
        "numbers": "named by the numbers of the classes",
    }[evaluation.data.order]
    parts = [
        f"{network(evaluation)}: of {evaluation.images:,} images {evaluation.top1_right:,} right "
        f"in the top 1, {evaluation.top5_right:,} in the top 5, of {evaluation.classes:,} classes",
        f"{tied:,} are wrong in the top 1 only because of an equal logit" if tied else "",
        f"the module's code: {evaluation.source}" if evaluation.source else "",
        f"weights {evaluation.weights.name}{part}, sha256 {evaluation.weights.sha256}",
        f"images in {evaluation.data.name}/, {evaluation.data.folders:,} folders {order}, "
        f"sha256 {evaluation.data.sha256}",
        f"{how.interpolation} resize of the shorter side to {how.resize}, centre crop of "
        f"{how.crop}x{how.crop}, mean {mean}, std {std}",
        f"{evaluation.dtype} on {facts.get('gpu') or facts.get('cpu')}, batch "
        f"{evaluation.batch_size}, torch {facts.get('torch')}, Pillow {facts.get('pillow')}, "
        f"{facts.get('time')}",
        _executed(evaluation),
        _reach(evaluation),
    ]
    return printable("; ".join(filter(None, parts))) + "."  # a file's name may have line breaks


def _executed(evaluation: Evaluation) -> str:
    """Return the error of a runtime that executes a file, and what int8 was calibrated on."""
    if evaluation.relative_error is None:
        return ""
    error, of = formatting.error(evaluation.relative_error), evaluation.calibration
    version = evaluation.environment.get(evaluation.runtime)
    text = (
        f"{RUNTIMES[evaluation.runtime]} {version}, whose logits of the first batch differ from "
        f"those of eager PyTorch in float32 by {error} of the largest"
    )
    if of is None:
        return text
    narrow = narrow_weights(evaluation.environment)
    return f"{text}; calibrated on {of.images} images in {of.name}/, sha256 {of.sha256}{narrow}"


def _reach(evaluation: Evaluation) -> str:
    """Return how far the published figures apply to this evaluation."""
    difference = unlike_published(evaluation)
    if difference is not None:
        return f"{difference}, so published figures are for orientation only"
    return (
        "as many classes and images as ImageNet's validation set: if this is another set, the "
        "verdicts do not apply"
    )
