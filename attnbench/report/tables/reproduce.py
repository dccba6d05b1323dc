"""Everything that is needed to make a run again."""

from __future__ import annotations

import shlex

from attnbench.records import image_size
from attnbench.records.run import Run


def command(run: Run) -> str:
    """The command that measures the same configuration; every setting is stated."""
    case = run.case
    options: list[tuple[str, object]] = [
        *_modules(run),
        ("--host", case.host),
        ("--device", case.device),
        ("--batch-size", case.batch_size),
        ("--image-size", image_size.option(case.image_size)),
        ("--dtype", case.dtype),
        ("--mode", case.mode),
        ("--stages", ",".join(map(str, case.stages))),
        ("--blocks", case.blocks),
        ("--budget", f"{run.plan.budget_s:g}"),
        ("--threads", case.threads),
        ("--seed", case.seed),
    ]
    switches = [
        ("--channels-last", case.channels_last),
        ("--compile", case.compiled),
        ("--cuda-graph", case.cuda_graph),
        ("--isolated", case.isolated),
    ]
    words = ["attnbench", "run"]
    words += [word for option, value in options for word in (option, str(value))]
    words += [switch for switch, on in switches if on]
    return shlex.join(words)


def _modules(run: Run) -> list[tuple[str, object]]:
    own = [name for name in run.modules if set(name) & {",", ":"}]
    listed = [name for name in run.modules if name not in own]
    return [
        *([("--modules", ",".join(listed))] if listed else []),
        *(("--module", name) for name in own),
    ]


def environment(run: Run) -> list[tuple[str, str]]:
    """Facts of machine and software at the beginning of the run, those that are known."""
    return [(key, str(value)) for key, value in run.environment.items() if value is not None]
