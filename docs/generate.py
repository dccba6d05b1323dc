"""Write what is generated in the documents: ``make docs``.

Parts of README.md and of pages in docs/, each between two comments that name it, the whole of
docs/claims.md, and the reports of the published runs. A test fails where one has drifted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import copies
import reference_page
from claims_page import page

from attnbench import formatting, report
from attnbench.claims import claim as claims
from attnbench.errors import UserError
from attnbench.records import run as runs
from attnbench.records.trainings import store as training_store
from attnbench.report.formats.markdown import markdown
from attnbench.report.load import load
from attnbench.report.tables import isolated, stages
from attnbench.report.tables.columns import COLUMNS, CONFIGURATION
from attnbench.report.tables.grid import by_runtime, grid, turned
from attnbench.report.tables.remarks import remarks
from attnbench.report.tables.run import LoadedRun, Runs, tables
from attnbench.report.tables.sentences.control import control
from attnbench.report.tables.trainings import gains as gain_tables
from attnbench.report.write import write_loaded
from attnbench.stats.interval import Interval

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED = Path("reports/2026-11-26-cpu-resnet50")
"""The run on a CPU that the README shows."""

ON_GPU = Path("reports/2026-11-26-h100-resnet50")
"""The run on a GPU that it shows first."""

PROBE = Path("reports/2026-11-26-h100-probe.md")
"""What its clock measured beside other ways to time the same steps: benchmarks/gpu_probe.py."""

OWN = Path("reports/2026-11-25-cpu-resnet50-own")
"""A run of the README's custom module beside SA."""

EXAMPLE = Path("docs/mine.py")
"""That module."""

LIMITS = Path("docs/limits.txt")
"""An example of a file for ``check --limits``."""

LATENCY_LIMITS = Path("docs/latency_limits.txt")
"""An example of one with limits of latency."""

NONE_PUBLISHED = "None is published yet."

REPORTS = (
    *(PUBLISHED, ON_GPU, Path("reports/2026-11-26-cpu-resnet50-isolated"), OWN),
    Path("reports/2026-11-25-cpu-resnet50"),
)
"""The published runs, whose tables, plots and pages are written anew."""

RUNTIMES = "*-cpu-resnet50-runtimes*"
"""The folders in reports/ with the published runs of runtimes, each named by its day first."""


def trained() -> list[Path]:
    """Return the folders of published trainings, from the oldest."""
    return sorted(file.parent for file in Path("reports").glob(f"*/{training_store.FILE_NAME}"))


def filled(text: str, name: str, content: str) -> str:
    """Return the text with the part of that name replaced; blank lines around it stay or not.

    Raises:
        UserError: the text has no such part.
    """
    part = re.compile(rf"(<!-- {name} -->\n)(\n?).*?(<!-- end of {name} -->)", re.DOTALL)
    if not part.search(text):
        raise UserError(f"there is no part '{name}' to fill")
    return part.sub(
        lambda match: f"{match[1]}{match[2]}{content.strip()}\n{match[2]}{match[3]}", text
    )


def own_module() -> str:
    """Return the README's custom module as it stands in its file."""
    return f"```python\n{EXAMPLE.read_text(encoding='utf-8')}```"


def own_row() -> str:
    """Return what a run says of it, at a glance."""
    loaded = _loaded(OWN)
    return "\n\n".join([f"{loaded.run.case.described}. {control(loaded)}", _at_a_glance(loaded)])


def runtimes() -> str:
    """Return the tables of the newest published runs of runtimes, all on one page."""
    folders = runtime_folders(Path("reports"))
    if not folders:
        return NONE_PUBLISHED
    together = _together(Path.cwd(), *folders)
    named = ", ".join(f"[{folder.name}](../{folder.as_posix()})" for folder in folders)
    printed = [turned(grid(together)), *by_runtime(together)]
    return "\n\n".join([f"{named}.", *(markdown(table).strip() for table in printed)])


def deployed() -> str:
    """Return the ratios of those runs in one table, a column each."""
    folders = runtime_folders(Path("reports"))
    if not folders:
        return NONE_PUBLISHED
    return markdown(turned(grid(_together(Path.cwd(), *folders)))).strip()


def runtime_folders(reports: Path) -> list[Path]:
    """Return the published folders of the newest day on which there are some."""
    folders = sorted(reports.glob(RUNTIMES))
    return [folder for folder in folders if folder.name[:10] == folders[-1].name[:10]]


def limits(path: Path = LIMITS) -> str:
    """Return the example of a file of limits."""
    return f"```text\n{path.read_text(encoding='utf-8')}```"


def finding() -> str:
    """Return what the paper of SA prints, beside what SA costs in the published run."""
    networks = _loaded(PUBLISHED).frame.set_index("variant")
    plain, sa = networks.loc["plain"], networks.loc["sa"]
    on_gpu = _loaded(ON_GPU).frame.set_index("variant").loc["sa"]
    printed = {claim.id: claim.printed for claim in claims.catalogue()}
    counted = formatting.percent(sa["added_leaf_operations"] / plain["leaf_operations"], 2)
    return (
        f"**SA in ResNet-50 adds {sa['added_params']:,.0f} parameters, not the "
        f"{printed['sa-abstract-module-params']} that its abstract prints.** Its "
        f"{printed['sa-abstract-module-gflops']}\nGFLOPs are right as papers count them and nearly "
        f"free: +{counted}. **But an image costs\n{_overhead(on_gpu, 'device_ratio')} of an H100's "
        f"own time, and {_overhead(sa, 'ratio')} of latency on two\ncores of a CPU** (95%, runs at "
        f"other hours included); activation memory is {sa['peak_live_ratio'] - 1:+.1%}."
    )


def _overhead(network: pd.Series[Any], key: str) -> str:
    ends = (network[f"{key}_between_runs{end}"] for end in ("", "_low", "_high"))
    return formatting.overhead(Interval(*ends))


def result(folder: Path = PUBLISHED) -> str:
    """Return a published run at a glance; the rest of its remarks are on its page."""
    loaded = _loaded(folder)
    rounds, held, *_ = remarks(loaded)
    gpu = loaded.run.environment.get("gpu")
    on = f" ({gpu})" if gpu else ""
    page = f"[{loaded.run.case.described}]({folder.as_posix()}/comparison.md){on}"
    return "\n\n".join([f"{page}. {rounds} {held}", _at_a_glance(loaded)])


def digits() -> str:
    """Return the gains of the last published training on the digits; nothing before there is one.

    Raises:
        UserError: a file of trainings that cannot be read.
    """
    loaded = [gains for folder in trained() for gains in load(folder).trainings]
    known = [gains for gains in loaded if gains.trainings.training.data.name == "digits"]
    if not known or (table := gain_tables.table(known[-1])) is None:
        return ""
    command = gain_tables.command(known[-1].trainings)
    notes = " ".join(gain_tables.notes(known[-1]))
    return "\n\n".join([f"```\n{command}\n```", markdown(table).strip(), notes])


def _at_a_glance(loaded: LoadedRun) -> str:
    return markdown(tables(loaded)[0]).strip()


def seven() -> str:
    """Return a table of the suite's modules: where each stands, and the parameters it adds."""
    from attnbench.formatting import title
    from attnbench.modules import ATTENTION

    hosts = ("resnet50", "resnet101")
    heading = ["module", "site", *(f"in {host}" for host in hosts), "paper"]
    rows = [
        [
            title(spec.name),
            f"`{spec.site}`",
            *(f"+{spec.added_params[host]:,}" for host in hosts),
            f"{spec.title}, arXiv {spec.arxiv}",
        ]
        for spec in ATTENTION.values()
    ]
    ruler = [":--", ":--", "--:", "--:", ":--"]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, ruler, *rows))


def classifiers() -> str:
    """Return a table of the classifying hosts: kind of block, blocks a stage, the 3x3."""
    from torchvision.models.resnet import Bottleneck

    from attnbench.hosts.build import HOSTS

    rows = [
        f"| `{name}` | {'bottleneck' if host.block is Bottleneck else 'basic'} "
        f"| {', '.join(map(str, host.layers))} | {host.groups} | {host.width_per_group} |"
        for name, host in HOSTS.items()
    ]
    heading = "| host | block | blocks in stages 1 to 4 | groups of the 3x3 | width a group |"
    return "\n".join([heading, "|:--|:--|:--|--:|--:|", *rows])


def detectors() -> str:
    """Return a table of the detectors and backbones: the ResNet in each, what is frozen."""
    from attnbench.hosts.detection import DETECTORS, FROZEN

    frozen = ", ".join(f"`{part}`" for part in FROZEN)
    rows = [
        f"| `{name}` | `{row.backbone}` | {frozen if row.frozen else 'nothing'} |"
        for name, row in DETECTORS.items()
    ]
    heading = "| host | network in it | parts whose parameters take no gradient |"
    return "\n".join([heading, "|:--|:--|:--|", *rows])


def claims_page() -> str:
    """Return the page of every published figure with its verdict."""
    from attnbench.claims import check

    return page(check.check(claims.select(None)), _loaded(PUBLISHED).run)


def probe() -> str:
    """Return the table of what a GPU's clock measures beside other ways."""
    return PROBE.read_text(encoding="utf-8")


@cache
def _together(_: Path, *folders: Path) -> Runs:
    """Return the runs of folders below a place, those of one configuration taken together."""
    return load(*folders).pooled


@cache
def _loaded(folder: Path) -> LoadedRun:
    """Return a published run with its frame, whose intervals take seconds."""
    return LoadedRun(runs.read(folder))


PARTS: dict[Path, dict[str, Callable[[], str]]] = {
    Path("README.md"): {
        "finding": finding,
        "result": result,
        "gpu": partial(result, ON_GPU),
        "deployed": deployed,
        "own module": own_module,
    },
    Path("docs/modules.md"): {"modules": seven, "own row": own_row, "copies": copies.of_timm},
    Path("docs/measuring.md"): {"probe": probe},
    Path("docs/runtimes.md"): {"runtimes": runtimes},
    Path("docs/hosts.md"): {"classifiers": classifiers, "detectors": detectors},
    Path("docs/training.md"): {"digits": digits},
    Path("docs/glossary.md"): {"words": reference_page.words},
    Path("docs/reference.md"): {
        "commands": reference_page.commands,
        "limits": limits,
        "latency limits": partial(limits, LATENCY_LIMITS),
        "metrics": reference_page.metrics,
        "columns": partial(reference_page.columns, COLUMNS),
        "columns before": partial(reference_page.columns, CONFIGURATION),
        "columns alone": partial(reference_page.columns, isolated.COLUMNS),
        "columns stages": partial(reference_page.columns, stages.COLUMNS),
        "rules": reference_page.rules,
    },
}

CLAIMS = Path("docs/claims.md")


def write_parts() -> None:
    """Fill the generated parts of README.md and of the pages in docs/."""
    for path, parts in PARTS.items():
        text = path.read_text(encoding="utf-8")
        for name, content in parts.items():
            text = filled(text, name, content())
        path.write_text(text, encoding="utf-8")


def main() -> None:
    """Write everything anew, from the top of the repository."""
    CLAIMS.write_text(claims_page(), encoding="utf-8")
    for folder in REPORTS:
        report.write(runs.read(folder), folder)
    for folder in (*trained(), *runtime_folders(Path("reports"))):
        write_loaded(load(folder), folder)
    write_parts()


if __name__ == "__main__":
    main()
