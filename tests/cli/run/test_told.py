import io

from rich.console import Console

from attnbench.cli.run.told import Told
from attnbench.measuring.events import APART, Beginning
from attnbench.records.run import Run
from attnbench.records.schema import Plan


def test_it_says_why_runtimes_no_longer_share_their_rounds(case, capsys):
    run = Run(case, Plan(variants=("plain", "control"), budget_s=10.0, target=0.01), {})
    shown = io.StringIO()
    told = Told(Console(file=shown, width=80))
    told.after(run, Beginning(APART, None, "OutOfMemoryError: no room"))
    told.after(run, Beginning("round", None))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("runtimes no longer share their rounds: OutOfMemoryError: no room")
