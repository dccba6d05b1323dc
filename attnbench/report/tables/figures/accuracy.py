"""Accuracy, as published and as measured here."""

from __future__ import annotations

from attnbench import formatting
from attnbench.report.tables.table import Column, figure, with_ends

ACCURACY = (
    Column(
        "published_top1",
        "Top-1 on ImageNet as `published_recipe` states it, not measured. Only where the run is of "
        "224x224 and the module in every block.",
        "percent",
        "published top-1 (%)",
        figure(formatting.hundredths),
    ),
    Column(
        "published_recipe",
        "The one source of `published_top1`, and how it trained; the one with most of the run's "
        "modules.",
    ),
    Column(
        "published_by_recipe",
        "Top-1 of the same network by every recipe that has it: a JSON object, in percent.",
    ),
    *with_ends(
        "measured_top1",
        "Top-1 of weights evaluated here (below) on images of the run's size; empty where "
        "there are none, or several, or the module is not in every block.",
        "percent",
    ),
    *with_ends("measured_top5", "Top-5 of the same.", "percent"),
    Column("measured_on", "The folder of images of `measured_top1`, and the file of weights."),
)
"""What is known of top-1 and top-5."""
