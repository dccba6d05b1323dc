"""The short form of ``benchmarks/attack_records.py``, which damages records at random."""

import json
from random import Random

import attack_records
import pytest
from damage.records import KEEPS_VALUES

from attnbench.errors import UserError
from attnbench.records import run as run_records


def test_no_damage_ends_in_a_traceback_or_in_other_figures():
    told = []
    table = attack_records.attack(
        60, 0, commands=attack_records.quick_attempts, most_runs=1, say=told.append
    )
    assert told == []
    assert table.loc["all", "mutations"] == 60
    assert table.loc["all", "refused"] > 15


def test_what_only_moves_lines_is_refused_or_changes_nothing(tmp_path):
    path, content = attack_records.targets(tmp_path, 1)[0]
    before = attack_records.figures(path.parent)
    whole, random = [json.loads(line) for line in content.splitlines()], Random(0)
    assert whole[-1]["results"] == {"kind": "end", "reason": "budget", "rounds": 8}
    for kind in KEEPS_VALUES[4:]:  # of lines
        for _ in range(8):
            data = json.loads(json.dumps(whole))
            kind(random, data, whole)
            path.write_text("".join(f"{attack_records.compact(line)}\n" for line in data))
            assert attack_records.changed(path.parent, before) is None


POSSIBLE = {
    "budget_s": (1e-9, 0.5, 1, 2, 2**29),
    "target": (1e-6, 0.01, 0.1),
    "steps": (1, 2, 2**32),
    "seconds": (1e-9, 0.5, 1, 2),
    "peak_live_bytes": (0, 1, 2, 2**53),
}
NOT_POSSIBLE = {
    "budget_s": (0, -1, 1e-10, 1e9, 10**400, float("nan"), float("inf"), "1", True, None, []),
    "target": (0, 5e-324, 1e-7, -0.01, 0.11, 1e308, float("nan"), float("inf"), "1", True, None),
    "steps": (0, -1, 0.5, 2**32 + 1, 10**400, float("nan"), "1", True, None, [1]),
    "seconds": (0, -1, 5e-324, 1e9, 10**400, float("nan"), float("inf"), "1", True, None),
    "peak_live_bytes": (-1, 0.5, 2**53 + 1, 10**400, float("nan"), "1", True, None),
}


@pytest.mark.parametrize("field", POSSIBLE)
def test_a_number_is_one_that_a_run_could_have(tmp_path, field):
    path, content = attack_records.targets(tmp_path, 1)[0]

    def read(value):
        data = [json.loads(line) for line in content.splitlines()]
        for line in data:
            results = line.get("results", {})
            for holder in (results, *results.get("blocks", ())):
                if field in holder:
                    holder[field] = value
        path.write_text("".join(f"{json.dumps(line)}\n" for line in data))
        return run_records.read(path.parent)

    for value in POSSIBLE[field]:
        assert read(value).finished
    for value in NOT_POSSIBLE[field]:
        with pytest.raises(UserError, match=rf"records\.jsonl, line \d+: .*{field}"):
            read(value)
