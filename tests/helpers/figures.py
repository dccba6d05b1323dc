"""Tables to draw plots of, and what can be read from a plot."""

import json

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from attnbench.report.plots.drawing.points import PALE
from attnbench.report.plots.style import SPOKEN

RECIPE = "someone/somewhere README; 100 epochs"


def row(
    variant: str,
    ratio: float,
    doubt: float = 0.005,
    top1: float | None = None,
    **others: object,
) -> dict[str, object]:
    """A variant whose interval within the run is half as wide as that between runs."""
    latency = {
        "ratio": ratio,
        "ratio_low": ratio - doubt / 2,
        "ratio_high": ratio + doubt / 2,
        "ratio_between_runs": ratio,
        "ratio_between_runs_low": ratio - doubt,
        "ratio_between_runs_high": ratio + doubt,
    }
    return {
        "variant": variant,
        **latency,
        **{f"{of}_{key}": value for of in ("device", "energy") for key, value in latency.items()},
        "added_params": 100.0,
        "added_leaf_operations": 2e6,
        "peak_live_bytes": 30 * 2**20,
        "peak_live_ratio": 1.5,
        "published_by_recipe": "" if top1 is None else json.dumps({RECIPE: top1}),
        **others,
    }


def rows(*given: dict[str, object], plain_top1: float | None = None) -> pd.DataFrame:
    plain = row("plain", 1.0, 0.0, plain_top1)
    return pd.DataFrame([plain, row("control", 1.001), *given])


def spoken(figure) -> list[str]:
    """The words of every point, in the order in which they were drawn."""
    ids = (artist.get_gid() or "" for axes in figure.axes for artist in axes.get_children())
    return [each.removeprefix(SPOKEN) for each in ids if each.startswith(SPOKEN)]


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


KNOWN = rows(
    row("se", 1.05, top1=77.0),
    row("sk", 1.10, top1=76.9),  # less accurate than se, and slower
    row("sge", 1.20, top1=77.5),
    row("cbam", 1.205, top1=77.4),  # slower than sge by less than is known
    row("eca", 1.01),
    plain_top1=76.0,
)


def headings(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left").replace("\n", " ") for axes in figure.axes]


FAULT = "the plain host against itself is significantly different from 1"


def markers(figure: Figure) -> list[Line2D]:
    """The points of a figure that have words."""
    found = [artist for axes in figure.axes for artist in axes.get_children()]
    return [each for each in found if isinstance(each, Line2D) and each.get_gid()]


def unsure(figure: Figure) -> list[bool]:
    """Of every point whether it is pale and hollow."""
    return [
        (each.get_alpha(), each.get_markerfacecolor()) == (PALE, "none") for each in markers(figure)
    ]


def grid_of(*sizes: tuple[int, int | str], **others: object) -> pd.DataFrame:
    settings = {"host": "resnet50", "mode": "inference", "dtype": "float32", "runtime": "eager"}
    settings |= {"channels_last": False, "processor": "A", "torch": "2"}
    return pd.concat(
        [
            rows(row("sa", 1 + 1 / batch), row("se", 1.1)).assign(
                batch_size=batch, image_size=image, **(settings | others)
            )
            for batch, image in sizes
        ]
    )
