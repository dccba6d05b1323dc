"""Names of modules as plots write them: shortened, with the whole name as a tooltip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.text import Text

from attnbench.formatting import title
from attnbench.report.plots.style import say
from attnbench.text import printable

LONGEST_NAME, LONGEST_BESIDE = 20, 9
"""Characters of a name, and of one beside its point in a panel of half width."""


def written(variant: str) -> str:
    """Return a module's name for plots: shortened, and without a formula between dollars."""
    name = title(variant)
    if len(name) > LONGEST_NAME:
        half = LONGEST_NAME // 2
        name = f"{name[: half - 1]}…{name[-half:]}"
    return no_formula(name)


def no_formula(text: str) -> str:
    """Return text on one line in which no formula stands between dollars."""
    return printable(text).replace("$", r"\$")


def tooltips(texts: Iterable[Text], variants: Iterable[str]) -> None:
    """Give shortened labels their whole names as tooltips."""
    for text, variant in zip(texts, variants, strict=True):
        if len(title(variant)) > LONGEST_NAME:
            say(text, title(variant))


def label_rows(axes: Axes, variants: Sequence[str]) -> None:
    """Label the vertical axis with one module a line."""
    axes.set_yticks(range(len(variants)), [written(variant) for variant in variants])
    tooltips(axes.get_yticklabels(), variants)
