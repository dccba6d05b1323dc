"""A compact table for a paper: chosen columns, a label, and the modules' papers as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attnbench import formatting
from attnbench.errors import UserError
from attnbench.modules import ATTENTION, AttentionSpec
from attnbench.records.variants import CONTROL
from attnbench.report.formats import latex
from attnbench.report.tables.columns import POOLED_COLUMNS
from attnbench.report.tables.figures.timed import PARTS
from attnbench.report.tables.remarks import machine
from attnbench.report.tables.run import AS_PAPERS_COUNT, FAILED, OF_SEVERAL, LoadedRun
from attnbench.report.tables.sentences.control import control
from attnbench.report.tables.table import printed
from attnbench.text import printable, unknown

WIDE = {"ratio": "ratio_between_runs", "tied_with": "tied_between_runs"}
"""What a paper prints in the place of a figure that holds within one run alone."""

WITHIN_ONE_RUN = {"latency_s", *(f"{part}_ratio" for part in PARTS)}
"""Columns whose intervals leave the variation between runs out."""

PRINTED = {column.key: column for column in POOLED_COLUMNS if column.show is not None}


def columns(text: str) -> tuple[str, ...]:
    """Return the keys of columns that a user lists, separated by commas.

    Raises:
        UserError: a column that is not printed, or one twice; the message lists the known ones.
    """
    keys = tuple(key.strip() for key in text.split(","))
    for key in keys:
        if key not in PRINTED:
            known = (name for name in PRINTED if name not in WIDE.values())
            raise UserError(f"--paper: {unknown('column', key, known)}")
    chosen = tuple(WIDE.get(key, key) for key in keys)
    if len(set(chosen)) < len(chosen):
        raise UserError(f"--paper: a column twice: {text}")
    return chosen


def table(loaded: LoadedRun, keys: Sequence[str]) -> str:
    """Return those columns of a run, or of several of one configuration, as LaTeX.

    Each module stands with a citation of its paper.

    Raises:
        UserError: the run is of modules alone, which have other columns.
    """
    run, case = loaded.run, loaded.run.case
    if case.isolated:
        raise UserError("--paper takes a run in a host; modules alone have other columns")
    frame = loaded.frame[loaded.frame["variant"] != CONTROL]
    frame = frame.reindex(columns=[column.key for column in POOLED_COLUMNS])
    rows = [row for _, row in frame.iterrows()]
    for key in keys:
        show = PRINTED[key].show
        if show is not None and all(show(row, key) == formatting.NOTHING for row in rows):
            raise UserError(f"--paper: this run has no figure for '{key}'")
    several = len(loaded.runs) > 1
    headings = AS_PAPERS_COUNT | (OF_SEVERAL if several else {})
    shown = printed("", POOLED_COLUMNS, keys, frame, headings)
    caption = f"Attention modules in {case.described}, on {_processor(loaded)}."
    if any(key.startswith("ratio") for key in keys):
        caption += " Latency ratios are to the host without a module"
        caption += f"{FAILED}." if loaded.control_fault else "."
    if several:
        caption += f" Mean of {len(loaded.runs)} runs at different times."
    if "ratio_between_runs" in keys:
        caption += " Their 95% intervals, of which ± is the farther end, cover rounds and runs."
    if WITHIN_ONE_RUN & set(keys):
        of = "these runs alone" if several else "one run"
        caption += f" Other intervals cover the rounds of {of}."
    host = re.sub(r"[^\w.-]+", "-", case.host, flags=re.ASCII)  # of a path or timm:NAME
    label = f"tab:attnbench-{host}-{case.device}-{case.folder}"
    citations = [
        f"~\\cite{{{_key(ATTENTION[name])}}}" if name in ATTENTION else ""
        for name in frame["variant"]
    ]
    text = latex.environment(shown, latex.escaped(caption), label, citations)
    notes = (machine(run), control(loaded), *latex.NOTES)
    macro = [latex.CHARACTER] if r"\attnbenchchar" in text else []
    return "\n".join([*(f"% {printable(note)}" for note in notes), *macro, text])


def _processor(loaded: LoadedRun) -> str:
    facts = loaded.run.environment
    threads = loaded.run.case.threads
    on = f" with {threads} thread{'' if threads == 1 else 's'}" if not facts.get("gpu") else ""
    return f"{facts.get('gpu') or facts.get('cpu') or 'an unknown processor'}{on}"


def bibliography(modules: Sequence[str]) -> str:
    """Return a BibTeX entry for the paper of each module of the suite's table."""
    return "\n".join(_entry(ATTENTION[name]) for name in modules if name in ATTENTION)


def _entry(spec: AttentionSpec) -> str:
    authors = " and ".join(map(latex.escaped, spec.authors))
    by = f"\n  author = {{{authors}}}," if authors else ""
    return f"""@misc{{{_key(spec)},
  title = {{{{{latex.escaped(spec.title)}}}}},{by}
  year = {{{_year(spec)}}},
  eprint = {{{spec.arxiv}}},
  archivePrefix = {{arXiv}},
}}
"""


def _year(spec: AttentionSpec) -> int:
    """Return the year of the first version: an arXiv number begins with year and month."""
    return 2000 + int(spec.arxiv[:2])


def _key(spec: AttentionSpec) -> str:
    return f"{spec.name}{_year(spec)}"
