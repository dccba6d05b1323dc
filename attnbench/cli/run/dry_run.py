"""What ``run --dry-run`` shows: what would be measured, where it would be and how long it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from attnbench import formatting
from attnbench.cli import output
from attnbench.cli.run import forecast
from attnbench.records.case import RunOptions


def show(wanted: RunOptions, out: Path | None, *, as_json: bool) -> Mapping[str, str]:
    """Print what would be measured; return what is left out, and why. Writes nothing.

    Raises:
        UserError: options or a folder that cannot be.
    """
    from attnbench.measuring import planning  # and torch
    from attnbench.system import worker

    with worker.time_limit(wanted.timeout_s):
        known = planning.outline(wanted, out)
    for run in known.runs:
        run.profiling = bool(wanted.profile)
    counted = Counter(run.case for run in known.runs)
    waiting_s = 60 * (wanted.every_minutes or 0.0) * (max(counted.values()) - 1)
    least_s, most_s = forecast.bounds_s(known.runs, waiting_s)
    finished = sum(run.finished for run in known.runs)
    first = known.runs[0]
    folder = str(known.folder) if known.folder else "a new folder under reports/"
    if as_json:
        data = {
            "dry_run": True,
            "folder": None if known.folder is None else str(known.folder),
            "resumed": known.resumed,
            "left_out": known.left_out,
            "configurations": [
                {"configuration": case.described, "case": asdict(case), "runs": count}
                for case, count in counted.items()
            ],
            "variants": first.plan.variants,
            "runs_finished": finished,
            "least": {"value": least_s, "unit": "s"},
            "most": {"value": most_s, "unit": "s"},
        }
        print(output.json_text(data))
    else:
        console = output.console()
        for case, count in counted.items():
            console.print(f"{case.described}: {formatting.counted(count, 'run')}")
        console.print(f"Variants: {formatting.joined(first.plan.variants)}")
        for name, why in known.left_out.items():
            console.print(f"{name} is left out: {why.removeprefix(f'{name}: ')}")
        resumed = f"; {finished} of {formatting.counted(len(known.runs), 'run')} are finished there"
        console.print(f"Records would be in {folder}{resumed if known.resumed else ''}")
        least, most = map(formatting.seconds, (least_s, most_s))
        compiled = ", and as long as it takes to compile" * first.case.compiled
        console.print(
            f"At least about {least}, at most about {most}{compiled}: a run ends before its budget "
            "is spent where its intervals are narrow enough. Nothing was written."
        )
    return known.left_out
