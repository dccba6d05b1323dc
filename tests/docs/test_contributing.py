"""The table of who may import whom is that of the architecture test."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]

PLAN = runpy.run_path(str(ROOT / "tests" / "test_architecture.py"))

ROW = re.compile(r"^\| \d \| (.*?) \| (.*?) \|$", re.MULTILINE)


def names(cell: str) -> set[str]:
    return set(re.findall(r"`([\w./]+)`", cell))


def test_the_table_of_imports_is_the_one_that_is_tested() -> None:
    shown = {
        package: names(cell)
        for packages, cell in ROW.findall((ROOT / "docs" / "contributing.md").read_text())
        for package in names(packages)
    }
    assert shown.pop("cli") == {"__main__", "run_bench.py"}  # the only ones that import it
    rooms = set(PLAN["MAY_IMPORT"]) - {"cli", "__main__", "__init__"}
    below = rooms - PLAN["FOUNDATION"] - {"notebook"}  # that is on the same floor
    assert PLAN["MAY_IMPORT"]["cli"] >= below  # "all"
    assert shown == {room: PLAN["MAY_IMPORT"][room] for room in rooms} | PLAN["MAY_IMPORT_MORE"]
