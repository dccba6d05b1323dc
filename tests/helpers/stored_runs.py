"""Runs for ``pick`` to choose from: six rounds of any ratios, with some counts and peaks."""

from dataclasses import replace

from attnbench.records import store
from attnbench.records.schema import Block, Count, Counts, Memory, Plan, Record, Round

PARAMS = {"plain": 1_000, "sa": 1_708, "se": 3_000}
LIVE = {"plain": 100, "sa": 150, "se": 104}

SIX = [1.10, 1.08, 1.10, 1.10, 1.12, 1.10]
"""Of six rounds the interval is from the least to the greatest: +8% to +12%."""


def store_run(  # noqa: PLR0913  all that a test may change
    folder, case, name="run", *, control=1.0, failures=(), settings=(), **ratios
):
    """The folder of a run from each module's ratio in its rounds, or one for six of them."""
    given = {"plain": 1.0, "control": control, **ratios}
    rounds = {key: [each] * 6 if isinstance(each, float) else each for key, each in given.items()}
    results = [(None, Plan(variants=tuple(given), budget_s=10.0, target=0.01))]
    results += [
        (each, Counts(rules={"learnable": Count(params=PARAMS[each])}))
        for each in given
        if each in PARAMS
    ]
    results += [(each, Memory(peak_live_bytes=LIVE[each])) for each in given if each in LIVE]
    results += [
        (
            None,
            Round(
                number=number,
                blocks=tuple(
                    Block(variant=each, steps=1, seconds=values[number])
                    for each, values in rounds.items()
                    if values
                ),
            ),
        )
        for number in range(6)
    ]
    its_case = replace(case, **({"image_size": 224} | dict(settings)))
    facts = {"cpu": "A", "time": "noon"}
    for variant, each in results:
        record = Record(case=its_case, variant=variant, results=each, environment=facts)
        store.append(folder / name, record)
    for variant, failure in failures:
        record = Record(case=its_case, variant=variant, error=failure, environment=facts)
        store.append(folder / name, record)
    return folder / name
