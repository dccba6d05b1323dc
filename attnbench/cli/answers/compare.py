"""``attnbench compare``: how each module's overhead changed between runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Annotated

import typer

from attnbench import analysis, formatting
from attnbench.analysis import baselines
from attnbench.analysis.compare import Change, Comparison
from attnbench.cli import output
from attnbench.cli.options import BetweenRuns, formats, option, share
from attnbench.errors import UserError
from attnbench.text import markdown_text

ChangeFormat = StrEnum("ChangeFormat", ["TEXT", "JSON", "GITHUB"])
HEADINGS = (
    *("module", "old ratio, rounds alone", "new ratio, rounds alone", "change [95%]"),
    *("run-to-run part", "verdict", "code"),
)


def tables(comparison: Comparison) -> Iterable[tuple[str, list[tuple[str, ...]], list[str]]]:
    """Yield a caption, rows under HEADINGS, and remarks for each configuration."""
    for pair in comparison.pairs:
        configuration = pair.configuration
        changes = [change for change in comparison.changes if change.configuration == configuration]
        old, new = (max(change.runs[side] for change in changes) for side in (0, 1))
        scatter = formatting.percent(comparison.between_runs)
        before, after = map(formatting.milliseconds, pair.plain_s)
        yield (
            f"Change of the ratio to the plain host: {configuration}; old runs: {old}, new runs: "
            f"{new}; scatter between runs assumed to be {scatter} until they show it",
            list(map(cells, changes)),
            [
                f"Plain host: {before} ms/image in the old, {after} in the new.",
                *(f"Remark: {remark}." for remark in pair.remarks),
            ],
        )


def cells(change: Change) -> tuple[str, ...]:
    """Return a row under HEADINGS."""
    return (
        change.module,
        formatting.ratio(change.old),
        formatting.ratio(change.new),
        formatting.ratio(change.change),
        formatting.NOTHING if change.between is None else f"±{formatting.percent(change.between)}",
        change.verdict,
        formatting.other_word(change.code, change.verdict),
    )


def as_github(comparison: Comparison) -> str:
    """Return an annotation for every slowdown that fails; the tables go to the summary."""
    failures = [
        output.annotation(change.module, change.fault)
        for change in comparison.changes
        if change.fails
    ]
    headline = (
        f"{len(failures)} of {formatting.counted(len(comparison.changes), 'module')} slower by "
        f"more than {formatting.stated_percent(comparison.limit)}; {comparison.unjudged} without "
        "a verdict"
    )
    printed = "\n\n".join(
        f"**{markdown_text(caption)}**\n\n{output.markdown_table(HEADINGS, rows)}\n\n"
        + "\n\n".join(map(markdown_text, remarks))
        for caption, rows, remarks in tables(comparison)
    )
    return output.github_text(failures, headline, printed + "\n")


FORMATS: dict[str, Callable[[Comparison], str]] = {"json": output.json_text, "github": as_github}


def compare(  # noqa: PLR0913, PLR0917  an option each
    old: Annotated[
        str,
        typer.Argument(metavar="OLD", help="Folder of one or more runs, or a saved baseline."),
    ],
    new: Annotated[
        str | None,
        typer.Argument(
            metavar="NEW", help="The same of later runs; left out with --save.", show_default=False
        ),
    ] = None,
    save: Annotated[
        str | None,
        option("NAME", "Save the runs in OLD as a baseline, under .attnbench/baselines."),
    ] = None,
    fail_above: Annotated[str, option("SHARE", "Slowdown for exit status 1, such as 3%.")] = "3%",
    force: Annotated[
        bool, typer.Option("--force", help="Compare different machines or settings all the same.")
    ] = False,
    between_runs: BetweenRuns = None,
    require_verdicts: Annotated[
        bool,
        typer.Option("--require-verdicts", help="Exit status 1 if any module has no verdict."),
    ] = False,
    allow_no_verdict: Annotated[
        bool,
        typer.Option(
            "--allow-no-verdict",
            help="Exit status 0 even if no module has a verdict, or one is not timed any more.",
        ),
    ] = False,
    format_: Annotated[ChangeFormat, formats([*ChangeFormat])] = ChangeFormat.TEXT,
) -> int:
    """Show how each module's overhead changed between runs, with its interval.

    Several runs of one configuration in a folder are taken together. With --save NAME the runs of
    one folder are kept as a baseline, which can stand for OLD from then on.
    Exit status 1 where a slowdown beyond --fail-above is significant, where no module of a
    configuration has a verdict, and where one of the old runs could not be timed in the new ones.
    """
    if require_verdicts and allow_no_verdict:
        raise UserError("--require-verdicts and --allow-no-verdict contradict each other")
    if save is not None:
        if new is not None:
            raise UserError("--save NAME takes one folder of runs, and compares nothing")
        folder = baselines.save(save, baselines.find(old))
        print(f"Saved in {folder}; compare later runs with: attnbench compare {save} NEW")
        return 0
    if new is None:
        raise UserError("compare needs OLD and NEW, or --save NAME and one folder of runs")
    limit, before, after = share(fail_above), baselines.find(old), baselines.find(new)
    comparison = analysis.compare(before, after, limit, force=force, scatter=between_runs)
    if format_ is ChangeFormat.TEXT:
        console = output.console()
        for caption, rows, remarks in tables(comparison):
            console.print(output.table(caption, HEADINGS, rows, words=("verdict", "code")))
            for remark in remarks:
                console.print(remark)
    else:
        print(FORMATS[format_](comparison))
    faults = [change.fault for change in comparison.changes if change.fails]
    output.complain(*faults)
    unjudged, of = comparison.unjudged, formatting.counted(len(comparison.changes), "module")
    if unjudged:
        output.complain(f"{unjudged} of {of} without a verdict")
    if not allow_no_verdict and (unknown := comparison.open_faults):
        if format_ is ChangeFormat.GITHUB:
            print(*(output.annotation("compare", fault) for fault in unknown), sep="\n")
        output.complain(*unknown, "--allow-no-verdict ends with status 0 all the same")
        return 1
    return 1 if faults or (require_verdicts and unjudged) else 0
