"""Stored runs with any ratios: what is compared and picked from."""

from dataclasses import replace

from attnbench.records import store
from attnbench.records.schema import (
    Block,
    Count,
    Counts,
    Failure,
    Memory,
    Plan,
    Record,
    Round,
)

PARAMS = {"plain": 1_000, "sa": 1_708, "se": 3_000}
LIVE = {"plain": 100, "sa": 150, "se": 104}

SIX = [1.10, 1.08, 1.10, 1.10, 1.12, 1.10]
"""Of six rounds the interval is from the least to the greatest: +8% to +12%."""

ENVIRONMENT = {
    "cpu": "A",
    "cpu_id": "family 1, model 2",
    "cores": 2,
    "python": "3.11.7",
    "torch": "2.6",
    "attnbench": "0.2.0",
    "time": "12:00",
    "load_average": 0.5,
}


def store_run(  # noqa: PLR0913  all that a test may change
    folder,
    case,
    name="run",
    *,
    plain_s=0.1,
    control=1.0,
    facts=(),
    failures=(),
    settings=(),
    sources=(),
    **ratios,
):
    """Store a run and return its folder.

    ``ratios`` are those of each module to the plain host, round by round; a single number stands
    for six rounds, the fewest that give an interval. A module with fewer rounds than others has
    failed after them, as only then a round may lack it.
    """
    given = {"plain": 1.0, "control": control, **ratios}
    rounds = {
        key: [value] * 6 if isinstance(value, float) else value for key, value in given.items()
    }
    plan = Plan(variants=tuple(given), budget_s=10.0, target=0.01, sources=dict(sources))
    results = [(None, plan)]
    results += [
        (variant, Counts(rules={"learnable": Count(params=PARAMS[variant])}))
        for variant in given
        if variant in PARAMS
    ]
    results += [
        (variant, Memory(peak_live_bytes=LIVE[variant])) for variant in given if variant in LIVE
    ]
    most, failed = max(map(len, rounds.values())), dict(failures)
    unknown = Failure(step="latency", type="RuntimeError", message="made up")
    for variant, values in rounds.items():
        if len(values) < most:
            failed.setdefault(variant, unknown)
    early = {
        variant: failure
        for variant, failure in failed.items()
        if failure.step == "latency" and len(rounds[variant]) < most
    }
    for number in range(most):
        results += [
            (variant, failure)
            for variant, failure in early.items()
            if len(rounds[variant]) == number
        ]
        blocks = tuple(
            Block(variant=variant, steps=1, seconds=plain_s * values[number])
            for variant, values in rounds.items()
            if number < len(values)
        )
        results.append((None, Round(number=number, blocks=blocks)))
    shared = {"case": replace(case, **dict(settings)), "environment": ENVIRONMENT | dict(facts)}
    results += [known for known in failed.items() if known[0] not in early]
    for variant, result in results:
        what = {"error" if isinstance(result, Failure) else "results": result}
        store.append(folder / name, Record(variant=variant, **what, **shared))
    return folder / name
