"""``attnbench check``: published figures, or custom limits, checked against the code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import typer

from attnbench import formatting
from attnbench.claims.outcome import Outcome
from attnbench.cli import output
from attnbench.cli.options import BetweenRuns, Timeout, formats, option, stated
from attnbench.errors import UserError
from attnbench.files import resolved
from attnbench.plugins.spec import is_in_file
from attnbench.system import worker
from attnbench.text import unknown, visible

Format = StrEnum("Format", ["TEXT", "JSON", "JUNIT", "GITHUB"])
CLAIMS = ("name", "what", "stated", "computed", "rule", "verdict", "as expected")
LIMITS = ("where", "what", "limit", "computed", "rule", "verdict", "code")
CANNOT_TELL = 3
"""Exit status where no limit is exceeded, but of one it cannot be told whether it is."""


def headings(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Return the headings of a table of claims, or of limits."""
    return LIMITS if outcomes and outcomes[0].kind == "limit" else CLAIMS


def cells(outcome: Outcome) -> tuple[str, ...]:
    """Return a row under these headings."""
    figures = (outcome.stated_text, outcome.computed_text, outcome.rule)
    row = (outcome.name, outcome.subject, *figures)
    if outcome.kind == "limit":
        return (*row, outcome.verdict, formatting.other_word(outcome.code, outcome.verdict))
    verdict = outcome.verdict
    if verdict != outcome.code:  # most verdicts on claims are their code
        verdict += f" ({outcome.code})"
    return (*row, verdict, "yes" if outcome.holds else f"NO: {outcome.expected}")


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return how many hold: ``3 limits: 1 within, 1 not within, 1 cannot tell``."""
    limits = bool(outcomes) and outcomes[0].kind == "limit"
    count = formatting.counted(len(outcomes), "limit" if limits else "figure")
    words = ("within", "not within") if limits else ("as expected", "not as expected")
    hold, undecided = (
        sum(outcome.holds for outcome in outcomes),
        sum(outcome.undecided for outcome in outcomes),
    )
    parts = [f"{hold} {words[0]}"]
    if fail := len(outcomes) - hold - undecided:
        parts.append(f"{fail} {words[1]}")
    if undecided:
        parts.append(f"{undecided} cannot tell")
    return f"{count}: {', '.join(parts)}"


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Return a list of objects, with numbers in their unit; the same for the same code."""
    objects = [asdict(outcome) for outcome in outcomes]
    return output.json_text(
        [{key: value for key, value in row.items() if key != "seconds"} for row in objects]
    )


def as_junit(outcomes: Sequence[Outcome]) -> str:
    """Return a test suite with a test case per outcome; what cannot be told is an error."""
    undecided = sum(outcome.undecided for outcome in outcomes)
    suite = Element(
        "testsuite",
        name="attnbench check",
        tests=str(len(outcomes)),
        failures=str(sum(not outcome.holds for outcome in outcomes) - undecided),
        errors=str(undecided),
        time=f"{sum(outcome.seconds for outcome in outcomes):.3f}",
    )
    names: Counter[str] = Counter()
    for outcome in outcomes:
        name = outcome.name
        if outcome.kind == "limit":
            name = f"line {outcome.line}: {outcome.subject} {outcome.stated_text}"
        names[name] += 1
        if names[name] > 1:
            name = f"{name} ({names[name]})"
        classname = visible(outcome.file or f"attnbench.claims.{outcome.subject}")
        attributes = {"classname": classname, "name": visible(name)}
        case = SubElement(suite, "testcase", attributes, time=f"{outcome.seconds:.3f}")
        if not outcome.holds:
            kind = "error" if outcome.undecided else "failure"
            SubElement(case, kind, type=outcome.code, message=visible(outcome.fault))
    indent(suite)
    return tostring(suite, encoding="unicode", xml_declaration=True)


def as_github(outcomes: Sequence[Outcome]) -> str:
    """Return an annotation per outcome that does not hold; in the table they stand first."""
    failures = [
        output.annotation(outcome.name, outcome.fault, outcome.file, outcome.line)
        for outcome in outcomes
        if not outcome.holds
    ]
    headline = summary(outcomes)
    ordered = sorted(outcomes, key=lambda outcome: outcome.holds)
    table = output.markdown_table(headings(outcomes), map(cells, ordered))
    return output.github_text(failures, headline, f"**attnbench check**: {headline}\n\n{table}\n")


FORMATS: dict[str, Callable[[Sequence[Outcome]], str]] = {
    "json": as_json,
    "junit": as_junit,
    "github": as_github,
}


def check(  # noqa: PLR0913, PLR0917  an option each
    only: Annotated[
        str | None,
        option(
            "GLOB",
            "Check the figures whose id matches: 'sa-*' of papers, 'pin-*' exact ones of ours.",
        ),
    ] = None,
    limits: Annotated[
        Path | None, option("FILE", "Check these limits instead of the claims.")
    ] = None,
    budget: Annotated[Path | None, typer.Option(hidden=True)] = None,
    run: Annotated[
        Path | None,
        option(
            "DIR",
            "Judge limits of latency by these finished runs.",
            "a run is made now, with the defaults of run",
        ),
    ] = None,
    between_runs: BetweenRuns = None,
    host: Annotated[
        str | None,
        option(
            "NAME",
            "Hold the limits in this host in place of theirs; without --limits, check the figures "
            "of this host alone.",
        ),
    ] = None,
    image_size: Annotated[str | None, stated("image_size")] = None,
    stages: Annotated[str | None, stated("stages")] = None,
    blocks: Annotated[str | None, stated("blocks")] = None,
    format_: Annotated[Format, formats([*Format])] = Format.TEXT,
    timeout: Timeout = None,
) -> int:
    """Check published figures, or your own limits, against the code.

    Exit status 1 where a verdict has changed or a limit is exceeded; else 3 where an interval of
    latency is too wide, or a control failed, so that it cannot be told whether one is.
    """
    if limits and budget:
        raise UserError("--budget is the former name of --limits; give one of them")
    path = limits or budget  # the former name still works
    if path and only is not None:
        raise UserError("--only selects claims; it does not go with --limits")
    if not path and (run or between_runs is not None):
        raise UserError("--run and --between-runs go with --limits; published figures need no run")
    where = {"image_size": image_size, "stages": stages, "blocks": blocks}
    if not path and any(value is not None for value in where.values()):
        raise UserError("--image-size, --stages and --blocks go with --limits")
    if path:
        with worker.time_limit(timeout):
            outcomes = _limits(path, run, between_runs, host, where)
            caption = f"Limits of {path}" + (f" in {host}" if host else "")
    else:
        caption, outcomes = "Published and pinned figures, computed", _claims(only, host)
    if format_ is Format.TEXT:
        words, console = ("what", "rule", "verdict", "as expected"), output.console()
        console.print(output.table(caption, headings(outcomes), map(cells, outcomes), words))
        console.print(f"{summary(outcomes)}.")
    else:
        print(FORMATS[format_](outcomes))
    failing = [outcome for outcome in outcomes if not outcome.holds]
    output.complain(*(outcome.fault for outcome in failing))
    if all(outcome.undecided for outcome in failing):
        return CANNOT_TELL if failing else 0
    return 1


def _claims(only: str | None, host: str | None) -> list[Outcome]:
    from attnbench.claims import claim, pins

    pinned = pins.select(only)
    try:
        claims = claim.select(only)
    except UserError:
        if not pinned:
            raise
        claims = []
    if host is not None:
        known = {figure.host for figure in claim.catalogue()} | {*pins.HOSTS}
        if host not in known:
            raise UserError(unknown("host of figures", host, sorted(known)))
        claims = [figure for figure in claims if figure.host == host]
        pinned = [name for name in pinned if f"-{host}-" in name]
        if not (claims or pinned):
            raise UserError(f"--only: no figure of {host} matches '{only}'")

    from attnbench.claims import check as claims_check  # and torch
    from attnbench.claims import check_pins
    from attnbench.claims.published import copies

    outcomes = [finding.outcome() for finding in claims_check.check(claims)]
    copied = copies.check(claim for claim in claims if claim.copy_of)
    return outcomes + copied + check_pins.check(pinned)


def _limits(
    path: Path,
    run: Path | None,
    between_runs: float | None,
    host: str | None,
    where: dict[str, str | None],
) -> list[Outcome]:
    """Return the outcome of every limit of a file, in the order of its lines."""
    from attnbench.claims.limits import check as limits_check
    from attnbench.claims.limits import file
    from attnbench.claims.limits.latency import LatencyLimit
    from attnbench.claims.limits.placed import Placement
    from attnbench.cli import latency_gate
    from attnbench.cli.placement import cases

    lines = file.read(path)
    if host is not None:
        named = str(resolved(Path(host).expanduser())) if is_in_file(host) else host
        lines = [replace(limit, host=named) for limit in lines]
    timed = [limit for limit in lines if isinstance(limit, LatencyLimit)]
    counted = [limit for limit in lines if not isinstance(limit, LatencyLimit)]
    if not timed and (run or between_runs is not None):
        raise UserError(f"--run and --between-runs judge limits of latency; {path} has none")
    placement = None
    if any(value is not None for value in where.values()):
        if timed and not run:
            raise UserError(
                "--image-size, --stages and --blocks are for limits of what is counted; limits of "
                f"latency, as in {path}, are judged by runs of just these options: --run DIR"
            )
        known = cases([limit.host for limit in counted], **where)
        if len({case.image_size for case in known}) > 1:
            raise UserError("--image-size takes one size here")
        size = known[0].image_size if known and where["image_size"] else None
        places = [Placement(case.stages, case.blocks, size) for case in known[:1]]
        placement = next(iter(places), None)
    exact = iter(limits_check.check(counted, placement))
    measured = iter(latency_gate.check(timed, run, between_runs) if timed else [])
    groups = (
        next(measured) if isinstance(limit, LatencyLimit) else [next(exact)] for limit in lines
    )
    return [outcome for group in groups for outcome in group]
